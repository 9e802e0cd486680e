package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/wait"
)

const (
	// defaultWindow is what a node reconnects within until it is advised.
	defaultWindow = 500 * time.Millisecond
	// firstReconnect bounds the wait before the first attempt after a loss, as an agent's does.
	firstReconnect = 250 * time.Millisecond
)

// Watch is told what nodes see. Its functions are called from many goroutines and must not wait; nil ones are not called.
type Watch struct {
	// Ordered is called with each order.
	Ordered func(n *Node, o *schedulerv1.Order)
	// Owned is called when a stream of orders is open: a replica of svc-scheduler owns the computer's agenda.
	Owned func(n *Node)
	// Reported is called with each acknowledged report.
	Reported func(n *Node, closed string)
	// Failed is called with each run that svc-master did not take.
	Failed func(err error)
}

// Node is a hollow node: a connection to each service, the streams of a real agent, runs without content.
type Node struct {
	Computer string
	// Slots are how many runs it carries out at once.
	Slots int
	// Run is how long each takes.
	Run time.Duration

	watch   Watch
	clients map[string][]*rpc.Client // of each replica
	runs    masterv1connect.RunServiceClient
	open    atomic.Int32  // streams that are open
	replica atomic.Uint64 // of svc-scheduler that has the stream of orders
	window  atomic.Int64
	lost    atomic.Pointer[error] // why a stream ended last
	mu      sync.Mutex
	running map[string]bool
	ctx     context.Context
	stop    context.CancelFunc
	streams sync.WaitGroup
}

// streamsOfANode are Link, WatchDesired, Orders and Sense.
const streamsOfANode = 4

// NewNode makes a node of a plane; Start opens its streams.
func NewNode(p *Plane, computer string, slots int, watch Watch) (*Node, error) {
	n := &Node{Computer: computer, Slots: slots, watch: watch, clients: map[string][]*rpc.Client{}, running: map[string]bool{}}
	for _, s := range p.Services {
		client, err := rpc.NewClient(rpc.Target{Address: s.Address}, rpc.ClientSettings{})
		if err != nil {
			return nil, err
		}
		n.clients[s.Name] = append(n.clients[s.Name], client)
	}
	n.window.Store(int64(defaultWindow))
	n.replica.Store(rand.Uint64N(1 << 20))
	c := n.clients[Master][0]
	n.runs = masterv1connect.NewRunServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	return n, nil
}

// Start opens the streams and keeps them open until Stop.
func (n *Node) Start(ctx context.Context) {
	n.ctx, n.stop = context.WithCancel(ctx)
	for _, stream := range []func() (bool, error){n.link, n.desired, n.orders, n.sense} {
		n.streams.Go(func() { n.keep(stream) })
	}
}

// Connected tells whether all streams are open.
func (n *Node) Connected() bool { return n.open.Load() == streamsOfANode }

// Lost is why a stream of it ended last; nil = none did.
func (n *Node) Lost() error {
	if err := n.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// Replica is the replica of svc-scheduler that has, or will have, its stream of orders.
func (n *Node) Replica() int { return int(n.replica.Load() % uint64(len(n.clients[Scheduler]))) }

// Stop ends the node.
func (n *Node) Stop() {
	if n.stop != nil {
		n.stop()
	}
	for _, replicas := range n.clients {
		for _, c := range replicas {
			c.Close()
		}
	}
	n.streams.Wait()
}

// keep opens a stream again whenever it ends, after a random time within the advised window, as agents do; the first attempt after a loss comes early.
func (n *Node) keep(stream func() (bool, error)) {
	for n.ctx.Err() == nil {
		wasOpen, err := stream() // it ends when its service does
		n.lost.Store(&err)
		window := n.window.Load()
		if wasOpen {
			window = min(window, int64(firstReconnect))
		}
		_ = wait.For(n.ctx, time.Duration(rand.Int64N(window)+1))
	}
}

// opened counts a stream until the returned function is called.
func (n *Node) opened() func() {
	n.open.Add(1)
	return func() { n.open.Add(-1) }
}

func (n *Node) link() (wasOpen bool, err error) {
	c := n.clients[Master][0]
	stream, err := masterv1connect.NewLinkServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).Link(n.ctx)
	if err != nil {
		return wasOpen, err
	}
	defer func() { _ = stream.CloseRequest(); _ = stream.CloseResponse() }()
	hello := &masterv1.LinkHello{Computer: n.Computer, BootId: "bench", Version: "hollow"}
	if err := stream.Send(&masterv1.LinkRequest{Message: &masterv1.LinkRequest_Hello{Hello: hello}}); err != nil {
		return wasOpen, err
	}
	closed := func() {}
	defer func() { closed() }()
	for {
		m, err := stream.Receive()
		if err != nil {
			return wasOpen, err
		}
		if w := m.GetWelcome(); w != nil {
			if window := w.GetReconnectWindow().AsDuration(); window > 0 {
				n.window.Store(int64(window))
			}
			closed, wasOpen = n.opened(), true
		}
	}
}

