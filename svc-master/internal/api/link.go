package api

import (
	"context"
	"errors"
	"io"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// Link greets a node and notes its contacts as long as the stream lives: when bytes were last read on its connection,
// answers to pings among them.
func (a *API) Link(ctx context.Context, stream *connect.BidiStream[masterv1.LinkRequest, masterv1.LinkResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return invalid("cannot link: the first message must be hello")
	}
	if _, err := a.Store.Computer(ctx, hello.GetComputer()); err != nil {
		return coded(err)
	}
	a.contact(hello.GetComputer())
	welcome := &masterv1.LinkWelcome{ReconnectWindow: durationpb.New(a.ReconnectWindow)}
	if err := stream.Send(&masterv1.LinkResponse{Message: &masterv1.LinkResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Receive(); err != nil {
				ended <- err
				return
			}
		}
	}()
	ticker := time.NewTicker(a.ContactEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil // the node closed its side
			}
			return err
		case <-ticker.C:
			if at, ok := rpc.ConnLastRead(ctx); ok {
				a.Store.Contacted(hello.GetComputer(), at)
			}
		}
	}
}

// ReportContacts takes what other services read; a time in the future counts as now.
func (a *API) ReportContacts(_ context.Context, req *masterv1.ReportContactsRequest) (*masterv1.ReportContactsResponse, error) {
	now := time.Now()
	for _, c := range req.GetContacts() {
		at := c.GetAt().AsTime()
		if at.After(now) {
			at = now
		}
		a.Store.Contacted(c.GetComputer(), at)
	}
	return &masterv1.ReportContactsResponse{}, nil
}
