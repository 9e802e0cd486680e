package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

func (m *master) PauseTree(_ context.Context, req *masterv1.PauseTreeRequest) (*masterv1.PauseTreeResponse, error) {
	if req.GetTreeId() != "t1" {
		return nil, rpc.NotFound(errors.New("cannot find the tree"))
	}
	now := time.Now()
	pause := &typev1.Pause{Until: timestamppb.New(now.Add(req.GetDuration().AsDuration())), At: timestamppb.New(now), Reason: req.GetReason(), By: req.GetBy()}
	m.pause(pause)
	return &masterv1.PauseTreeResponse{Pause: pause}, nil
}

func (m *master) ResumeTree(_ context.Context, req *masterv1.ResumeTreeRequest) (*masterv1.ResumeTreeResponse, error) {
	m.pause(&typev1.Pause{At: timestamppb.Now(), By: req.GetBy()})
	return &masterv1.ResumeTreeResponse{}, nil
}

func (m *master) RecordAct(_ context.Context, req *masterv1.RecordActRequest) (*masterv1.RecordActResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return nil, rpc.Unavailable(errors.New("no space left"))
	}
	m.acts = append(m.acts, req)
	return &masterv1.RecordActResponse{}, nil
}

// A pause of a computer, and its end, are in svc-master's audit before they take effect; what cannot be written down is not done, and what is not done is not written down.
func TestAPauseOfAComputerIsWrittenDownOrNotMade(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		defer s.start()()
		s.open("c1", 1).settle()
		pause := &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_Computer{Computer: "c1"}, Duration: durationpb.New(time.Hour), Reason: "a new disk", By: "me"}
		resume := &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_Computer{Computer: "c1"}, By: "you"}
		s.master.mu.Lock()
		s.master.full = true
		s.master.mu.Unlock()
		if _, err := s.agenda().Pause(t.Context(), pause); rpc.CodeOf(err) != rpc.CodeUnavailable || !strings.Contains(err.Error(), "cannot write it down") {
			t.Errorf("a pause that nobody can write down: %v", err)
		}
		if res, err := s.agenda().ListAgenda(t.Context(), &schedulerv1.ListAgendaRequest{Computer: "c1"}); err != nil || res.GetEntries()[0].GetPause() != nil {
			t.Errorf("the agenda is %v, %v", res, err)
		}
		s.master.mu.Lock()
		s.master.full = false
		s.master.mu.Unlock()
		if _, err := s.agenda().Resume(t.Context(), resume); err != nil { // nothing is paused
			t.Error(err)
		}
		if _, err := s.agenda().Pause(t.Context(), &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_Computer{Computer: "nobody"}}); !rpc.IsNotFound(err) {
			t.Errorf("pausing a computer that there is not: %v", err)
		}
		if _, err := s.agenda().Pause(t.Context(), pause); err != nil {
			t.Error(err)
		}
		if _, err := s.agenda().Resume(t.Context(), resume); err != nil {
			t.Error(err)
		}
		acts := s.master.acts
		if len(acts) != 2 || acts[0].GetKind() != masterv1.AuditKind_AUDIT_KIND_COMPUTER_PAUSED || acts[0].GetBy() != "me" || !strings.HasSuffix(acts[0].GetReason(), ": a new disk") ||
			acts[1].GetKind() != masterv1.AuditKind_AUDIT_KIND_COMPUTER_RESUMED || acts[1].GetBy() != "you" || acts[1].GetComputer() != "c1" {
			t.Errorf("written down are %v, want a pause and its end", acts)
		}
	})
}

// pause of the tree is a new version of its membership.
func (m *master) pause(p *typev1.Pause) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
	m.membership++
	p.Generation = m.gen()
	for _, a := range m.allocations {
		a.Pause = p
	}
	m.tell(&masterv1.FeedEntry{Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED})
}

