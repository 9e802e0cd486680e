package vowclient

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Bang makes every partition of a tree, or of each tree on a computer, run again; when it answers, that is durable. Without a request_id the call gets one of its own,
// without an origin that of its target. Errors: *InvalidError, NOT_FOUND, *RefusedError (the quota of the day is used up).
func (c *Client) Bang(ctx context.Context, request *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	request = proto.CloneOf(request)
	if request.GetRequestId() == "" {
		request.RequestId = NewKey()
	}
	if request.GetOrigin() == typev1.BangOrigin_BANG_ORIGIN_UNSPECIFIED {
		request.Origin = typev1.BangOrigin_BANG_ORIGIN_MANUAL
		if request.GetComputer() != "" {
			request.Origin = typev1.BangOrigin_BANG_ORIGIN_COMPUTER
		}
	}
	response, err := do(ctx, c.master.bang, request)
	if err != nil {
		return nil, fmt.Errorf("cannot bang %q: %w", request.GetTreeId()+request.GetComputer()+request.GetAllocationId(), err)
	}
	return response, nil
}

// BangAndWait bangs a tree and returns the convergence that it opened or joined once that has ended: every partition ran successfully since. A computer's bang has a
// convergence for each tree: Bang it, and WaitConverged for each. Errors: those of Bang and of WaitConverged.
func (c *Client) BangAndWait(ctx context.Context, request *masterv1.BangRequest) (*masterv1.Convergence, error) {
	if request.GetComputer() != "" {
		return nil, fmt.Errorf("cannot wait for the bang of computer %q: it has a convergence for each tree", request.GetComputer())
	}
	response, err := c.Bang(ctx, request)
	if err != nil {
		return nil, err
	}
	if len(response.GetResults()) == 0 {
		return nil, fmt.Errorf("cannot follow the bang of %q: it has no result", request.GetTreeId())
	}
	r := response.GetResults()[0]
	if r.GetConvergenceId() == "" {
		return nil, fmt.Errorf("cannot follow bang %s: it was withheld: %s", r.GetBangId(), r.GetReason())
	}
	return c.WaitConverged(ctx, r.GetConvergenceId())
}

// WaitConverged returns a convergence, named by its id or that of a bang, once every partition of its tree has run successfully. Errors: *NotConvergedError when it
// ended otherwise or ctx ends first; NOT_FOUND.
func (c *Client) WaitConverged(ctx context.Context, id string) (*masterv1.Convergence, error) {
	var last *masterv1.Convergence
	for convergence, err := range c.Follow(ctx, id) {
		switch {
		case err == nil:
			last = convergence
		case last != nil && over(ctx, err):
			return last, &NotConvergedError{Convergence: last, err: errors.Join(err, endOf(ctx))}
		default:
			return last, err
		}
	}
	if last.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED {
		return last, &NotConvergedError{Convergence: last}
	}
	return last, nil
}

// Follow iterates over the states of a convergence, named by its id or that of a bang: as it is now, at each change, and last as it ended. A stream that breaks is opened
// again. An iteration that ends with an error gives that last, with a nil convergence: ctx's, NOT_FOUND, or that nothing answered for Patience.
func (c *Client) Follow(ctx context.Context, id string) iter.Seq2[*masterv1.Convergence, error] {
	return func(yield func(*masterv1.Convergence, error) bool) {
		request := &masterv1.WatchConvergenceRequest{Id: id}
		var last *masterv1.Convergence
		enough := false
		err := resume(ctx, func(ctx context.Context, heard func()) error {
			err := c.master.watchConvergence(ctx, request, func(r *masterv1.WatchConvergenceResponse) bool {
				heard()
				if proto.Equal(last, r.GetConvergence()) { // said again by a new stream
					return true
				}
				last = proto.CloneOf(r.GetConvergence())
				enough = !yield(last, nil)
				return !enough && last.GetClosedAt() == nil
			})
			if err == nil && !enough && last.GetClosedAt() == nil {
				return errCut
			}
			return err
		})
		if err != nil && !enough {
			yield(nil, fmt.Errorf("cannot follow convergence %s: %w", id, decode(err)))
		}
	}
}
