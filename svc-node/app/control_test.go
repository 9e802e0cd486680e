package app_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// control is a control plane of one computer that does what the test says and remembers what it was told.
type control struct {
	masterv1connect.UnimplementedComputerServiceHandler
	masterv1connect.UnimplementedRunServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedSoftwareServiceHandler
	masterv1connect.UnimplementedInstanceServiceHandler
	masterv1connect.UnimplementedDesiredServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	schedulerv1connect.UnimplementedOrderServiceHandler
	promisev1connect.UnimplementedSenseServiceHandler
	promisev1connect.UnimplementedPromiseServiceHandler

	t       testing.TB
	network *memnet.Network

	mu         sync.Mutex
	desired    map[string]*masterv1.DesiredPartition
	software   []*masterv1.Software
	deltas     chan *masterv1.WatchDesiredResponse
	orders     chan *schedulerv1.OrdersResponse
	token      uint64
	registered []*masterv1.RegisterComputerRequest
	begun      []*masterv1.BeginRunRequest
	reports    []*masterv1.ReportRunRequest
	bangs      []*masterv1.BangRequest
	bangTimes  []time.Time
	states     []*masterv1.ReportSoftwareStateRequest
	usage      []*masterv1.ReportUsageRequest
	groups     []*typev1.SenseGroup
	replayed   []*typev1.SenseGroup
	mutes      []*promisev1.AllocationMutes // told when a Sense stream is opened
	evaluated  []*promisev1.EvaluateRequest
	hellos     []*schedulerv1.OrdersRequest
	statuses   []*masterv1.NodeStatus
	answers    chan *masterv1.NodeAnswer
	calls      chan *masterv1.LinkResponse
	refuse     error // of BeginRun
}

const computer = "c1"

func newControl(t testing.TB) *control {
	t.Helper()
	c := &control{
		t: t, network: memnet.New(), desired: map[string]*masterv1.DesiredPartition{},
		deltas: make(chan *masterv1.WatchDesiredResponse, 100), orders: make(chan *schedulerv1.OrdersResponse, 100),
		answers: make(chan *masterv1.NodeAnswer, 100), calls: make(chan *masterv1.LinkResponse, 100),
	}
	c.serve("master", func(s *rpc.Server) {
		s.Handle(masterv1connect.NewComputerServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewRunServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewBangServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewSoftwareServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewInstanceServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewDesiredServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewLinkServiceHandler(c, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewUsageServiceHandler(c, s.HandlerOptions()...))
	})
	c.serve("scheduler", func(s *rpc.Server) { s.Handle(schedulerv1connect.NewOrderServiceHandler(c, s.HandlerOptions()...)) })
	c.serve("promise", func(s *rpc.Server) {
		s.Handle(promisev1connect.NewSenseServiceHandler(c, s.HandlerOptions()...))
		s.Handle(promisev1connect.NewPromiseServiceHandler(c, s.HandlerOptions()...))
	})
	return c
}

func (c *control) serve(host string, register func(*rpc.Server)) {
	c.t.Helper()
	l, err := c.network.Listen(host + ":1")
	if err != nil {
		c.t.Fatal(err)
	}
	rpctest.Serve(c.t, l, register)
}

func (c *control) RegisterComputer(_ context.Context, r *masterv1.RegisterComputerRequest) (*masterv1.RegisterComputerResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registered = append(c.registered, r)
	return &masterv1.RegisterComputerResponse{}, nil
}

func (c *control) BeginRun(_ context.Context, r *masterv1.BeginRunRequest) (*masterv1.BeginRunResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = append(c.begun, r)
	d := c.desired[r.GetPartition()]
	if c.refuse != nil {
		return nil, c.refuse
	}
	if d == nil || d.GetAllocationId() != r.GetAllocationId() {
		return nil, rpc.Errorf(rpc.CodeFailedPrecondition, "cannot begin a run of %s: it is not current", r.GetAllocationId())
	}
	c.token++
	return &masterv1.BeginRunResponse{Token: c.token, Desired: proto.CloneOf(d), Wanted: d.GetGeneration()}, nil
}

func (c *control) ReportRun(_ context.Context, r *masterv1.ReportRunRequest) (*masterv1.ReportRunResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, r)
	return &masterv1.ReportRunResponse{}, nil
}

func (c *control) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bangs = append(c.bangs, r)
	c.bangTimes = append(c.bangTimes, time.Now())
	return &masterv1.BangResponse{}, nil
}

func (c *control) ReportUsage(_ context.Context, r *masterv1.ReportUsageRequest) (*masterv1.ReportUsageResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usage = append(c.usage, r)
	return &masterv1.ReportUsageResponse{}, nil
}

func (c *control) ListUsage(context.Context, *masterv1.ListUsageRequest) (*masterv1.ListUsageResponse, error) {
	return nil, rpc.Unimplemented("ListUsage")
}

func (c *control) ReportSoftwareState(_ context.Context, r *masterv1.ReportSoftwareStateRequest) (*masterv1.ReportSoftwareStateResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = append(c.states, r)
	return &masterv1.ReportSoftwareStateResponse{}, nil
}

func (c *control) WatchDesired(ctx context.Context, _ *masterv1.WatchDesiredRequest, stream *connect.ServerStream[masterv1.WatchDesiredResponse]) error {
	c.mu.Lock()
	first := &masterv1.WatchDesiredResponse{Software: c.software, SoftwareChanged: true, Complete: true}
	for _, d := range c.desired {
		first.Partitions = append(first.Partitions, proto.CloneOf(d))
	}
	c.mu.Unlock()
	if err := stream.Send(first); err != nil {
		return err
	}
	return pass(ctx, c.deltas, stream)
}

