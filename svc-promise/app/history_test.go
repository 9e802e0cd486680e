package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

const (
	tenant = "t0.a1"
	name   = "listening"
)

func (s *story) history(from time.Duration) *promisev1.HistoryResponse {
	s.t.Helper()
	h, err := s.promise.History(s.t.Context(), &promisev1.HistoryRequest{AllocationId: tenant, Promise: name, From: timestamppb.New(time.Now().Add(-from))})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func TestHistoryOutlivesARestartAndReplayDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		var groups []*typev1.SenseGroup
		began := time.Now()
		for i := uint64(1); i <= 10; i++ {
			g := group(i, i == 4 || i == 5)
			value := float64(i)
			g.Value, g.PeriodSeconds = &value, 120
			groups = append(groups, g)
			n.tell(i, g)
			time.Sleep(2 * time.Minute) // virtual
		}
		for len(s.master.bangs) > 0 {
			<-s.master.bangs
		}
		s.stop()
		s.start()
		n = s.open()
		for i, g := range groups {
			n.tell(uint64(i+1), g, func(a *promisev1.AllocationGroups) { a.Replay = true })
		}
		time.Sleep(5 * time.Second) // virtual
		h := s.history(time.Hour)
		var values []float64
		var failed []bool
		for _, p := range h.GetPoints() {
			values, failed = append(values, p.GetValue()), append(failed, p.GetFailed())
		}
		if want := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(values, want) || !failed[3] || !failed[4] || failed[5] {
			t.Errorf("values %v, failed %v", values, failed)
		}
		st := h.GetStatus()
		if st.GetPassed() != 8 || st.GetFailed() != 2 || !st.GetVerdict().GetSince().AsTime().Equal(began.Add(10*time.Minute)) || st.GetPartition() != "slappart0" || st.GetComputer() != "laptop" {
			t.Errorf("status %v, want 8 passed, 2 failed, passing since the sixth", st)
		}
		if next := st.GetNext().AsTime(); !next.After(st.GetAt().AsTime()) || next.Sub(st.GetAt().AsTime()) > 2*time.Minute {
			t.Errorf("next at %s after %s", next, st.GetAt().AsTime())
		}
		if len(h.GetDays()) != 1 || h.GetDays()[0].GetFailed() != 2 || len(h.GetMessages()) != 3 {
			t.Errorf("days %v, messages %v", h.GetDays(), h.GetMessages())
		}
		list, err := s.promise.ListPromises(t.Context(), &promisev1.ListPromisesRequest{AllocationId: tenant})
		if err != nil || len(list.GetPromises()) != 1 || list.GetPromises()[0].GetVerdict().GetPromise() != name {
			t.Errorf("list %v, %v", list, err)
		}
	})
}

func TestOnlyWhatWasHeardOfHasAHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		if _, err := s.promise.History(t.Context(), &promisev1.HistoryRequest{AllocationId: tenant, Promise: "nosuch"}); !rpc.IsNotFound(err) || !strings.Contains(err.Error(), `"nosuch"`) {
			t.Errorf("%v, want NOT_FOUND that names the promise", err)
		}
		request := &promisev1.HistoryRequest{AllocationId: tenant, Promise: name, From: timestamppb.New(time.Now()), Until: timestamppb.New(time.Now().Add(-time.Hour))}
		if _, err := s.promise.History(t.Context(), request); !rpc.IsInvalidArgument(err) {
			t.Errorf("%v, want INVALID_ARGUMENT", err)
		}
	})
}

func (s *story) mute(d time.Duration) {
	s.t.Helper()
	if _, err := s.promise.MutePromise(s.t.Context(), &promisev1.MutePromiseRequest{
		AllocationId: tenant, Promise: name, Until: timestamppb.New(time.Now().Add(d)), Reason: "the disk is on order", By: "me",
	}); err != nil {
		s.t.Fatal(err)
	}
}

