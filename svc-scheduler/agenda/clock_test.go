package agenda_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// svc-master's clock may be behind ours: its stamps must not make a run due that its own report has just answered.
func TestAPartitionDoesNotRunInALoopWhenTheClockOfSvcMasterIsBehind(t *testing.T) {
	for _, success := range []bool{true, false} {
		const behind = 30 * time.Minute
		a, now, runs := agenda.New("c1"), start, 0
		gen := agenda.Generation{Epoch: 1, Number: 1}
		out := a.Apply(now,
			agenda.Allocations{Scope: agenda.OfComputer, Asked: now, List: []agenda.Allocation{{AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour, Wanted: gen, WantedCause: agenda.Changed, Changed: gen}}},
			agenda.StreamOpened{Session: 1, Slots: 1})
		for end := now.Add(2 * time.Hour); now.Before(end); {
			if len(out.Orders) == 0 {
				now = out.Wake
				out = a.Apply(now, agenda.Due{})
				continue
			}
			runs++
			seen := agenda.RunSeen{RunID: out.Orders[0].RunID, Token: uint64(runs), Generation: gen}
			now = now.Add(time.Millisecond)
			a.Apply(now, agenda.Begun{Partition: "p1", AllocationID: "t1.a1", RunSeen: seen})
			now = now.Add(10 * time.Millisecond)
			out = a.Apply(now, agenda.Reported{
				Partition: "p1", AllocationID: "t1.a1", Token: seen.Token, Generation: gen,
				RunEnded: agenda.RunEnded{RunID: seen.RunID, Success: success, Result: fmt.Sprint(success), At: now.Add(-behind)},
			})
		}
		// 2 h of an hourly period, or of the growing delay: 1 s + 2 s + … + 1 h.
		if limit := map[bool]int{true: 4, false: 15}[success]; runs > limit {
			t.Errorf("success %t: %d runs within 2 h, want at most %d", success, runs, limit)
		}
	}
}

// The store's clock may be set back between two streams: what was learnt under the earlier one is not newer than a reading of this one.
func TestAnAllocationThatIsGoneIsForgottenAlthoughTheClockWasSetBack(t *testing.T) {
	one := agenda.Allocations{Scope: agenda.OfComputer, Asked: start, List: []agenda.Allocation{{AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour}}}
	a := agenda.New("c1")
	a.Apply(start, one, agenda.StreamOpened{Session: 1, Slots: 1})
	back := start.Add(-time.Hour)
	again := agenda.New("c1", a.Entries["p1"])
	again.Apply(back, agenda.Allocations{Scope: agenda.OfComputer, Asked: back}, agenda.StreamOpened{Session: 2, Slots: 1})
	if len(again.Entries) != 0 {
		t.Error("an entry of an allocation that is gone stays until the clock has passed the time when it was learnt")
	}
}

// Bang numbers skip what may have been given out when the epoch moves.
func TestFoldsDoNotCountWhatAMoveOfTheEpochSkips(t *testing.T) {
	a := agenda.New("c1")
	a.Apply(start, agenda.Allocations{Scope: agenda.OfComputer, Asked: start, List: []agenda.Allocation{{AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour}}})
	for epoch := uint64(1); epoch <= 2; epoch++ {
		for n := range uint64(2) {
			number := (epoch-1)<<20 + n + 1
			a.Apply(start, agenda.Wanted{
				Partition: "p1", AllocationID: "t1.a1", Cause: agenda.FromBang, Generation: agenda.Generation{Epoch: epoch, Number: n + 1}, At: start,
				Bang: agenda.Bang{ID: fmt.Sprintf("t1.b%d", number), Number: number, At: start},
			})
		}
	}
	if folds := a.Entries["p1"].Folds(); folds != 1 {
		t.Errorf("the second of two bangs of the new epoch folds %d bangs, want 1", folds)
	}
}
