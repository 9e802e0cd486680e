package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// master takes bangs and contacts, and answers with err while it is set.
type master struct {
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	masterv1connect.UnimplementedAuditServiceHandler
	acts     []*masterv1.RecordActRequest // by the calls, one after the other
	bangs    chan *masterv1.BangRequest
	contacts chan []*masterv1.Contact
	away     chan bool // holds whether it is away
}

func (m *master) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	away := <-m.away
	m.away <- away
	if away {
		return nil, rpc.Errorf(rpc.CodeUnavailable, "away")
	}
	m.bangs <- r
	return &masterv1.BangResponse{}, nil
}

func (m *master) ReportContacts(_ context.Context, r *masterv1.ReportContactsRequest) (*masterv1.ReportContactsResponse, error) {
	m.contacts <- r.GetContacts()
	return &masterv1.ReportContactsResponse{}, nil
}

func (m *master) RecordAct(_ context.Context, r *masterv1.RecordActRequest) (*masterv1.RecordActResponse, error) {
	away := <-m.away
	m.away <- away
	if away {
		return nil, rpc.Unavailable(errors.New("away"))
	}
	m.acts = append(m.acts, r)
	return &masterv1.RecordActResponse{}, nil
}

// story is a svc-promise with a master, in a network of its own.
type story struct {
	t       *testing.T
	master  *master
	redis   *store.Store
	network *memnet.Network
	service *App
	sense   promisev1connect.SenseServiceClient
	promise promisev1connect.PromiseServiceClient
}

func begin(t *testing.T) *story {
	t.Helper()
	network := memnet.New()
	s := &story{t: t, redis: storetest.Embedded(t), network: network, master: &master{bangs: make(chan *masterv1.BangRequest, 100), contacts: make(chan []*masterv1.Contact, 1000), away: make(chan bool, 1)}}
	s.master.away <- false
	listener, err := network.Listen("master:1")
	if err != nil {
		t.Fatal(err)
	}
	fake, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	fake.Handle(masterv1connect.NewBangServiceHandler(s.master, fake.HandlerOptions()...))
	fake.Handle(masterv1connect.NewLinkServiceHandler(s.master, fake.HandlerOptions()...))
	fake.Handle(masterv1connect.NewAuditServiceHandler(s.master, fake.HandlerOptions()...))
	if err := fake.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.start()
	client, err := rpc.NewClient(rpc.Target{Address: "promise:1"}, rpc.ClientSettings{Dial: network.Dialer("laptop")})
	if err != nil {
		t.Fatal(err)
	}
	s.sense = promisev1connect.NewSenseServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	s.promise = promisev1connect.NewPromiseServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	t.Cleanup(func() {
		client.Close()
		s.stop()
		if err := fake.Stop(context.Background()); err != nil {
			t.Errorf("stop the master: %v", err)
		}
		synctest.Wait()
	})
	return s
}

