package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"connectrpc.com/connect"
)

// lost calls a broken connection what it is. When a server is killed, net/http ends the calls on its connection in ways that the RPC library takes for a cancellation by the caller, an internal error of the
// protocol or an unknown one; for the caller they are all the same: unavailable, and an idempotent call may be repeated.
type lost struct{ to Target }

func (l lost) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, req)
		return response, l.named(ctx, err)
	}
}

func (l lost) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return lostConn{next(ctx, spec), ctx, l}
	}
}

func (lost) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// lostConn is one stream.
type lostConn struct {
	connect.StreamingClientConn
	ctx  context.Context
	lost lost
}

func (c lostConn) Receive(message any) error {
	return c.lost.named(c.ctx, c.StreamingClientConn.Receive(message))
}

// named gives an error of the transport the code Unavailable. What the server said is left alone, and so is the ordinary end of a stream.
func (l lost) named(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || connect.IsWireError(err) {
		return err
	}
	known := new(connect.Error)
	if !errors.As(err, &known) {
		return err
	}
	broken := new(net.OpError)
	if known.Code() != connect.CodeCanceled && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &broken) {
		return err
	}
	to := ""
	if l.to.Name != "" {
		to = fmt.Sprintf(" to %s at %s", l.to.Name, l.to.Address)
	}
	return connect.NewError(connect.CodeUnavailable, fmt.Errorf("the connection%s was lost: %w", to, known.Unwrap()))
}
