package app

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

const (
	success = typev1.RunResult_RUN_RESULT_SUCCESS
	failure = typev1.RunResult_RUN_RESULT_FAILURE
)

// story is a master and a scheduler on a network and a store of their own.
type story struct {
	t       *testing.T
	network *memnet.Network
	store   *store.Store
	master  *master
	client  *rpc.Client
	// telemetry of the schedulers that start; nil = none.
	telemetry *telemetry.Telemetry
	ends      []func()
}

func (s *story) atEnd(f func()) { s.ends = append(s.ends, f) }

// tell runs a story in virtual time.
func tell(t *testing.T, fn func(t *testing.T, s *story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &story{t: t, network: memnet.New(), master: newMaster()}
		var err error
		if s.store, err = store.Open(t.Context(), store.Config{Embedded: true}, store.Settings{}); err != nil {
			t.Fatal(err)
		}
		s.atEnd(func() { _ = s.store.Stop(context.Background()) })
		s.master.serve(t, s)
		if s.client, err = rpc.NewClient(rpc.Target{Address: "scheduler:1"}, rpc.ClientSettings{Dial: s.network.Dialer("node")}); err != nil {
			t.Fatal(err)
		}
		s.atEnd(s.client.Close)
		defer func() {
			for i := len(s.ends) - 1; i >= 0; i-- {
				s.ends[i]()
			}
			synctest.Wait()
		}()
		fn(t, s)
	})
}

// start starts a scheduler; the function it returns stops it.
func (s *story) start() (stop func()) {
	s.t.Helper()
	listener, err := s.network.Listen("scheduler:1")
	if err != nil {
		s.t.Fatal(err)
	}
	service, err := New(Config{Master: "master:1"}, Settings{
		Server: rpc.Settings{Listener: listener}, Store: s.store, Dial: s.network.Dialer("scheduler"), Telemetry: s.telemetry,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := service.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	stop = func() {
		if err := service.Stop(context.Background()); err != nil {
			s.t.Errorf("stop: %v", err)
		}
	}
	s.atEnd(stop)
	synctest.Wait()
	return stop
}

func (s *story) agenda() schedulerv1connect.AgendaServiceClient {
	return schedulerv1connect.NewAgendaServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
}

// node is an open stream of orders.
type node struct {
	s      *story
	orders chan *schedulerv1.Order
	failed chan error
	close  func()
}

// open opens the stream of a computer.
func (s *story) open(computer string, slots uint32, running ...string) *node {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	n := &node{s: s, orders: make(chan *schedulerv1.Order, 1000), failed: make(chan error, 1), close: cancel}
	s.atEnd(cancel)
	client := schedulerv1connect.NewOrderServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	stream, err := client.Orders(ctx, &schedulerv1.OrdersRequest{Computer: computer, BootId: "boot1", Slots: slots, Running: running})
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for stream.Receive() {
			if o := stream.Msg().GetOrder(); o != nil {
				n.orders <- o
			}
		}
		n.failed <- stream.Err()
		_ = stream.Close()
	}()
	synctest.Wait()
	return n
}

// got is the orders that arrived by now.
func (n *node) got() []*schedulerv1.Order {
	synctest.Wait()
	var got []*schedulerv1.Order
	for {
		select {
		case o := <-n.orders:
			got = append(got, o)
		default:
			return got
		}
	}
}

func (n *node) want(count int) []*schedulerv1.Order {
	n.s.t.Helper()
	got := n.got()
	if len(got) != count {
		n.s.t.Fatalf("%d orders arrived: %v, want %d", len(got), got, count)
	}
	return got
}

// settle carries orders out until there are none.
func (n *node) settle() (runs int) {
	n.s.t.Helper()
	for {
		orders := n.got()
		if len(orders) == 0 {
			return runs
		}
		for _, o := range orders {
			n.s.master.begin(o)
			n.s.master.report(o, success)
			runs++
		}
	}
}

func TestABangReachesThreeOrders(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		for i := range 3 {
			s.master.allocate(i, "c1")
		}
		s.start()
		n := s.open("c1", 4)
		n.settle()
		at := time.Now()
		s.master.bang(telemetry.Carrier{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
		for _, o := range n.want(3) {
			if o.GetCause() != typev1.Cause_CAUSE_BANG || !o.GetParented() || o.GetAttempt() != 1 || len(o.GetBangs()) != 1 || o.GetBangs()[0].GetBangId() != "t1.b1" {
				t.Errorf("the order of a bang is %v", o)
			}
			if trace := o.GetTrace().GetTraceparent(); !strings.HasPrefix(trace, "00-0af7651916cd43dd8448eb211c80319c-") {
				t.Errorf("the order's trace is %q, not the bang's", trace)
			}
			if b := o.GetTrace().GetBaggage(); !strings.Contains(b, string(conv.BangID)+"=t1.b1") || !strings.Contains(b, string(conv.RunID)+"="+o.GetRunId()) {
				t.Errorf("the order's baggage is %q", b)
			}
		}
		if took := time.Since(at); took > 0 {
			t.Errorf("the orders took %s of virtual time", took)
		}
	})
}

func TestAHundredBangsDuringARunFoldIntoOneMore(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 4)
		n.settle()
		s.master.bang(telemetry.Carrier{})
		o := n.want(1)[0]
		s.master.begin(o)
		for range 100 {
			s.master.bang(telemetry.Carrier{})
		}
		n.want(0)
		s.master.report(o, success)
		o = n.want(1)[0]
		if o.GetFolds() != 99 || len(o.GetBangs()) != 8 || o.GetBangs()[0].GetBangId() != "t1.b101" || o.GetParented() {
			t.Errorf("the order after 100 bangs is %v", o)
		}
		s.master.begin(o)
		s.master.report(o, success)
		n.want(0)
	})
}

