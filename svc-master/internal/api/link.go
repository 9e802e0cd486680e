package api

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// Link greets a node, notes its contacts as long as the stream lives (when bytes were last read on its connection, answers to
// pings among them), and carries operators' calls.
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
	computers, err := a.Store.CountComputers(ctx)
	if err != nil {
		return coded(err)
	}
	a.contact(hello.GetComputer())
	welcome := &masterv1.LinkWelcome{ReconnectWindow: durationpb.New(reconnectWindow(a.ReconnectWindow, computers))}
	if err := stream.Send(&masterv1.LinkResponse{Message: &masterv1.LinkResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	// The handler itself receives, and one timer tells the contacts: a goroutine and a ticker less are 12 kB less for each connected node.
	contacts := a.tellContacts(ctx, hello.GetComputer())
	defer contacts()
	open := a.links.Open(hello.GetComputer(), func(m *masterv1.LinkResponse) error {
		return rpc.SendWithin(ctx, sendWithin, func() error { return stream.Send(m) })
	})
	defer a.links.Close(hello.GetComputer(), open)
	for {
		message, err := stream.Receive()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil // the node closed its side
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		if answer := message.GetAnswer(); answer != nil {
			open.Take(answer)
		}
	}
}

// tellContacts notes again and again when bytes were last read on the connection of ctx, until the returned function is called.
func (a *API) tellContacts(ctx context.Context, computer string) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	ended := false
	tell := func() {
		if at, ok := rpc.ConnLastRead(ctx); ok {
			a.Store.Contacted(computer, at)
		}
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			timer.Reset(a.ContactEvery)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(a.ContactEvery, tell)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		timer.Stop()
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
