package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// release is what every instance of a fleet runs.
const release = "file:///hollow/software.cfg"

// seeders is how many callers make a fleet.
const seeders = 64

// Fleet is computers with hollow nodes, and the trees on them.
type Fleet struct {
	Plane *Plane
	Nodes []*Node
	// Trees are the ids of the trees, in the order of their making.
	Trees []string

	clients []*rpc.Client
	watch   Watch
	reports atomic.Int64
	mu      sync.Mutex
	failed  error
	started bool
}

// Shape of a fleet.
type Shape struct {
	// Nodes and the Partitions of each.
	Nodes, Partitions int
	// Tree is how many instances each tree has; they fill the nodes one after the other. The last tree may have fewer.
	Tree int
	// Slots of each node, Run how long a run takes, Period of each computer.
	Slots  int
	Run    time.Duration
	Period time.Duration
}

// spareFiles are those of a load generator beside the connections of its nodes.
const spareFiles = 200

// fits tells whether this process may open a connection to each service for each node. The services have one for each node, and less.
func fits(nodes, services int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot ask how many files may be open: %w", err)
	}
	if needed := uint64(nodes*services + spareFiles); limit.Cur < needed {
		return fmt.Errorf("cannot connect %d nodes to %d services: they need %d open files, and %d are allowed (ulimit -n)", nodes, services, needed, limit.Cur)
	}
	return nil
}

// Make registers the computers and requests the trees; Connect starts the nodes.
func Make(ctx context.Context, p *Plane, s Shape, watch Watch) (*Fleet, error) {
	f := &Fleet{Plane: p, watch: watch}
	if err := fits(s.Nodes, len(p.Services)); err != nil {
		return f, err
	}
	for range 8 {
		c, err := p.Client(Master)
		if err != nil {
			return f, err
		}
		f.clients = append(f.clients, c)
	}
	computers := make([]string, s.Nodes)
	for i := range computers {
		computers[i] = fmt.Sprintf("hollow%d", i)
	}
	if err := f.each(ctx, s.Nodes, func(i int) error { return f.register(ctx, computers[i], s) }); err != nil {
		return f, err
	}
	total := s.Nodes * s.Partitions
	trees := (total + s.Tree - 1) / s.Tree
	f.Trees = make([]string, trees)
	roots := make([]string, trees)
	place := func(n int) string { return computers[n/s.Partitions] }
	err := f.each(ctx, trees, func(t int) error {
		i, err := f.request(ctx, fmt.Sprintf("tree%d", t), "", place(t*s.Tree))
		f.Trees[t], roots[t] = i.GetTreeId(), i.GetInstanceId()
		return err
	})
	if err != nil {
		return f, err
	}
	// Neighbours in time are on different computers: reservations of one computer exclude each other.
	err = f.each(ctx, total, func(i int) error {
		n := i%s.Nodes*s.Partitions + i/s.Nodes
		if n%s.Tree == 0 {
			return nil
		}
		_, err := f.request(ctx, fmt.Sprintf("n%d", n), roots[n/s.Tree], place(n))
		return err
	})
	if err != nil {
		return f, err
	}
	for _, computer := range computers {
		n, err := NewNode(p, computer, s.Slots, Watch{Ordered: watch.Ordered, Owned: watch.Owned, Reported: f.reported, Failed: f.fail})
		if err != nil {
			return f, err
		}
		n.Run = s.Run
		f.Nodes = append(f.Nodes, n)
	}
	return f, nil
}

// each does all, seeders at a time, and returns the first error.
func (f *Fleet) each(ctx context.Context, all int, one func(i int) error) error {
	var next atomic.Int64
	var callers sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range min(seeders, all) {
		callers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= all {
					return
				}
				if err := one(i); err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	callers.Wait()
	return first
}

func (f *Fleet) client(i int) *rpc.Client { return f.clients[i%len(f.clients)] }

func (f *Fleet) register(ctx context.Context, computer string, s Shape) error {
	c := f.client(len(computer) + int(computer[len(computer)-1]))
	req := &masterv1.RegisterComputerRequest{Computer: computer, Cpus: uint32(s.Slots)}
	if s.Period > 0 {
		req.Periodicity = durationpb.New(s.Period)
	}
	for i := range s.Partitions {
		req.Partitions = append(req.Partitions, &masterv1.Partition{Name: fmt.Sprintf("slappart%d", i)})
	}
	if _, err := masterv1connect.NewComputerServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).RegisterComputer(ctx, req); err != nil {
		return fmt.Errorf("cannot register %s: %w", computer, err)
	}
	software := masterv1connect.NewSoftwareServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	if _, err := software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: release, Computer: computer}); err != nil {
		return fmt.Errorf("cannot supply %s: %w", computer, err)
	}
	_, err := software.ReportSoftwareState(ctx, &masterv1.ReportSoftwareStateRequest{SoftwareRelease: release, Computer: computer, State: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE})
	return err
}