func (n *Node) desired() (wasOpen bool, err error) {
	c := n.clients[Master][0]
	stream, err := masterv1connect.NewDesiredServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).WatchDesired(n.ctx, &masterv1.WatchDesiredRequest{Computer: n.Computer})
	if err != nil {
		return wasOpen, err
	}
	defer func() { _ = stream.Close() }()
	closed := func() {}
	defer func() { closed() }()
	for first := true; stream.Receive(); first = false {
		if first {
			closed, wasOpen = n.opened(), true
		}
	}
	return wasOpen, stream.Err()
}

func (n *Node) orders() (wasOpen bool, err error) {
	n.mu.Lock()
	var running []string
	for id := range n.running {
		running = append(running, id)
	}
	n.mu.Unlock()
	replicas := n.clients[Scheduler]
	c := replicas[int(n.replica.Load())%len(replicas)]
	defer n.replica.Add(1) // the next stream goes to the next replica
	stream, err := schedulerv1connect.NewOrderServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).Orders(n.ctx, &schedulerv1.OrdersRequest{
		Computer: n.Computer, BootId: "bench", Slots: uint32(n.Slots), Running: running,
	})
	if err != nil {
		return wasOpen, err
	}
	defer func() { _ = stream.Close() }()
	closed := func() {}
	defer func() { closed() }()
	for stream.Receive() {
		m := stream.Msg()
		if m.GetSession() != nil {
			closed, wasOpen = n.opened(), true
			if n.watch.Owned != nil {
				n.watch.Owned(n)
			}
		}
		if o := m.GetOrder(); o != nil {
			n.order(o)
		}
	}
	return wasOpen, stream.Err()
}

func (n *Node) sense() (wasOpen bool, err error) {
	c := n.clients[Promise][0]
	stream, err := promisev1connect.NewSenseServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).Sense(n.ctx)
	if err != nil {
		return wasOpen, err
	}
	defer func() { _ = stream.CloseRequest(); _ = stream.CloseResponse() }()
	if err := stream.Send(&promisev1.SenseRequest{Hello: &promisev1.SenseHello{Computer: n.Computer, BootId: "bench"}}); err != nil {
		return wasOpen, err
	}
	closed := func() {}
	defer func() { closed() }()
	for first := true; ; first = false {
		if _, err := stream.Receive(); err != nil {
			return wasOpen, err
		}
		if first {
			closed, wasOpen = n.opened(), true
		}
	}
}

// order begins a run at once, unless it has it in hand.
func (n *Node) order(o *schedulerv1.Order) {
	if n.watch.Ordered != nil {
		n.watch.Ordered(n, o)
	}
	n.mu.Lock()
	known := n.running[o.GetRunId()]
	n.running[o.GetRunId()] = true
	n.mu.Unlock()
	if known {
		return
	}
	n.streams.Go(func() {
		err := n.run(o)
		n.mu.Lock()
		delete(n.running, o.GetRunId())
		n.mu.Unlock()
		if err != nil && n.watch.Failed != nil && n.ctx.Err() == nil {
			n.watch.Failed(fmt.Errorf("cannot run %s of %s: %w", o.GetPartition(), n.Computer, err))
		}
	})
}

func (n *Node) run(o *schedulerv1.Order) error {
	if err := wait.For(n.ctx, o.GetBeginAfter().AsDuration()); err != nil {
		return err
	}
	begun, err := again(n.ctx, func() (*masterv1.BeginRunResponse, error) {
		return n.runs.BeginRun(n.ctx, &masterv1.BeginRunRequest{
			Computer: n.Computer, Partition: o.GetPartition(), AllocationId: o.GetAllocationId(), RunId: o.GetRunId(), Cause: o.GetCause(), Attempt: o.GetAttempt(),
			DueAt: o.GetDueAt(), OrderedAt: o.GetOrderedAt(),
		})
	})
	if err != nil {
		return err
	}
	if err := wait.For(n.ctx, n.Run); err != nil {
		return err
	}
	res, err := again(n.ctx, func() (*masterv1.ReportRunResponse, error) {
		return n.runs.ReportRun(n.ctx, &masterv1.ReportRunRequest{
			Computer: n.Computer, Partition: o.GetPartition(), AllocationId: o.GetAllocationId(), RunId: o.GetRunId(), Token: begun.GetToken(),
			Result: typev1.RunResult_RUN_RESULT_SUCCESS, DurationSeconds: n.Run.Seconds(),
		})
	})
	if err == nil && n.watch.Reported != nil {
		n.watch.Reported(n, res.GetClosedConvergenceId())
	}
	return err
}

// again repeats a call while its service is away, as the spool of an agent does.
func again[R any](ctx context.Context, call func() (R, error)) (R, error) {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		r, err := call()
		if err == nil || !rpc.IsRetryable(err) || ctx.Err() != nil {
			return r, err
		}
		if wait.For(ctx, delay/2+rand.N(delay)) != nil {
			return r, ctx.Err()
		}
	}
}