func (c *control) Orders(ctx context.Context, r *schedulerv1.OrdersRequest, stream *connect.ServerStream[schedulerv1.OrdersResponse]) error {
	c.mu.Lock()
	c.hellos = append(c.hellos, r)
	c.mu.Unlock()
	if err := stream.Send(&schedulerv1.OrdersResponse{Message: &schedulerv1.OrdersResponse_Session{Session: &schedulerv1.Session{Number: 1}}}); err != nil {
		return err
	}
	return pass(ctx, c.orders, stream)
}

func pass[M any](ctx context.Context, from <-chan *M, stream *connect.ServerStream[M]) error {
	for {
		select {
		case m := <-from:
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *control) Link(ctx context.Context, stream *connect.BidiStream[masterv1.LinkRequest, masterv1.LinkResponse]) error {
	if _, err := stream.Receive(); err != nil {
		return err
	}
	if err := stream.Send(&masterv1.LinkResponse{Message: &masterv1.LinkResponse_Welcome{
		Welcome: &masterv1.LinkWelcome{ReconnectWindow: durationpb.New(time.Second)},
	}}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for {
			select {
			case call := <-c.calls:
				if stream.Send(call) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-sent }()
	for {
		r, err := stream.Receive()
		if err != nil {
			return nil
		}
		if s := r.GetStatus(); s != nil {
			c.mu.Lock()
			c.statuses = append(c.statuses, s)
			c.mu.Unlock()
		}
		if a := r.GetAnswer(); a != nil {
			c.answers <- a
		}
	}
}

func (c *control) Sense(_ context.Context, stream *connect.BidiStream[promisev1.SenseRequest, promisev1.SenseResponse]) error {
	if _, err := stream.Receive(); err != nil {
		return err
	}
	if err := stream.Send(&promisev1.SenseResponse{Replay: []*promisev1.ReplayWanted{{}}, Mutes: look(c, func() []*promisev1.AllocationMutes { return c.mutes })}); err != nil {
		return err
	}
	for {
		r, err := stream.Receive()
		if err != nil {
			return nil //nolint:nilerr // the node went away
		}
		c.mu.Lock()
		for _, a := range r.GetAllocations() {
			if a.GetReplay() {
				c.replayed = append(c.replayed, a.GetGroups()...)
			} else {
				c.groups = append(c.groups, a.GetGroups()...)
			}
		}
		c.mu.Unlock()
		if err := stream.Send(&promisev1.SenseResponse{Acknowledged: r.GetBatch()}); err != nil {
			return err
		}
	}
}

func (c *control) Evaluate(_ context.Context, r *promisev1.EvaluateRequest) (*promisev1.EvaluateResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evaluated = append(c.evaluated, r)
	answer := &promisev1.EvaluateResponse{}
	for _, g := range r.GetGroups() {
		v := &typev1.Verdict{Promise: g.GetPromise(), Sequence: g.GetSequence()}
		for _, e := range g.GetEntries() {
			v.Message = e.GetMessage()
			v.TestFailed = v.TestFailed || e.GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR
		}
		// The newest of a promise is the last.
		answer.Verdicts = append(slices.DeleteFunc(answer.Verdicts, func(o *typev1.Verdict) bool { return o.GetPromise() == v.GetPromise() }), v)
	}
	return answer, nil
}

// allocate puts an instance into a partition.
func (c *control) allocate(partition, allocation string, number uint64, release string) *masterv1.DesiredPartition {
	d := &masterv1.DesiredPartition{
		Partition: partition, AllocationId: allocation, InstanceId: "t1.i1", TreeId: "t1", Title: "web", RootTitle: "web",
		Generation: &typev1.Generation{Epoch: 1, Number: number}, SoftwareRelease: release, SoftwareType: "default",
		State: typev1.RequestedState_REQUESTED_STATE_STARTED, Period: durationpb.New(time.Hour),
	}
	c.want(d)
	return d
}

// want changes what is wanted of a partition, and tells it.
func (c *control) want(d *masterv1.DesiredPartition) {
	c.mu.Lock()
	c.desired[d.GetPartition()] = proto.CloneOf(d)
	c.mu.Unlock()
	c.deltas <- &masterv1.WatchDesiredResponse{Partitions: []*masterv1.DesiredPartition{proto.CloneOf(d)}}
}

// order hands an order over and returns the id of its run.
func (c *control) order(partition, allocation string, number int) string {
	return c.orderAfter(0, partition, allocation, number)
}

// orderAfter hands over an order that holds its run back.
func (c *control) orderAfter(hold time.Duration, partition, allocation string, number int) string {
	id := fmt.Sprintf("run-of-the-test-%04d", number)
	c.orders <- &schedulerv1.OrdersResponse{Message: &schedulerv1.OrdersResponse_Order{Order: &schedulerv1.Order{
		RunId: id, Computer: computer, Partition: partition, AllocationId: allocation, Cause: typev1.Cause_CAUSE_CHANGED, Attempt: 1,
		DueAt: timestamppb.Now(), OrderedAt: timestamppb.Now(), BeginAfter: durationpb.New(hold),
	}}}
	return id
}

// cut makes a service away; heal brings it back.
func (c *control) cut(host string) {
	c.network.Cut("node", host, memnet.Drop)
	c.network.Reset("node", host)
}
func (c *control) heal(host string) { c.network.Heal("node", host) }

// look reads what was remembered.
func look[T any](c *control, read func() T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return read()
}

func (c *control) dial(ctx context.Context, _, address string) (net.Conn, error) {
	return c.network.Dial(ctx, "node", address)
}
