package app

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

// master is svc-master with one tree, t1, in shard 0: what it tells is the truth, and the feed hints at it.
type master struct {
	masterv1connect.UnimplementedFeedServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	masterv1connect.UnimplementedTreeServiceHandler
	masterv1connect.UnimplementedAuditServiceHandler

	mu          sync.Mutex
	generation  uint64
	bangs       uint64
	tokens      uint64
	membership  uint64
	allocations map[string]*masterv1.Allocation
	feed        []*masterv1.FeedEntry
	deaf        bool          // the feed tells nothing
	news        chan struct{} // closed at the next entry
	contacts    map[string]time.Time
	readings    int
	acts        []*masterv1.RecordActRequest
	full        bool // no act is written down
}

func newMaster() *master {
	return &master{allocations: map[string]*masterv1.Allocation{}, news: make(chan struct{}), contacts: map[string]time.Time{}}
}

func (m *master) gen() *typev1.Generation { return &typev1.Generation{Epoch: 1, Number: m.generation} }

// tell adds an entry; m.mu is held.
func (m *master) tell(e *masterv1.FeedEntry) {
	e.Position = &masterv1.Position{Shard: 0, Epoch: 1, Sequence: uint64(len(m.feed) + 1)}
	e.TreeId, e.Generation, e.Membership, e.At = "t1", m.gen(), m.membership, timestamppb.Now()
	m.feed = append(m.feed, e)
	close(m.news)
	m.news = make(chan struct{})
}

// allocate puts instance n on a computer.
func (m *master) allocate(n int, computer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
	m.membership++
	p := fmt.Sprintf("slappart%d", n)
	m.allocations[p] = &masterv1.Allocation{
		AllocationId: fmt.Sprintf("t1.a%d", n), InstanceId: fmt.Sprintf("t1.i%d", n), TreeId: "t1", Title: fmt.Sprintf("db%d", n), Computer: computer, Partition: p,
		Period: durationpb.New(24 * time.Hour), Wanted: m.gen(), WantedCause: typev1.Cause_CAUSE_CHANGED, Changed: m.gen(),
	}
	m.tell(&masterv1.FeedEntry{Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED, InstanceIds: []string{fmt.Sprintf("t1.i%d", n)}})
}

// bang makes a generation that concerns everyone.
func (m *master) bang(trace telemetry.Carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
	m.bangs++
	hint := &masterv1.BangHint{
		BangId: fmt.Sprintf("t1.b%d", m.bangs), Number: m.bangs, At: timestamppb.Now(),
		Trace: &typev1.TraceContext{Traceparent: trace.Traceparent, Baggage: trace.Baggage},
	}
	for _, a := range m.allocations {
		a.Wanted, a.WantedCause, a.Bang = m.gen(), typev1.Cause_CAUSE_BANG, hint
	}
	m.tell(&masterv1.FeedEntry{Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_BANG, Bang: hint})
}

// begin is BeginRun of an order.
func (m *master) begin(o *schedulerv1.Order) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens++
	a := m.allocations[o.GetPartition()]
	a.Run = &masterv1.RunHint{RunId: o.GetRunId(), Token: m.tokens, Generation: a.Wanted}
	m.tell(&masterv1.FeedEntry{
		Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_BEGUN, Computer: a.Computer, Partition: a.Partition, AllocationId: a.AllocationId,
		Run: proto.CloneOf(a.Run),
	})
}

// report is ReportRun of an order.
func (m *master) report(o *schedulerv1.Order, result typev1.RunResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.allocations[o.GetPartition()]
	run := proto.CloneOf(a.Run)
	run.Result = result
	if result == typev1.RunResult_RUN_RESULT_SUCCESS {
		a.Settled = run.Generation
	}
	a.Latest = &masterv1.RunSummary{RunId: o.GetRunId(), Result: result, ReportedAt: timestamppb.Now(), Attempt: o.GetAttempt()}
	a.Run = nil
	m.tell(&masterv1.FeedEntry{
		Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_REPORTED, Computer: a.Computer, Partition: a.Partition, AllocationId: a.AllocationId, Run: run,
	})
}

func (m *master) Follow(ctx context.Context, req *masterv1.FollowRequest, stream *connect.ServerStream[masterv1.FollowResponse]) error {
	m.mu.Lock()
	at := len(m.feed)
	for _, p := range req.GetFrom() {
		at = int(p.GetSequence())
	}
	m.mu.Unlock()
	if err := stream.Send(&masterv1.FollowResponse{Start: []*masterv1.Position{{Shard: 0, Epoch: 1, Sequence: uint64(at)}}}); err != nil {
		return err
	}
	for {
		m.mu.Lock()
		entries, news := m.feed[at:], m.news
		at = len(m.feed)
		if m.deaf {
			entries = nil
		}
		m.mu.Unlock()
		if len(entries) > 0 {
			if err := stream.Send(&masterv1.FollowResponse{Entries: entries}); err != nil {
				return err
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *master) ListAllocations(_ context.Context, req *masterv1.ListAllocationsRequest) (*masterv1.ListAllocationsResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readings++
	res := &masterv1.ListAllocationsResponse{}
	for _, computer := range req.GetComputers() {
		if computer != "c1" && computer != "c2" {
			return nil, rpc.NotFound(fmt.Errorf("cannot find computer %q", computer))
		}
	}
	for _, a := range m.allocations {
		wanted := len(req.GetTreeIds()) > 0
		for _, computer := range req.GetComputers() {
			wanted = wanted || a.GetComputer() == computer
		}
		if wanted || (req.GetUnsettled() && a.GetWanted().GetNumber() > a.GetSettled().GetNumber()) {
			c := proto.CloneOf(a)
			c.Membership = m.membership
			res.Allocations = append(res.Allocations, c)
		}
	}
	return res, nil
}

func (m *master) ReportContacts(_ context.Context, r *masterv1.ReportContactsRequest) (*masterv1.ReportContactsResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range r.GetContacts() {
		m.contacts[c.GetComputer()] = c.GetAt().AsTime()
	}
	return &masterv1.ReportContactsResponse{}, nil
}

// serve starts the master on a network.
func (m *master) serve(t testing.TB, s *story) {
	t.Helper()
	listener, err := s.network.Listen("master:1")
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	server.Handle(masterv1connect.NewFeedServiceHandler(m, server.HandlerOptions()...))
	server.Handle(masterv1connect.NewLinkServiceHandler(m, server.HandlerOptions()...))
	server.Handle(masterv1connect.NewTreeServiceHandler(m, server.HandlerOptions()...))
	server.Handle(masterv1connect.NewAuditServiceHandler(m, server.HandlerOptions()...))
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.atEnd(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stop the master: %v", err)
		}
	})
}