func TestWithoutAStreamThereAreNoOrdersAndNothingIsLost(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 4)
		n.settle()
		n.close()
		synctest.Wait()
		s.master.bang(telemetry.Carrier{})
		time.Sleep(time.Minute)
		n.want(0)
		again := s.open("c1", 4)
		if o := again.want(1)[0]; o.GetCause() != typev1.Cause_CAUSE_BANG {
			t.Errorf("the order is %v", o)
		}
	})
}

func TestAtMostSlotsOrdersAreUnreported(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		for i := range 10 {
			s.master.allocate(i, "c1")
		}
		s.start()
		n := s.open("c1", 3)
		for done := 0; done < 10; {
			orders := n.got()
			if len(orders) == 0 || len(orders) > 3 {
				t.Fatalf("%d orders at once", len(orders))
			}
			for _, o := range orders {
				s.master.begin(o)
			}
			n.want(0)
			for _, o := range orders {
				s.master.report(o, success)
				done++
			}
		}
		n.want(0)
	})
}

func TestAnOrderWithoutBeginRunIsHandedOverAgainWithItsRunID(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 3)
		first := n.want(1)[0]
		time.Sleep(4999 * time.Millisecond)
		n.want(0)
		time.Sleep(time.Millisecond)
		if again := n.want(1)[0]; again.GetRunId() != first.GetRunId() || again.GetTrace().GetTraceparent() != first.GetTrace().GetTraceparent() {
			t.Errorf("handed over %v, then %v", first, again)
		}
	})
}

func TestANewerStreamEndsTheOlder(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		older := s.open("c1", 3)
		first := older.want(1)[0]
		newer := s.open("c1", 3)
		if err := <-older.failed; rpc.CodeOf(err) != rpc.CodeAborted {
			t.Errorf("the older stream ended with %v", err)
		}
		if o := newer.want(1)[0]; o.GetRunId() != first.GetRunId() || o.GetSession() <= first.GetSession() {
			t.Errorf("the newer stream got %v after %v", o, first)
		}
	})
}

func TestAnUnknownComputerIsNotFound(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.start()
		n := s.open("nobody", 1)
		if err := <-n.failed; !rpc.IsNotFound(err) || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("the stream ended with %v", err)
		}
		if _, err := s.agenda().ListAgenda(t.Context(), &schedulerv1.ListAgendaRequest{Computer: "nobody"}); !rpc.IsNotFound(err) {
			t.Errorf("its agenda: %v", err)
		}
	})
}

func TestARestartHandsTheSameRunOverAndForgetsNothing(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		for i := range 3 {
			s.master.allocate(i, "c1")
		}
		stop := s.start()
		n := s.open("c1", 2)
		ordered := n.want(2)
		s.master.begin(ordered[0])
		synctest.Wait()
		stop()
		s.start()
		n = s.open("c1", 2, ordered[0].GetRunId())
		if again := n.want(1)[0]; again.GetRunId() != ordered[1].GetRunId() {
			t.Errorf("handed over %v, then %v", ordered[1], again)
		}
		s.master.report(ordered[0], success)
		third := n.want(1)[0]
		if third.GetPartition() == ordered[0].GetPartition() || third.GetPartition() == ordered[1].GetPartition() {
			t.Errorf("the third order is %v", third)
		}
	})
}

func TestALostHintIsFoundWithinThirtySeconds(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 2)
		n.settle()
		s.master.mu.Lock()
		s.master.deaf = true
		s.master.mu.Unlock()
		s.master.bang(telemetry.Carrier{})
		n.want(0)
		time.Sleep(30 * time.Second)
		if o := n.want(1)[0]; o.GetCause() != typev1.Cause_CAUSE_BANG {
			t.Errorf("the order is %v", o)
		}
	})
}

func TestAnInstanceAllocatedLaterIsOrdered(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		one, two := s.open("c1", 2), s.open("c2", 2)
		one.settle()
		s.master.allocate(1, "c2")
		if o := two.want(1)[0]; o.GetCause() != typev1.Cause_CAUSE_CHANGED || o.GetAllocationId() != "t1.a1" {
			t.Errorf("the order is %v", o)
		}
		one.want(0)
		// Destroyed: what is no longer allocated is forgotten.
		s.master.mu.Lock()
		delete(s.master.allocations, "slappart1")
		s.master.membership++
		s.master.mu.Unlock()
		s.master.bang(telemetry.Carrier{})
		one.want(1)
		two.want(0)
		list, err := s.agenda().ListAgenda(t.Context(), &schedulerv1.ListAgendaRequest{Computer: "c2"})
		if err != nil || len(list.GetEntries()) != 0 {
			t.Errorf("the agenda of c2 is %v, %v", list, err)
		}
	})
}