// start starts the service, with nothing in memory.
func (s *story) start() {
	s.t.Helper()
	listener, err := s.network.Listen("promise:1")
	if err != nil {
		s.t.Fatal(err)
	}
	if s.service, err = New(Config{Master: "master:1"}, Settings{Server: rpc.Settings{Listener: listener}, Store: s.redis, Dial: s.network.Dialer("promise")}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.service.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) stop() {
	s.t.Helper()
	if err := s.service.Stop(context.Background()); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

// node is one open Sense stream.
type node struct {
	t    *testing.T
	send func(*promisev1.SenseRequest) error
	got  chan *promisev1.SenseResponse
}

func (s *story) open() *node {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	return s.openOn(ctx)
}

// openOn opens a stream that lasts as long as ctx.
func (s *story) openOn(ctx context.Context) *node {
	s.t.Helper()
	stream, err := s.sense.Sense(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	n := &node{t: s.t, send: stream.Send, got: make(chan *promisev1.SenseResponse, 1000)}
	if err := n.send(&promisev1.SenseRequest{Hello: &promisev1.SenseHello{Computer: "laptop"}}); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(n.got)
		for {
			response, err := stream.Receive()
			if err != nil {
				return
			}
			n.got <- response
		}
	}()
	synctest.Wait()
	if first := <-n.got; len(first.GetReplay()) != 1 {
		s.t.Fatalf("first response %v, want a request for replay", first)
	}
	return n
}

// acknowledged is the newest acknowledgement so far.
func (n *node) acknowledged() uint64 {
	synctest.Wait()
	var last uint64
	for {
		select {
		case r := <-n.got:
			last = max(last, r.GetAcknowledged())
		default:
			return last
		}
	}
}

// tell sends one group in one batch.
func (n *node) tell(batch uint64, g *typev1.SenseGroup, change ...func(*promisev1.AllocationGroups)) {
	n.t.Helper()
	a := &promisev1.AllocationGroups{
		Runs:   &promisev1.PartitionRuns{AllocationId: "t0.a1", Partition: "slappart0", LatestSuccess: true, LastSuccessRunId: "run-1"},
		Groups: []*typev1.SenseGroup{g},
	}
	for _, c := range change {
		c(a)
	}
	if err := n.send(&promisev1.SenseRequest{Batch: batch, Allocations: []*promisev1.AllocationGroups{a}}); err != nil {
		n.t.Fatal(err)
	}
	synctest.Wait()
}

func group(sequence uint64, failed bool) *typev1.SenseGroup {
	level := typev1.LogLevel_LOG_LEVEL_INFO
	if failed {
		level = typev1.LogLevel_LOG_LEVEL_ERROR
	}
	return &typev1.SenseGroup{
		Promise: "listening", Sequence: sequence, At: timestamppb.Now(), Kind: typev1.PromiseKind_PROMISE_KIND_BUILTIN,
		Entries: []*typev1.LogEntry{{Level: level, Message: "port 80"}},
	}
}

func (s *story) bangs() int {
	synctest.Wait()
	return len(s.master.bangs)
}

func TestAnAnomalyBangsOnceAndItsBatchIsAcknowledgedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		n.tell(1, group(1, false))
		n.tell(2, group(2, true))
		n.tell(3, group(3, true))
		if got := s.bangs(); got != 1 {
			t.Fatalf("%d bangs, want 1", got)
		}
		if b := <-s.master.bangs; b.GetSource() != "listening" || b.GetLastSuccessRunId() != "run-1" || b.GetMessage() != "port 80" {
			t.Errorf("bang %v", b)
		}
		if got := n.acknowledged(); got != 3 {
			t.Errorf("acknowledged %d, want 3", got)
		}
	})
}

func TestABatchWithABangIsNotAcknowledgedWhileSvcMasterIsAwayAndTheBangIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		<-s.master.away
		s.master.away <- true
		n.tell(1, group(1, true))
		time.Sleep(30 * time.Second) // virtual
		if got := n.acknowledged(); got != 0 {
			t.Fatalf("batch %d acknowledged while its bang was on its way", got)
		}
		// The stream is lost and the batch sent again on the next: known, but still on its way.
		again := s.open()
		again.tell(1, group(1, true))
		if got := again.acknowledged(); got != 0 {
			t.Fatalf("batch %d acknowledged while its bang was on its way", got)
		}
		<-s.master.away
		s.master.away <- false
		time.Sleep(30 * time.Second) // virtual
		if got := s.bangs(); got != 1 {
			t.Errorf("%d bangs, want 1", got)
		}
		if got := again.acknowledged(); got != 1 {
			t.Errorf("acknowledged %d, want 1", got)
		}
	})
}

func TestWindowsAreFilledByReplayWhichNeverBangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		replayed := func(a *promisev1.AllocationGroups) { a.Replay = true }
		executable := func(sequence uint64) *typev1.SenseGroup {
			g := group(sequence, true)
			g.Kind = typev1.PromiseKind_PROMISE_KIND_EXECUTABLE
			return g
		}
		for sequence := uint64(1); sequence <= 4; sequence++ {
			n.tell(sequence, executable(sequence), replayed)
		}
		if got := s.bangs(); got != 0 {
			t.Fatalf("%d bangs by replay, want none", got)
		}
		n.tell(5, executable(5))
		if got := s.bangs(); got != 1 {
			t.Errorf("%d bangs by the first group after replay, want 1: the window was full", got)
		}
	})
}

