package api

import (
	"context"
	"log/slog"
	"time"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/gen/audit"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// WriteTimeout is how long a node may take to read an order: a node that does not read for that long is cut off and opens anew.
const WriteTimeout = 10 * time.Second

// Register puts the services of vow.scheduler.v1 on a server.
func Register(server *rpc.Server, owners *owner.Owners, master *Master, log *slog.Logger) {
	server.Handle(schedulerv1connect.NewOrderServiceHandler(&orders{owners: owners}, server.HandlerOptions()...))
	server.Handle(schedulerv1connect.NewAgendaServiceHandler(&agendas{owners: owners, master: master, acts: audit.Recorder{Master: master.audit, Caller: rpc.Caller, Log: log}}, server.HandlerOptions()...))
}

type orders struct{ owners *owner.Owners }

var _ schedulerv1connect.OrderServiceHandler = (*orders)(nil)

// Orders streams the orders of one computer until a newer stream, the node or this replica ends it.
func (h *orders) Orders(ctx context.Context, req *schedulerv1.OrdersRequest, stream *connect.ServerStream[schedulerv1.OrdersResponse]) error {
	opened, err := h.owners.Open(ctx, owner.Hello{
		Computer: req.GetComputer(), BootID: req.GetBootId(), Slots: int(req.GetSlots()), Running: req.GetRunning(),
		LastRead: func() (time.Time, bool) { return rpc.ConnLastRead(ctx) },
	})
	if err != nil {
		return coded(err)
	}
	defer opened.Close()
	err = send(ctx, stream, &schedulerv1.OrdersResponse{
		Message: &schedulerv1.OrdersResponse_Session{Session: &schedulerv1.Session{Number: opened.Session()}},
	})
	for err == nil {
		var next []*schedulerv1.OrdersResponse
		list, nextErr := opened.Next(ctx)
		for _, o := range list {
			next = append(next, &schedulerv1.OrdersResponse{Message: &schedulerv1.OrdersResponse_Order{Order: order(o)}})
		}
		err = nextErr
		for i := 0; i < len(next) && err == nil; i++ {
			err = send(ctx, stream, next[i])
		}
	}
	return coded(err)
}

// send sends within WriteTimeout. A deadline of the stream, set and lifted, would wake the connection's goroutine twice for each order; a timer wakes nobody.
func send(ctx context.Context, stream *connect.ServerStream[schedulerv1.OrdersResponse], m *schedulerv1.OrdersResponse) error {
	return rpc.SendWithin(ctx, WriteTimeout, func() error { return stream.Send(m) })
}
