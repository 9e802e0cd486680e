package agenda_test

import (
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// An order holds its run back for what is left of its fan-out; one that is handed over again, or that a person asked for, does not.
func TestAnOrderHoldsItsRunBackOnce(t *testing.T) {
	a := idle(2, time.Hour, 1)
	now := start.Add(time.Minute)
	a.Apply(now, agenda.StreamOpened{Session: 2, Slots: 1, BootID: "b"})
	wanted := func(partition, allocation string) agenda.Event {
		return agenda.Wanted{
			Partition: partition, AllocationID: allocation, Generation: gen(2), Cause: agenda.FromBang, At: now, Hold: 80 * time.Millisecond,
			Bang: agenda.Bang{ID: "t1.b1", Number: 1, At: now, Generation: gen(2), Targets: 2},
		}
	}
	one := func(events ...agenda.Event) agenda.Order {
		t.Helper()
		out := a.Apply(now, events...)
		if len(out.Orders) != 1 {
			t.Fatalf("%d orders were handed over, want 1", len(out.Orders))
		}
		return out.Orders[0]
	}
	first := one(wanted("p0", "t1.a0"), wanted("p1", "t1.a1"))
	if first.BeginAfter != 80*time.Millisecond {
		t.Errorf("the order of %s begins after %s, want 80ms", first.Partition, first.BeginAfter)
	}
	now = now.Add(agenda.BeginWithin)
	if again := one(agenda.Due{}); again.BeginAfter != 0 || !again.Again {
		t.Errorf("the order that is handed over again begins after %s", again.BeginAfter)
	}
	allocation := a.Entries[first.Partition].AllocationID
	second := one(
		agenda.Begun{Partition: first.Partition, AllocationID: allocation, RunSeen: agenda.RunSeen{RunID: first.RunID, Token: 1, Generation: gen(2)}},
		agenda.Reported{Partition: first.Partition, AllocationID: allocation, Token: 1, Generation: gen(2), RunEnded: agenda.RunEnded{RunID: first.RunID, Success: true}})
	if second.BeginAfter != 0 {
		t.Errorf("the order that waited for a slot for longer than the fan-out begins after %s", second.BeginAfter)
	}
	a.Apply(now, agenda.Reported{Partition: second.Partition, AllocationID: a.Entries[second.Partition].AllocationID, Token: 2, Generation: gen(2), RunEnded: agenda.RunEnded{RunID: second.RunID, Success: true}})
	longer := wanted("p0", "t1.a0").(agenda.Wanted) //nolint:forcetypeassert // made above
	longer.Generation, longer.Hold = gen(3), time.Hour
	if held := one(longer); held.BeginAfter != agenda.MaxHold {
		t.Errorf("an order begins after %s, and %s is the most", held.BeginAfter, agenda.MaxHold)
	}
	by := wanted("p1", "t1.a1").(agenda.Wanted) //nolint:forcetypeassert // made above
	by.Generation = gen(3)
	a.Apply(now, by, agenda.RunNow{Partition: "p1"})
	for _, o := range a.Apply(now, agenda.StreamOpened{Session: 2, Slots: 2, BootID: "b"}).Orders {
		if o.Partition == "p1" && (o.Cause != agenda.Manual || o.BeginAfter != 0) {
			t.Errorf("the run that a person asked for is ordered for %s and begins after %s", o.Cause, o.BeginAfter)
		}
	}
	if e := a.Entries["p1"]; e.State != agenda.Ordered {
		t.Errorf("the run that a person asked for is not ordered: it is %s", e.State)
	}
}