func (f *Fleet) request(ctx context.Context, title, requester, computer string) (*masterv1.Instance, error) {
	c := f.client(len(title) + int(title[len(title)-1]))
	instances := masterv1connect.NewInstanceServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	var res *masterv1.RequestInstanceResponse
	var err error
	// A request that lost the race for its computer is stored, and placed when it is asked for again.
	late := Until(ctx, title+" is placed", func() bool {
		res, err = instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: title, RequesterId: requester, SoftwareRelease: release, Computer: computer})
		return err != nil || res.GetInstance().GetAllocationId() != ""
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot request %s: %w", title, err)
	case late != nil:
		return nil, fmt.Errorf("cannot place %s on %s: %s: %w", title, computer, res.GetReason(), late)
	}
	return res.GetInstance(), nil
}

func (f *Fleet) reported(n *Node, closed string) {
	f.reports.Add(1)
	if f.watch.Reported != nil {
		f.watch.Reported(n, closed)
	}
}

func (f *Fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
	if f.watch.Failed != nil {
		f.watch.Failed(err)
	}
}

// Failed is the first run that svc-master did not take; nil = none.
func (f *Fleet) Failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Reports counts the acknowledged reports.
func (f *Fleet) Reports() int64 { return f.reports.Load() }

// Connect starts the nodes, spread over a time, and waits until all their streams are open.
func (f *Fleet) Connect(ctx context.Context, spread time.Duration) error {
	if !f.started {
		f.started = true
		tick := time.NewTicker(max(spread/time.Duration(len(f.Nodes)), 50*time.Microsecond))
		defer tick.Stop()
		for _, n := range f.Nodes {
			n.Start(ctx)
			<-tick.C
		}
	}
	return f.Connected(ctx)
}

// connectPatience is how long each node may take, beside patience, when they come one after the other: four streams and a first run cost 5 ms of processors.
const connectPatience = 50 * time.Millisecond

// Connected waits until all streams are open, for patience and connectPatience for each node.
func (f *Fleet) Connected(ctx context.Context) error {
	err := within(ctx, patience+time.Duration(len(f.Nodes))*connectPatience, "all nodes are connected", func() bool { return f.Apart() == 0 })
	if err == nil {
		return nil
	}
	for _, n := range f.Nodes {
		if !n.Connected() {
			return errors.Join(fmt.Errorf("%w; %d of %d are not, %s among them", err, f.Apart(), len(f.Nodes), n.Computer), n.Lost())
		}
	}
	return err
}

// Apart counts the nodes that do not have all their streams.
func (f *Fleet) Apart() int {
	apart := 0
	for _, n := range f.Nodes {
		if !n.Connected() {
			apart++
		}
	}
	return apart
}

// Settle waits until every member has a successful run of the newest generation.
func (f *Fleet) Settle(ctx context.Context) error {
	c := f.clients[0]
	feed := masterv1connect.NewFeedServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	left := 0
	err := within(ctx, patience+time.Duration(len(f.Nodes))*connectPatience, "all partitions are settled", func() bool {
		res, err := feed.ListAllocations(ctx, &masterv1.ListAllocationsRequest{Unsettled: true})
		left = len(res.GetAllocations())
		return err == nil && left == 0
	})
	if err != nil {
		return fmt.Errorf("%w; %d are not", err, left)
	}
	return nil
}

// Banger bangs trees by hand.
type Banger func(ctx context.Context, treeID, requestID string) (*masterv1.BangResult, error)

// Banger is one of the callers that share the fleet's own connections.
func (f *Fleet) Banger(i int) Banger { return NewBanger(f.client(i)) }

// NewBanger bangs over a client of svc-master.
func NewBanger(c *rpc.Client) Banger {
	bangs := masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	return func(ctx context.Context, treeID, requestID string) (*masterv1.BangResult, error) {
		res, err := bangs.Bang(ctx, &masterv1.BangRequest{
			RequestId: requestID, Target: &masterv1.BangRequest_TreeId{TreeId: treeID}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "bench",
		})
		if err != nil {
			return nil, err
		}
		return res.GetResults()[0], nil
	}
}

// Red counts the partitions of a tree that are Red for sure.
func (f *Fleet) Red(ctx context.Context, treeID string) (int, error) {
	c := f.clients[0]
	res, err := masterv1connect.NewInstanceServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).ListInstances(ctx, &masterv1.ListInstancesRequest{Of: &masterv1.ListInstancesRequest_TreeId{TreeId: treeID}})
	red := 0
	for _, i := range res.GetInstances() {
		if colour := i.GetStatus().GetColour(); colour.GetColour() == typev1.Colour_COLOUR_RED && !colour.GetUnconfirmed() {
			red++
		}
	}
	return red, err
}

// Close ends the nodes and the clients.
func (f *Fleet) Close() {
	var all sync.WaitGroup
	for _, n := range f.Nodes {
		all.Go(n.Stop)
	}
	all.Wait()
	for _, c := range f.clients {
		c.Close()
	}
}
