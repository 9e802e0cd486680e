package vowclient

import (
	"context"
	"errors"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

const (
	// lookFirst and lookMax are how often the state is read although the watch said nothing: what a watch that is not offered, or that died silently, costs a wait.
	lookFirst = time.Second
	lookMax   = 5 * time.Second
	// streamLife is after how long a stream is opened again: how long one that died silently can go unnoticed. It begins with the whole state each time.
	streamLife = time.Minute
)

// Tree reads a tree with its instances by its id, or that of anything in it.
func (c *Client) Tree(ctx context.Context, id string) (*masterv1.Tree, error) {
	response, err := do(ctx, c.master.getTree, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: id}})
	return response.GetTree(), err
}

// TreeByTitle reads a tree with its instances by the title of its root.
func (c *Client) TreeByTitle(ctx context.Context, title string) (*masterv1.Tree, error) {
	response, err := do(ctx, c.master.getTree, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: title}})
	return response.GetTree(), err
}

// WaitGreen returns a tree, named by its id or that of anything in it, once it is Green and each started instance has run successfully since the last change and bang
// that concern it. Errors: *NotReadyError when ctx ends first; NOT_FOUND.
func (c *Client) WaitGreen(ctx context.Context, id string) (*masterv1.Tree, error) {
	return c.waitTree(ctx, id, greenMessage, Green)
}

// WaitTree returns a tree once ready says that it is as the caller wants it. ready is asked at each change of a colour or of what is settled, and each five seconds at least.
// Errors: *NotReadyError when ctx ends first; NOT_FOUND when there is no such tree, or no more.
func (c *Client) WaitTree(ctx context.Context, id string, ready func(*masterv1.Tree) bool) (*masterv1.Tree, error) {
	return c.waitTree(ctx, id, anyMessage, ready)
}

// waitTree reads the tree when the watch says something that is worth it: a tree of 1,000 instances is megabytes, and changes often while it converges.
func (c *Client) waitTree(ctx context.Context, id string, worth func(*masterv1.WatchTreeColoursResponse) bool, ready func(*masterv1.Tree) bool) (*masterv1.Tree, error) {
	var last *masterv1.Tree
	hints, stop := c.hints(ctx, id, worth)
	defer stop()
	for pauses := lookFirst; ; pauses = min(2*pauses, lookMax) {
		tree, err := c.Tree(ctx, id)
		switch {
		case err != nil && over(ctx, err):
			return last, notReady(ctx, last)
		case err != nil:
			return last, err
		case ready(tree):
			return tree, nil
		}
		last = tree
		timer := time.NewTimer(pauses)
		select {
		case <-hints:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return last, notReady(ctx, last)
		}
		timer.Stop()
	}
}

func anyMessage(*masterv1.WatchTreeColoursResponse) bool { return true }

// greenMessage is Green as far as the watch tells it.
func greenMessage(r *masterv1.WatchTreeColoursResponse) bool {
	for _, i := range r.GetInstances() {
		if !i.GetSettled() {
			return false
		}
	}
	return r.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN || r.GetColour() == nil // nil: it is gone, which also ends a wait
}

// hints says that the watch of a tree said something that is worth a look, until stop, which waits for the watch's end. Hints that nobody took become one.
func (c *Client) hints(ctx context.Context, id string, worth func(*masterv1.WatchTreeColoursResponse) bool) (hints <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hint, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		request := &masterv1.WatchTreeColoursRequest{TreeId: id}
		_ = resume(ctx, func(ctx context.Context, heard func()) error { // whatever ends it, the wait goes on by looking
			err := c.master.watchTree(ctx, request, func(r *masterv1.WatchTreeColoursResponse) bool {
				heard()
				if worth(r) {
					select {
					case hint <- struct{}{}:
					default:
					}
				}
				return true
			})
			if err == nil {
				err = errCut
			}
			return err
		})
	}()
	return hint, func() {
		cancel()
		<-done
	}
}

// resume follows a stream and opens it again when it broke or has lived for streamLife, until it ends by itself, with an error that does not pass, or nothing was heard for Patience.
func resume(ctx context.Context, follow func(ctx context.Context, heard func()) error) error {
	var a attempts
	for {
		one, cancel := context.WithTimeout(ctx, streamLife)
		heard := false
		err := follow(one, func() { heard = true; a.answered() })
		aged := one.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			return nil
		case aged && heard:
		case !a.again(ctx, err):
			return err
		}
	}
}

// Green tells whether a tree is Green and each started instance of it has run successfully since the last change and bang that concern it.
func Green(tree *masterv1.Tree) bool {
	for _, i := range tree.GetInstances() {
		if i.GetState() == typev1.RequestedState_REQUESTED_STATE_STARTED && !Settled(i) {
			return false
		}
	}
	return tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN
}

// Settled tells whether an instance is allocated and has run successfully since the last change and bang that concern it; a shared one, whether its host
// serves it as it is wanted.
func Settled(i *masterv1.Instance) bool {
	if i.GetShared() {
		return i.GetHostId() != "" && i.GetUnservedReason() == ""
	}
	wanted, has := i.GetStatus().GetWanted(), i.GetStatus().GetSettled()
	return i.GetAllocationId() != "" &&
		(has.GetEpoch() > wanted.GetEpoch() || has.GetEpoch() == wanted.GetEpoch() && has.GetNumber() >= wanted.GetNumber())
}

// notReady says why a tree is not ready, as it was seen last.
func notReady(ctx context.Context, tree *masterv1.Tree) error {
	var reasons []string
	if tree == nil {
		reasons = append(reasons, "svc-master does not answer")
	} else if reason := tree.GetColour().GetReason(); reason != "" {
		reasons = append(reasons, reason)
	}
	for _, i := range tree.GetInstances() {
		switch {
		case i.GetStatus().GetLatest().GetError() != "":
			if text := strings.TrimSpace(i.GetStatus().GetLatest().GetError()); len(reasons) == 0 || !strings.Contains(reasons[0], text) { // the tree's reason may be this one
				reasons = append(reasons, i.GetTitle()+": "+text)
			}
		case i.GetStatus().GetRetainedUntil() != nil:
			reasons = append(reasons, i.GetTitle()+": its content is kept until "+i.GetStatus().GetRetainedUntil().AsTime().Format(time.RFC3339))
		case i.GetUnservedReason() != "":
			reasons = append(reasons, i.GetTitle()+": "+i.GetUnservedReason())
		case i.GetState() != typev1.RequestedState_REQUESTED_STATE_DESTROYED && !Settled(i):
			reasons = append(reasons, i.GetTitle()+": has not run since its last change")
		}
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "it is not as wanted")
	}
	return &NotReadyError{Tree: tree, Reason: strings.Join(reasons, "; "), err: errors.Join(endOf(ctx), causeOf(ctx))}
}

// causeOf is what a context was ended with beyond its own error.
func causeOf(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() { //nolint:errorlint // the very same value is meant
		return cause
	}
	return nil
}