// The run's groups went to another replica: this one lacks them, asks, and what it is sent completes the window of the newest group.
func TestAWindowThatLacksAGroupIsFilledAndThenBangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		executable := func(sequence, previous uint64) *typev1.SenseGroup {
			g := group(sequence, true)
			g.Kind, g.Previous = typev1.PromiseKind_PROMISE_KIND_EXECUTABLE, previous
			return g
		}
		n.tell(1, executable(1, 0))
		n.tell(2, executable(2, 1))
		n.tell(3, executable(4, 3))
		if got := s.bangs(); got != 0 {
			t.Fatalf("%d bangs of a window with a hole, want none", got)
		}
		var asked []string
		for len(n.got) > 0 {
			for _, wanted := range (<-n.got).GetReplay() {
				asked = append(asked, wanted.GetAllocationId())
			}
		}
		if !slices.Equal(asked, []string{"t0.a1"}) {
			t.Fatalf("asked for %v, want t0.a1 once", asked)
		}
		n.tell(4, executable(3, 2), func(a *promisev1.AllocationGroups) { a.Replay = true })
		if got := s.bangs(); got != 1 {
			t.Errorf("%d bangs when the window is complete, want 1", got)
		}
	})
}

func TestAPluginsOwnVerdictsTravelInItsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		fails := group(1, false)
		fails.OwnTest = &typev1.OwnVerdict{Message: "fine"}
		fails.OwnAnomaly = &typev1.OwnVerdict{Failed: true, Message: "slower than last week"}
		n.tell(1, fails)
		if b := <-s.master.bangs; !b.GetNotAllowed() || b.GetMessage() != "slower than last week" {
			t.Errorf("a TestResult from anomaly() told %v, want a bang that is not allowed", b)
		}
		fails = group(2, false)
		fails.OwnAnomaly = &typev1.OwnVerdict{Failed: true, AnomalyResult: true, Message: "slower still"}
		n.tell(2, fails, func(a *promisev1.AllocationGroups) { a.Runs.LastSuccessRunId = "run-2" })
		if b := <-s.master.bangs; b.GetNotAllowed() || b.GetMessage() != "slower still" {
			t.Errorf("an AnomalyResult told %v, want a bang", b)
		}
	})
}

func TestEvaluateTestsTheGroupsOfARunAndNeverBangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		passes := group(1, false)
		passes.Promise = "other"
		response, err := s.promise.Evaluate(t.Context(), &promisev1.EvaluateRequest{
			Computer: "laptop", AllocationId: "t0.a1", Partition: "slappart0", RunId: "run-2", Groups: []*typev1.SenseGroup{group(1, true), group(2, true), passes},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range response.GetVerdicts() {
			got = append(got, v.GetPromise()+map[bool]string{true: " failed", false: " passed"}[v.GetTestFailed()])
		}
		if want := []string{"listening failed", "other passed"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if s.bangs() != 0 {
			t.Error("a run's group banged")
		}
		kept, err := s.promise.Verdicts(t.Context(), &promisev1.VerdictsRequest{AllocationId: "t0.a1"})
		if err != nil || len(kept.GetVerdicts()) != 2 {
			t.Errorf("verdicts afterwards: %v, %v", kept, err)
		}
	})
}

func TestAComputerThatHoldsAStreamIsAContactEvenWhenItSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		s.open()
		time.Sleep(10 * time.Minute) // virtual
		synctest.Wait()
		var newest time.Time
		for len(s.master.contacts) > 0 {
			for _, c := range <-s.master.contacts {
				if c.GetComputer() == "laptop" && c.GetAt().AsTime().After(newest) {
					newest = c.GetAt().AsTime()
				}
			}
		}
		if age := time.Since(newest); age > time.Minute {
			t.Errorf("the newest contact is %s old after 10 silent minutes", age)
		}
	})
}

func TestBadInputIsRefusedWithTheNameOfTheField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		for field, r := range map[string]*promisev1.EvaluateRequest{
			"computer":           {AllocationId: "t0.a1", Partition: "p", RunId: "r"},
			"allocation_id":      {Computer: "c", Partition: "p", RunId: "r"},
			"groups[0].sequence": {Computer: "c", AllocationId: "t0.a1", Partition: "p", RunId: "r", Groups: []*typev1.SenseGroup{{Promise: "x", At: timestamppb.Now()}}},
		} {
			_, err := s.promise.Evaluate(t.Context(), r)
			if !rpc.IsInvalidArgument(err) {
				t.Errorf("%s: %v, want INVALID_ARGUMENT", field, err)
			} else if !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %q does not name the field", field, err)
			}
		}
	})
}
