package agenda_test

import (
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// A store that lost its last seconds may have lost the begin of a run, and svc-master superseded it: it refuses the id of that order for ever. The first word of
// the new epoch, by the feed or by a reading, gives the run another one at once, not after two minutes.
func TestAnOrderDoesNotOutliveItsEpoch(t *testing.T) {
	partition := func(epoch, number, changed uint64) agenda.Allocation {
		g := agenda.Generation{Epoch: epoch, Number: number}
		return agenda.Allocation{
			AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour, Wanted: g, WantedCause: agenda.Changed,
			Changed: agenda.Generation{Epoch: epoch, Number: changed}, Settled: agenda.Generation{Epoch: 1, Number: 1},
		}
	}
	for name, word := range map[string]agenda.Event{
		"the feed":             agenda.Wanted{Partition: "p1", AllocationID: "t1.a1", Generation: agenda.Generation{Epoch: 2, Number: 1}, Cause: agenda.Changed, At: start},
		"a reading":            agenda.Allocations{Scope: agenda.OfComputer, Asked: start.Add(2 * time.Second), List: []agenda.Allocation{partition(2, 1, 1)}},
		"the same epoch again": agenda.Allocations{Scope: agenda.OfComputer, Asked: start.Add(2 * time.Second), List: []agenda.Allocation{partition(1, 2, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			a := agenda.New("c1")
			a.Apply(start, agenda.Allocations{Scope: agenda.OfComputer, Asked: start, List: []agenda.Allocation{partition(1, 2, 2)}})
			out := a.Apply(start.Add(time.Second), agenda.StreamOpened{Session: 1, Slots: 1, BootID: "b1"})
			if len(out.Orders) != 1 {
				t.Fatalf("orders are %v: %v", out.Orders, out.Reasons)
			}
			first := out.Orders[0].RunID
			out = a.Apply(start.Add(3*time.Second), word)
			if name == "the same epoch again" {
				if len(out.Orders) != 0 {
					t.Errorf("it is ordered again: %v", out.Reasons)
				}
				return
			}
			if len(out.Orders) != 1 || out.Orders[0].RunID == first {
				t.Errorf("after order %s the orders are %v: %v", first, out.Orders, out.Reasons)
			}
		})
	}
}
