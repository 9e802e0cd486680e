package api

import (
	"context"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// bare answers the messages of a stream and does nothing else.
type bare struct {
	promisev1connect.UnimplementedSenseServiceHandler
}

// Sense answers until the stream ends.
func (bare) Sense(_ context.Context, stream *connect.BidiStream[promisev1.SenseRequest, promisev1.SenseResponse]) error {
	for {
		if _, err := stream.Receive(); err != nil {
			return nil //nolint:nilerr // the node is gone, which is how it ends
		}
		if err := stream.Send(&promisev1.SenseResponse{}); err != nil {
			return err
		}
	}
}

// ServeFloor serves a stream in both directions with the same libraries as the services, and nothing around it, until it fails.
func ServeFloor(ctx context.Context, address string) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(promisev1connect.NewSenseServiceHandler(bare{}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: time.Minute}
	return server.Serve(listener)
}

// OpenFloor opens a connection with one stream to the floor, and returns when the first message was answered. Both stay open.
func OpenFloor(ctx context.Context, address string) error {
	c, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{})
	if err != nil {
		return err
	}
	stream, err := promisev1connect.NewSenseServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).Sense(ctx)
	if err != nil {
		return err
	}
	hello := &promisev1.SenseHello{Computer: "floor", BootId: "bench"}
	if err := stream.Send(&promisev1.SenseRequest{Hello: hello}); err != nil {
		return err
	}
	_, err = stream.Receive()
	return err
}
