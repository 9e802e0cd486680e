package api

import (
	"context"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// Scheduler is svc-scheduler as the agent sees it.
type Scheduler struct {
	client schedulerv1connect.OrderServiceClient
}

var _ peer.Scheduler = (*Scheduler)(nil)

// NewScheduler makes the client.
func NewScheduler(c *rpc.Client) *Scheduler {
	return &Scheduler{client: schedulerv1connect.NewOrderServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)}
}

// Orders follows the orders.
func (s *Scheduler) Orders(ctx context.Context, r *schedulerv1.OrdersRequest, take func(*schedulerv1.OrdersResponse)) error {
	stream, err := s.client.Orders(ctx, r)
	return follow(stream, err, take)
}

// Promise is svc-promise as the agent sees it.
type Promise struct {
	senses   promisev1connect.SenseServiceClient
	promises promisev1connect.PromiseServiceClient
}

var _ peer.Promise = (*Promise)(nil)

// NewPromise makes the clients.
func NewPromise(c *rpc.Client) *Promise {
	return &Promise{
		senses:   promisev1connect.NewSenseServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		promises: promisev1connect.NewPromiseServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
	}
}

// Evaluate tests the promises of a run.
func (p *Promise) Evaluate(ctx context.Context, r *promisev1.EvaluateRequest) (*promisev1.EvaluateResponse, error) {
	answer, err := p.promises.Evaluate(ctx, r)
	return answer, peerError(err)
}

// Sense opens the stream of groups.
func (p *Promise) Sense(ctx context.Context, hello *promisev1.SenseHello) (peer.SenseStream, error) {
	stream, err := p.senses.Sense(ctx)
	if err != nil {
		return nil, streamError(err)
	}
	return begin(ctx, stream, &promisev1.SenseRequest{Hello: hello})
}
