package rpc

import (
	"context"

	"connectrpc.com/connect"
)

// CallerHeader is what a caller says of itself, for the record of who did what. Until identity exists nobody verifies it.
const CallerHeader = "Vow-Caller"

// Caller is who makes the unary call that is handled with ctx: what it says of itself, empty when it does not, and its address.
func Caller(ctx context.Context) (name, address string) {
	call, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return "", ""
	}
	return call.RequestHeader().Get(CallerHeader), call.Peer().Addr
}

// saying tells servers who calls.
type saying struct{ name string }

func (i saying) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if i.name != "" && req.Spec().IsClient {
			req.Header().Set(CallerHeader, i.name)
		}
		return next(ctx, req)
	}
}

func (i saying) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i saying) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
