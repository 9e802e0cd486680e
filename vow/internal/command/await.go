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

// pollEvery is how often something is looked at that has no watch: far below what a person sees, and no load.
const pollEvery = 10 * time.Millisecond

// poll asks until the answer is yes; waitingFor completes the error when ctx ends first.
func poll(ctx context.Context, waitingFor string, ask func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		done, err := ask()
		if done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", waitingFor, context.Cause(ctx))
		}
	}
}

// awaitGreen returns the tree once it is Green, or an error with the reason why it is not.
func awaitGreen(ctx context.Context, f *client.Fleet, id string, wait time.Duration) (*masterv1.Tree, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last *masterv1.Tree
	err := poll(ctx, "waited "+span(wait), func() (bool, error) {
		tree, err := getTree(ctx, f, id)
		if err != nil {
			if rpc.IsUnavailable(err) {
				err = nil // it restarts: asked again
			}
			return false, err
		}
		last = tree
		return tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN, nil
	})
	if err != nil {
		return last, fmt.Errorf("tree %s is not Green: %s: %w", id, redReason(last), err)
	}
	return last, nil
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
