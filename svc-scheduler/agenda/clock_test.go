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
