package agenda_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// checkOverdue compares Overdue, which looks only at what is due, with a look at everything.
func checkOverdue(t failing, a *agenda.Agenda, now time.Time) {
	t.Helper()
	due, overdue := 0, 0
	for _, e := range a.Entries {
		at := e.Run.Due
		if e.State == agenda.Waiting {
			_, at = e.DueCause(now)
		}
		if e.State == agenda.Running || at.IsZero() {
			continue
		}
		due++
		if now.Sub(at) > time.Minute {
			overdue++
		}
	}
	if d, o := a.Overdue(now, time.Minute); d != due || o != overdue {
		t.Fatalf("%d are due and %d overdue, want %d and %d", d, o, due, overdue)
	}
}

// storm is an agenda of one quiet partition of tree `calm` and n of tree `storm`, all allocated and run, with few slots.
func storm(t *testing.T, n, slots int) *agenda.Agenda {
	t.Helper()
	a := agenda.New("c1")
	var list []agenda.Allocation
	for i := range n + 1 {
		tree := "storm"
		if i == n {
			tree = "calm"
		}
		list = append(list, agenda.Allocation{
			AllocationID: fmt.Sprint("a", i), InstanceID: fmt.Sprint("i", i), TreeID: tree, Partition: fmt.Sprint("p", i), Period: 24 * time.Hour,
			Wanted: gen(1), Settled: gen(1), WantedCause: agenda.Changed,
		})
	}
	a.Apply(start, agenda.Allocations{List: list, Scope: agenda.OfComputer, Asked: start}, agenda.StreamOpened{Session: 1, Slots: slots, BootID: "b"})
	return a
}

func bangOf(i int, generation uint64, now time.Time) agenda.Event {
	return agenda.Wanted{
		Partition: fmt.Sprint("p", i), AllocationID: fmt.Sprint("a", i), Generation: gen(generation), Cause: agenda.FromBang, At: now,
		Bang: agenda.Bang{ID: fmt.Sprint("b", generation), Number: generation, At: now},
	}
}

// A storm of bangs in one tree, however large, delays the bang of another tree on the same computer by one order at most beyond the slots that are taken: whose
// tree had its turn longer ago goes first.
func TestAStormInOneTreeDelaysNoOther(t *testing.T) {
	for _, size := range []int{1, 10, 100, 999} {
		for slots := 1; slots <= 4; slots++ {
			a := storm(t, size, slots)
			now := start.Add(time.Second)
			var events []agenda.Event
			for i := range size {
				events = append(events, bangOf(i, 2, now))
			}
			out := a.Apply(now, events...)
			running := out.Orders
			a.Apply(now, bangOf(size, 2, now)) // every slot is taken by the storm
			token := uint64(0)
			for after := 1; ; after++ {
				if len(running) == 0 {
					break // fewer than slots: the calm tree was ordered at once
				}
				now = now.Add(time.Second)
				token++
				done := running[0]
				running = running[1:]
				run := agenda.RunSeen{RunID: done.RunID, Token: token, Generation: gen(2)}
				out := a.Apply(now, agenda.Begun{Partition: done.Partition, AllocationID: done.AllocationID, RunSeen: run},
					agenda.Reported{Partition: done.Partition, AllocationID: done.AllocationID, Token: token, Generation: gen(2), RunEnded: agenda.RunEnded{RunID: done.RunID, Success: true, Result: "success", At: now}})
				running = append(running, out.Orders...)
				if e := a.Entries[fmt.Sprint("p", size)]; e.State != agenda.Waiting {
					break
				}
				if after > 2 {
					t.Fatalf("a storm of %d with %d slots: the other tree has no order after %d runs", size, slots, after)
				}
			}
		}
	}
}

// What was decided about a partition is told newest first, with reasons, and bounded.
func TestDecisionsAreToldNewestFirstAndBounded(t *testing.T) {
	a := storm(t, 1, 1)
	now := start
	for n := uint64(2); n < 20; n++ {
		now = now.Add(time.Minute)
		out := a.Apply(now, bangOf(0, n, now))
		if len(out.Orders) != 1 {
			t.Fatalf("bang %d made %d orders", n, len(out.Orders))
		}
		o := out.Orders[0]
		a.Apply(now, agenda.Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: agenda.RunSeen{RunID: o.RunID, Token: n, Generation: gen(n)}},
			agenda.Reported{Partition: o.Partition, AllocationID: o.AllocationID, Token: n, Generation: gen(n), RunEnded: agenda.RunEnded{RunID: o.RunID, Success: true, Result: "success", At: now}})
	}
	said := a.Entries["p0"].Decisions()
	if len(said) != agenda.MaxDecisions {
		t.Fatalf("%d decisions are remembered, want %d", len(said), agenda.MaxDecisions)
	}
	for i, word := range []string{"succeeded", "runs: ", "ordered (bang), attempt 1", "is due at"} {
		if !strings.Contains(said[i].String(), word) || !said[i].At.Equal(now) {
			t.Errorf("decision %d is %q at %s, want %q", i, said[i], said[i].At, word)
		}
	}
}
