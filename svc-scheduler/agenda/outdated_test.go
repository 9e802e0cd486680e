package agenda_test

import (
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// Readings of a tree, of a computer and of what is unsettled overtake each other.
func TestAnAllocationThatIsGoneDoesNotComeBackWithAnOlderReading(t *testing.T) {
	one := []agenda.Allocation{{AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour, Wanted: agenda.Generation{Epoch: 1, Number: 2}, WantedCause: agenda.Changed}}
	for name, gone := range map[string]agenda.Allocations{
		"of its tree":     {Scope: agenda.OfTree, Tree: "t1"},
		"of its computer": {Scope: agenda.OfComputer},
	} {
		t.Run(name, func(t *testing.T) {
			a := agenda.New("c1")
			a.Apply(start, agenda.Allocations{Scope: agenda.OfComputer, Asked: start, List: one})
			gone.Asked = start.Add(2 * time.Second)
			a.Apply(start.Add(3*time.Second), gone)
			a.Apply(start.Add(4*time.Second), agenda.Allocations{Scope: agenda.Some, Asked: start.Add(time.Second), List: one})
			if len(a.Entries) != 0 {
				t.Error("a reading asked for before the allocation was gone brought it back")
			}
			a.Apply(start.Add(5*time.Second), agenda.Allocations{Scope: agenda.Some, Asked: start.Add(5 * time.Second), List: one})
			if len(a.Entries) != 1 {
				t.Error("a reading asked for later must count: a restored store may bring an allocation back")
			}
		})
	}
}

// An owner that has just read its whole computer may still get a reading that was asked for earlier.
func TestAReadingOlderThanThatOfTheWholeComputerBringsNothingNew(t *testing.T) {
	a := agenda.New("c1")
	a.Apply(start.Add(time.Second), agenda.Allocations{Scope: agenda.OfComputer, Asked: start})
	a.Apply(start.Add(2*time.Second), agenda.Allocations{Scope: agenda.Some, Asked: start.Add(-time.Second), List: []agenda.Allocation{{AllocationID: "t1.a1", TreeID: "t1", Partition: "p1", Period: time.Hour}}})
	if len(a.Entries) != 0 {
		t.Error("an allocation that the whole reading did not have came with an older one")
	}
}
