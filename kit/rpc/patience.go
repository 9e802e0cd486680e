package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/kit/wait"
)

// patience obeys a server that has too much to do: a call that it refused unheard (ReasonOverloaded) is made again after the
// delay it advised, whatever the call, since nothing of it was done, while the budget of the client lasts. Without any left, or when its
// time is up before, the refusal is returned, but not before the delay or its time is over: nobody's own growing delay comes back sooner.
type patience struct{ budget *budget }

func (i patience) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		for {
			res, err := next(ctx, req)
			if err == nil {
				i.budget.succeeded()
				return res, nil
			}
			after, advised := RetryAfter(err)
			if !advised || Reason(err) != ReasonOverloaded {
				return res, err
			}
			again := i.budget.take()
			if wait.For(ctx, after) != nil || !again {
				return res, err
			}
		}
	}
}

func (i patience) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i patience) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