// news is what the node was told of mutes: how many of its allocation, newest last; -1 = nothing.
func (n *node) mutes() (counts []int) {
	synctest.Wait()
	for len(n.got) > 0 {
		for _, a := range (<-n.got).GetMutes() {
			if a.GetAllocationId() == tenant {
				counts = append(counts, len(a.GetMutes()))
			}
		}
	}
	return counts
}

func TestAMutedPromiseStaysVisibleDoesNotBangAndTheNodeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		n.tell(1, group(1, false))
		if got := n.mutes(); !slices.Equal(got, []int{0}) {
			t.Errorf("of a new allocation %v is told, want that nothing is muted", got)
		}
		s.mute(time.Hour)
		if got := n.mutes(); !slices.Equal(got, []int{1}) {
			t.Errorf("after the mute %v is told, want one", got)
		}
		n.tell(2, group(2, true))
		if got := s.bangs(); got != 0 {
			t.Fatalf("%d bangs of a muted promise", got)
		}
		evaluated, err := s.promise.Evaluate(t.Context(), &promisev1.EvaluateRequest{Computer: "laptop", AllocationId: tenant, Partition: "slappart0", RunId: "r", Groups: []*typev1.SenseGroup{group(3, true)}})
		if err != nil {
			t.Fatal(err)
		}
		if v := evaluated.GetVerdicts()[0]; !v.GetTestFailed() || v.GetMute().GetReason() != "the disk is on order" || v.GetMute().GetBy() != "me" {
			t.Errorf("verdict %v, want failed and muted", v)
		}
		// A restart forgets nothing, and the mute ends by its date.
		s.stop()
		s.start()
		n = s.open()
		n.tell(1, group(4, true))
		if got := s.bangs(); got != 0 {
			t.Fatalf("%d bangs of a muted promise after a restart", got)
		}
		time.Sleep(time.Hour) // virtual
		n.tell(2, group(5, true))
		if got := s.bangs(); got != 1 {
			t.Errorf("%d bangs after the mute was over, want 1", got)
		}
	})
}

func TestUnmutingIsTheEndOfAMuteAndBothAreWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		s.mute(time.Hour)
		n.tell(1, group(1, true))
		if _, err := s.promise.UnmutePromise(t.Context(), &promisev1.UnmutePromiseRequest{AllocationId: tenant, Promise: name, By: "you", Reason: "it came"}); err != nil {
			t.Fatal(err)
		}
		if got := n.mutes(); !slices.Equal(got, []int{1, 0}) {
			t.Errorf("%v is told, want one, then none", got)
		}
		n.tell(2, group(2, true))
		if got := s.bangs(); got != 1 {
			t.Errorf("%d bangs after it was unmuted, want 1", got)
		}
		list, err := s.promise.ListMutes(t.Context(), &promisev1.ListMutesRequest{})
		if err != nil || len(list.GetMutes()) != 0 || len(list.GetActs()) != 2 || list.GetActs()[0].GetMute().GetBy() != "you" || list.GetActs()[1].GetMute().GetBy() != "me" {
			t.Errorf("list %v, %v", list, err)
		}
		if _, err := s.promise.UnmutePromise(t.Context(), &promisev1.UnmutePromiseRequest{AllocationId: tenant, Promise: name, By: "you"}); !rpc.IsNotFound(err) {
			t.Errorf("unmute again: %v, want NOT_FOUND", err)
		}
		if _, err := s.promise.MutePromise(t.Context(), &promisev1.MutePromiseRequest{AllocationId: tenant, Promise: name, Until: timestamppb.New(time.Now()), Reason: "r", By: "me"}); !rpc.IsInvalidArgument(err) {
			t.Errorf("mute until now: %v, want INVALID_ARGUMENT", err)
		}
	})
}