func TestTheAgendaSaysWhenAndWhy(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 2)
		o := n.want(1)[0]
		s.master.begin(o)
		s.master.report(o, failure)
		synctest.Wait()
		check := func(connected bool, part string) {
			t.Helper()
			got, err := s.agenda().GetAgenda(t.Context(), &schedulerv1.GetAgendaRequest{Computer: "c1", Partition: "slappart0"})
			if err != nil {
				t.Fatal(err)
			}
			e := got.GetEntry()
			if e.GetCause() != typev1.Cause_CAUSE_RETRY || e.GetAttempt() != 1 || e.GetConnected() != connected || !strings.Contains(e.GetReason(), part) || e.GetTitle() != "db0" {
				t.Errorf("the entry is %v", e)
			}
		}
		check(true, "growing delay, attempt 2: run failed")
		n.close()
		synctest.Wait()
		check(false, "computer has no stream")
		if _, err := s.agenda().GetAgenda(t.Context(), &schedulerv1.GetAgendaRequest{Computer: "c1", Partition: "slappart9"}); !rpc.IsNotFound(err) {
			t.Errorf("a free partition: %v", err)
		}
	})
}

func TestRunNowPauseAndResume(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 2)
		n.settle()
		ctx := t.Context()
		pause := &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_Computer{Computer: "c1"}, Reason: "moving"}
		if _, err := s.agenda().Pause(ctx, pause); err != nil {
			t.Fatal(err)
		}
		run := &schedulerv1.RunNowRequest{RequestId: "r1", Computer: "c1", Partition: "slappart0"}
		for range 2 {
			if _, err := s.agenda().RunNow(ctx, run); err != nil {
				t.Fatal(err)
			}
		}
		n.want(0)
		n.close()
		synctest.Wait()
		// Without a stream the stored agenda is changed.
		if _, err := s.agenda().Resume(ctx, &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_Computer{Computer: "c1"}}); err != nil {
			t.Fatal(err)
		}
		n = s.open("c1", 2)
		o := n.want(1)[0]
		if o.GetCause() != typev1.Cause_CAUSE_MANUAL {
			t.Errorf("the order is %v", o)
		}
		s.master.begin(o)
		s.master.report(o, success)
		if _, err := s.agenda().RunNow(ctx, run); err != nil {
			t.Fatal(err)
		}
		n.want(0) // the request is known
		if _, err := s.agenda().RunNow(ctx, &schedulerv1.RunNowRequest{RequestId: "r2", Computer: "c1", Partition: "slappart7"}); !rpc.IsNotFound(err) {
			t.Errorf("a free partition: %v", err)
		}
	})
}

func TestContactsOfOpenStreamsAreReported(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.start()
		s.open("c1", 2)
		time.Sleep(time.Minute)
		s.master.mu.Lock()
		at := s.master.contacts["c1"]
		s.master.mu.Unlock()
		if age := time.Since(at); age > 30*time.Second {
			t.Errorf("the last contact is %s old: a quiet connection is pinged every 15 s", age)
		}
	})
}

// TestANodeThatDoesNotReadIsCutOff says that a full connection does not hold an agenda for ever.
func TestANodeThatDoesNotReadIsCutOff(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		for i := range 1000 {
			s.master.allocate(i, "c1")
		}
		s.start()
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		small := &http.Transport{
			Protocols: protocols, DialContext: s.network.Dialer("slow"),
			HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10},
		}
		s.atEnd(small.CloseIdleConnections)
		ctx, cancel := context.WithCancel(t.Context())
		s.atEnd(cancel)
		client := schedulerv1connect.NewOrderServiceClient(&http.Client{Transport: small}, "http://scheduler:1")
		stream, err := client.Orders(ctx, &schedulerv1.OrdersRequest{Computer: "c1", BootId: "boot1", Slots: 1000})
		if err != nil || !stream.Receive() {
			t.Fatalf("cannot open the stream: %v, %v", err, stream.Err())
		}
		connected := func() bool {
			list, err := s.agenda().ListAgenda(t.Context(), &schedulerv1.ListAgendaRequest{Computer: "c1"})
			if err != nil || len(list.GetEntries()) != 1000 {
				t.Fatalf("the agenda has %d entries, %v", len(list.GetEntries()), err)
			}
			return list.GetEntries()[0].GetConnected()
		}
		time.Sleep(9 * time.Second)
		if !connected() {
			t.Error("cut off before the time-out")
		}
		time.Sleep(2 * time.Second)
		if connected() {
			t.Error("not cut off after the time-out")
		}
	})
}