// A pause of a tree is svc-master's: whoever owns a computer with partitions of it learns it from the feed, keeps it over a restart, says it, and goes on at
// the end by itself.
func TestAPausedTreeGetsNoOrders(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.master.allocate(1, "c2")
		stop := s.start()
		nodes := []*node{s.open("c1", 2), s.open("c2", 2)}
		for _, n := range nodes {
			n.settle()
		}
		ctx := t.Context()
		req := &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_TreeId{TreeId: "t1"}, Duration: durationpb.New(time.Hour), Reason: "new disk", By: "ann@desk"}
		if res, err := s.agenda().Pause(ctx, req); err != nil || res.GetPause().GetUntil() == nil {
			t.Fatalf("pausing a tree answers %v, %v", res, err)
		}
		synctest.Wait()
		s.master.bang(telemetry.Carrier{})
		for _, n := range nodes {
			n.want(0)
		}
		e, err := s.agenda().GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: "c2", Partition: "slappart1"})
		if err != nil || e.GetEntry().GetPause().GetBy() != "ann@desk" || !strings.HasPrefix(e.GetEntry().GetReason(), "tree paused until ") || !strings.Contains(e.GetEntry().GetReason(), "by ann@desk: new disk; then bang t1.b1") {
			t.Fatalf("the agenda says %v, %v", e, err)
		}
		stop()
		s.start()
		nodes = []*node{s.open("c1", 2), s.open("c2", 2)}
		time.Sleep(59 * time.Minute)
		for _, n := range nodes {
			n.want(0)
		}
		time.Sleep(time.Minute)
		for _, n := range nodes {
			if o := n.want(1)[0]; o.GetCause() != typev1.Cause_CAUSE_BANG {
				t.Fatalf("after the pause the order is %v", o)
			}
			n.close()
		}
		req.Target = &schedulerv1.PauseRequest_TreeId{TreeId: "t2"}
		if _, err := s.agenda().Pause(ctx, req); !rpc.IsNotFound(err) {
			t.Fatalf("a tree that is not there is paused: %v", err)
		}
	})
}

// A pause that is ended by hand ends at once, and what waited runs.
func TestAResumedTreeRunsWhatWaited(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 2)
		n.settle()
		target := &schedulerv1.PauseRequest_TreeId{TreeId: "t1"}
		if _, err := s.agenda().Pause(t.Context(), &schedulerv1.PauseRequest{Target: target, Duration: durationpb.New(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := s.agenda().RunNow(t.Context(), &schedulerv1.RunNowRequest{RequestId: "r1", Computer: "c1", Partition: "slappart0"}); err != nil {
			t.Fatal(err)
		}
		n.want(0)
		if _, err := s.agenda().Resume(t.Context(), &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_TreeId{TreeId: "t1"}, By: "bob@desk"}); err != nil {
			t.Fatal(err)
		}
		if o := n.want(1)[0]; o.GetCause() != typev1.Cause_CAUSE_MANUAL {
			t.Fatalf("after the pause the order is %v", o)
		}
	})
}

// What is due or waits with a delay is cancelled, and what was cancelled does not come back with a reading of what is unsettled; what began is refused.
func TestACancelledRunDoesNotComeBack(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		s.master.allocate(0, "c1")
		s.start()
		n := s.open("c1", 2)
		o := n.want(1)[0]
		cancel := &schedulerv1.CancelRequest{RequestId: "r1", Computer: "c1", Partition: "slappart0", Reason: "hopeless", By: "ann@desk"}
		s.master.begin(o)
		synctest.Wait()
		if _, err := s.agenda().Cancel(t.Context(), cancel); rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), o.GetRunId()+" began") {
			t.Fatalf("a run that began is cancelled: %v", err)
		}
		s.master.report(o, typev1.RunResult_RUN_RESULT_FAILURE)
		synctest.Wait()
		res, err := s.agenda().Cancel(t.Context(), cancel)
		if err != nil || res.GetEntry().GetCause() != typev1.Cause_CAUSE_PERIODICITY || len(res.GetCancelled()) != 1 || res.GetCancelled()[0] != typev1.Cause_CAUSE_RETRY {
			t.Fatalf("cancelling the retry answers %v, %v", res, err)
		}
		if res, err = s.agenda().Cancel(t.Context(), cancel); err != nil || len(res.GetCancelled()) != 0 {
			t.Fatalf("repeating it answers %v, %v", res, err)
		}
		time.Sleep(10 * time.Minute) // 20 readings of what is unsettled
		n.want(0)
		if _, err := s.agenda().Cancel(t.Context(), &schedulerv1.CancelRequest{RequestId: "r2", Computer: "c1", Partition: "slappart0"}); rpc.CodeOf(err) != rpc.CodeFailedPrecondition {
			t.Fatalf("a periodic run is cancelled: %v", err)
		}
		if _, err := s.agenda().Cancel(t.Context(), &schedulerv1.CancelRequest{RequestId: "r3", Computer: "c1", Partition: "slappart7"}); !rpc.IsNotFound(err) {
			t.Fatalf("a free partition: %v", err)
		}
		s.master.bang(telemetry.Carrier{})
		n.want(1)
	})
}
