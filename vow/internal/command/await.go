package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vow-os/vow/kit/human"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/gen/vowclient"
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
	tree, err := f.Vow.WaitGreen(ctx, id)
	if err != nil {
		return tree, fmt.Errorf("tree %s is not Green: %w", cmp.Or(tree.GetTitle(), id), waited(err, wait))
	}
	return tree, nil
}

// awaitRequested waits until an instance is as it was requested: started, when it has run since and its tree is Green; stopped, when a run has stopped it;
// destroyed, when it is gone, which takes its retention delay.
func awaitRequested(ctx context.Context, f *client.Fleet, i *masterv1.Instance, wait time.Duration) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	now, err := f.Vow.WaitInstance(ctx, i)
	if err != nil {
		return false, fmt.Errorf("%s is not as requested: %w", i.GetTitle(), waited(err, wait))
	}
	return now.GetState() == typev1.RequestedState_REQUESTED_STATE_DESTROYED, nil
}

// waited says of a wait that ended in vain how long it was, and why the tree is not ready.
func waited(err error, wait time.Duration) error {
	if notReady := new(vowclient.NotReadyError); errors.As(err, &notReady) {
		return fmt.Errorf("%s: waited %s: %w", notReady.Reason, human.Span(wait), notReady.Unwrap())
	}
	return err
}
