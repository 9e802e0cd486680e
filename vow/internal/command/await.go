package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

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
	err := poll(ctx, "waited "+human.Span(wait), func() (bool, error) {
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
		return last, fmt.Errorf("tree %s is not Green: %s%w", id, redReason(last), err)
	}
	return last, nil
}

// awaitRequested waits until an instance is as it was requested: started, when it has run since and its tree is Green; stopped, when a run has stopped it;
// destroyed, when it is gone, which takes its retention delay.
func awaitRequested(ctx context.Context, f *client.Fleet, i *masterv1.Instance, state typev1.RequestedState, wait time.Duration) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last *masterv1.Tree
	err = poll(ctx, "waited "+human.Span(wait), func() (bool, error) {
		tree, err := getTree(ctx, f, i.GetTreeId())
		switch {
		case rpc.IsNotFound(err):
			gone = true
			return state == typev1.RequestedState_REQUESTED_STATE_DESTROYED, err
		case rpc.IsUnavailable(err):
			return false, nil // it restarts: asked again
		case err != nil:
			return false, err
		}
		last = tree
		at := slices.IndexFunc(tree.GetInstances(), func(one *masterv1.Instance) bool { return one.GetInstanceId() == i.GetInstanceId() })
		if at < 0 {
			gone = true
			return state == typev1.RequestedState_REQUESTED_STATE_DESTROYED, nil
		}
		now := tree.GetInstances()[at]
		switch now.GetState() {
		case typev1.RequestedState_REQUESTED_STATE_STARTED:
			return settled(now) && tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN, nil
		case typev1.RequestedState_REQUESTED_STATE_STOPPED:
			return settled(now), nil
		}
		return false, nil
	})
	if err != nil {
		return gone, fmt.Errorf("%s is not as requested: %s%w", i.GetTitle(), redReason(last), err)
	}
	return gone, nil
}

// settled tells whether an instance has run successfully since the last change and bang that concern it.
func settled(i *masterv1.Instance) bool {
	wanted, has := i.GetStatus().GetWanted(), i.GetStatus().GetSettled()
	return i.GetAllocationId() != "" && (has.GetEpoch() > wanted.GetEpoch() || has.GetEpoch() == wanted.GetEpoch() && has.GetNumber() >= wanted.GetNumber())
}

// redReason is why a tree is not Green, with the errors of its instances.
func redReason(tree *masterv1.Tree) string {
	if tree == nil {
		return "svc-master does not answer: "
	}
	var reasons []string
	if reason := tree.GetColour().GetReason(); reason != "" {
		reasons = append(reasons, reason)
	}
	for _, i := range tree.GetInstances() {
		if e := i.GetStatus().GetLatest().GetError(); e != "" {
			reasons = append(reasons, i.GetTitle()+": "+strings.TrimSpace(e))
		}
		if kept := i.GetStatus().GetRetainedUntil(); kept != nil {
			reasons = append(reasons, i.GetTitle()+": its content is kept until "+kept.AsTime().Format(time.RFC3339))
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return strings.Join(reasons, "; ") + ": "
}
