package command

import (
	"context"
	"fmt"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// greenPoll is how often a tree is looked at while it is waited for: there is no watch of trees, and a person does not see 100 ms.
const greenPoll = 100 * time.Millisecond

// awaitGreen returns the tree once it is Green, or an error with the reason why it is not.
func awaitGreen(ctx context.Context, f *client.Fleet, id string, wait time.Duration) (*masterv1.Tree, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(greenPoll)
	defer tick.Stop()
	var last *masterv1.Tree
	for {
		tree, err := getTree(ctx, f, id)
		switch {
		case err == nil && tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN:
			return tree, nil
		case err == nil:
			last = tree
		case !rpc.IsUnavailable(err) && ctx.Err() == nil:
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, fmt.Errorf("tree %s is not Green after %s: %s", id, span(wait), redReason(last))
		}
	}
}

// redReason is why a tree is not Green, with the errors of its instances.
func redReason(tree *masterv1.Tree) string {
	if tree == nil {
		return "svc-master does not answer"
	}
	text := tree.GetColour().GetReason()
	for _, i := range tree.GetInstances() {
		if e := i.GetStatus().GetLatest().GetError(); e != "" {
			text += fmt.Sprintf("; %s: %s", i.GetTitle(), e)
		}
	}
	return text
}