// A mute, and its end, are in svc-master's audit before they take effect; what cannot be written down is not done.
func TestAMuteIsWrittenDownBeforeItTakesEffectOrNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		mute := &promisev1.MutePromiseRequest{AllocationId: tenant, Promise: name, Until: timestamppb.New(time.Now().Add(time.Hour)), Reason: "the disk is on order", By: "me"}
		<-s.master.away
		s.master.away <- true
		if _, err := s.promise.MutePromise(t.Context(), mute); !rpc.IsUnavailable(err) || !strings.Contains(err.Error(), "cannot write it down") {
			t.Errorf("a mute that nobody can write down: %v, want UNAVAILABLE that says so", err)
		}
		if list, err := s.promise.ListMutes(t.Context(), &promisev1.ListMutesRequest{}); err != nil || len(list.GetMutes()) != 0 {
			t.Errorf("muted are %v, %v", list, err)
		}
		<-s.master.away
		s.master.away <- false
		s.mute(time.Hour)
		unmute := &promisev1.UnmutePromiseRequest{AllocationId: tenant, Promise: name, By: "you", Reason: "it came"}
		if _, err := s.promise.UnmutePromise(t.Context(), unmute); err != nil {
			t.Fatal(err)
		}
		if _, err := s.promise.UnmutePromise(t.Context(), unmute); !rpc.IsNotFound(err) {
			t.Errorf("unmute again: %v, want NOT_FOUND", err)
		}
		acts := s.master.acts
		if len(acts) != 2 || acts[0].GetKind() != masterv1.AuditKind_AUDIT_KIND_PROMISE_MUTED || acts[0].GetBy() != "me" || !strings.HasSuffix(acts[0].GetReason(), ": the disk is on order") ||
			acts[1].GetKind() != masterv1.AuditKind_AUDIT_KIND_PROMISE_UNMUTED || acts[1].GetBy() != "you" || acts[0].GetActId() == acts[1].GetActId() || acts[0].GetPromise() != name {
			t.Errorf("written down are %v, want a mute and its end", acts)
		}
	})
}

func TestCrimesOfPromisesAreListedWithTheirEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t)
		n := s.open()
		for i := uint64(1); i <= 12; i++ {
			n.tell(i, group(i, true), func(a *promisev1.AllocationGroups) { a.Runs.SoftwareRelease = "file:///opt/hello" })
			time.Sleep(time.Minute) // virtual
		}
		time.Sleep(5 * time.Second) // virtual
		crimes, err := s.promise.ListCrimes(t.Context(), &promisev1.ListCrimesRequest{})
		if err != nil || len(crimes.GetCrimes()) != 2 {
			t.Fatalf("crimes %v, %v", crimes, err)
		}
		for i, want := range []string{"sensed 12 times in a row within a minute of the time before, on average every 1m0s", "failed all 12 times since it was first sensed 11m0s ago: port 80"} {
			if c := crimes.GetCrimes()[i]; c.GetEvidence() != want || c.GetAllocationId() != tenant || c.GetPromise() != name || c.GetComputer() != "laptop" {
				t.Errorf("crime %v, want %q", c, want)
			}
		}
		releases := crimes.GetReleases()
		if len(releases) != 2 || releases[1].GetCrime() != typev1.MonitoringCrime_MONITORING_CRIME_NEVER_PASSED || releases[1].GetSoftwareRelease() != "file:///opt/hello" ||
			releases[1].GetCount() != 1 || releases[1].GetPartitions() != 1 || !strings.HasPrefix(releases[1].GetEvidence(), "listening of laptop/slappart0: failed all 12 times") {
			t.Errorf("conditions of releases are %v", releases)
		}
		for of, want := range map[string]int{"file:///opt/hello": 2, "file:///opt/other": 0} {
			crimes, err := s.promise.ListCrimes(t.Context(), &promisev1.ListCrimesRequest{SoftwareRelease: of})
			if err != nil || len(crimes.GetCrimes()) != want || len(crimes.GetReleases()) != want {
				t.Errorf("of %s: %v, %v", of, crimes, err)
			}
		}
	})
}
