package agenda_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// idle makes the agenda of a computer whose partitions all ran and have nothing due but their periods.
func idle(partitions int, period time.Duration, slots int) *agenda.Agenda {
	a := agenda.New("c1")
	var list []agenda.Allocation
	for i := range partitions {
		list = append(list, agenda.Allocation{
			AllocationID: fmt.Sprint("t1.a", i), InstanceID: fmt.Sprint("t1.i", i), TreeID: "t1", Partition: fmt.Sprint("p", i), Period: period,
			Wanted: gen(1), Settled: gen(1), WantedCause: agenda.Changed, Latest: agenda.RunEnded{RunID: fmt.Sprint("run", i), Success: true, Result: "success", At: start},
		})
	}
	a.Apply(start, agenda.Allocations{List: list, Scope: agenda.OfComputer, Asked: start}, agenda.StreamOpened{Session: 1, Slots: slots, BootID: "b"})
	a.Apply(start, agenda.StreamClosed{Session: 1})
	return a
}

// open opens the stream of a session and carries all orders out at once until an end; it returns what was ordered, and after how long.
func open(t failing, a *agenda.Agenda, session uint64, at time.Time, slots int, end time.Duration) (orders []agenda.Order) {
	t.Helper()
	now := at
	out := a.Apply(now, agenda.StreamOpened{Session: session, Slots: slots, BootID: "b"})
	for token := uint64(at.UnixNano()); ; token++ {
		if err := a.Check(); err != nil {
			t.Fatal(err)
		}
		orders = append(orders, out.Orders...)
		var events []agenda.Event
		for _, o := range out.Orders {
			e := a.Entries[o.Partition]
			events = append(events,
				agenda.Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: agenda.RunSeen{RunID: o.RunID, Token: token, Generation: e.Wanted}},
				agenda.Reported{Partition: o.Partition, AllocationID: o.AllocationID, Token: token, Generation: e.Wanted, RunEnded: agenda.RunEnded{RunID: o.RunID, Success: true, At: now}})
		}
		if len(events) == 0 {
			if out.Wake.IsZero() || out.Wake.Sub(at) > end {
				return orders
			}
			now = out.Wake
			events = []agenda.Event{agenda.Due{}}
		}
		out = a.Apply(now, events...)
	}
}

// After hours without a stream every partition is overdue, and stale: their runs come within a twentieth of the period, five minutes at most, in no second more
// than a few.
func TestWhatAnOutageLeftOverdueIsSpread(t *testing.T) {
	for _, period := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
		t.Run(period.String(), func(t *testing.T) {
			const partitions = 240
			within := min(agenda.OverdueSpread, period/20)
			back := start.Add(3 * period)
			a := idle(partitions, period, partitions)
			again := a.Clone()
			orders := open(t, a, 2, back, partitions, within)
			ran := map[string]bool{}
			bySlice := map[time.Duration]int{} // of twenty
			for _, o := range orders {
				if o.Cause != agenda.Periodicity {
					t.Fatalf("%s was ordered for %s", o.Partition, o.Cause)
				}
				ran[o.Partition] = true
				bySlice[o.Ordered.Sub(back)*20/within]++
			}
			if len(ran) != partitions {
				t.Fatalf("%d of %d overdue partitions were ordered within %s", len(ran), partitions, within)
			}
			for slice, n := range bySlice {
				if n > 2*partitions/20 {
					t.Errorf("%d of %d runs came in the %d. twentieth of %s", n, partitions, slice, within)
				}
			}
			if !slices.EqualFunc(orders, open(t, again, 2, back, partitions, within), func(x, y agenda.Order) bool { return x.RunID == y.RunID && x.Ordered.Equal(y.Ordered) }) {
				t.Error("the same outage was spread in two ways")
			}
		})
	}
}

// A bang, a change, a retry and a run by hand are not spread, and the spread stays what it was when the stream is opened anew before it is over.
func TestOnlyPeriodicRunsAreSpread(t *testing.T) {
	const partitions = 200
	back := start.Add(4 * time.Hour)
	a := idle(partitions, time.Hour, partitions)
	of := func(p int) (string, string) { return fmt.Sprint("p", p), fmt.Sprint("t1.a", p) }
	bang := agenda.Wanted{Generation: gen(2), Cause: agenda.FromBang, At: back, Bang: agenda.Bang{ID: "t1.b1", Number: 1, At: back, Generation: gen(2), Targets: 1}}
	bang.Partition, bang.AllocationID = of(0)
	change := agenda.Wanted{Generation: gen(3), Cause: agenda.Changed, At: back}
	change.Partition, change.AllocationID = of(1)
	failed := agenda.Reported{RunEnded: agenda.RunEnded{RunID: "own", Result: "failure", At: start.Add(time.Hour)}, Token: 1}
	failed.Partition, failed.AllocationID = of(2)
	a.Apply(back, bang, change, failed, agenda.RunNow{Partition: "p3"})
	out := a.Apply(back, agenda.StreamOpened{Session: 2, Slots: partitions, BootID: "b"})
	var at0 []string
	for _, o := range out.Orders {
		if o.Cause != agenda.Periodicity {
			at0 = append(at0, o.Partition+" "+o.Cause.String())
		}
	}
	if want := []string{"p3 manual", "p0 bang", "p1 changed", "p2 retry"}; !slices.Equal(at0, want) || len(out.Orders) > 10 {
		t.Errorf("at once %v were ordered, of %d in all; want %v and hardly another", at0, len(out.Orders), want)
	}
	before := map[string]time.Time{}
	for name, e := range a.Entries {
		before[name] = e.Due[agenda.Periodicity]
	}
	a.Apply(back.Add(time.Second), agenda.StreamClosed{Session: 2})
	a.Apply(back.Add(2*time.Second), agenda.StreamOpened{Session: 3, Slots: partitions, BootID: "b"})
	for name, e := range a.Entries {
		if due := e.Due[agenda.Periodicity]; before[name].After(back.Add(2*time.Second)) && !due.Equal(before[name]) {
			t.Errorf("%s was spread again, from %s to %s", name, before[name], due)
		}
	}
}

// Whatever the outage, what was fresh when the stream opened is ordered while it is: a healthy partition does not turn Red by the spread. What is late by more than
// that is ordered within the spread.
func TestASpreadRunIsOrderedWhileItsResultIsFresh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "period"))
		outage := time.Duration(rapid.Int64Range(0, int64(2*period)).Draw(t, "outage"))
		const partitions = 20
		a := idle(partitions, period, partitions)
		back, stale := start.Add(outage), start.Add(period+agenda.Fresh)
		overdue := map[string]bool{}
		for name, e := range a.Entries {
			overdue[name] = !e.Due[agenda.Periodicity].After(back)
		}
		within := min(agenda.OverdueSpread, period/20)
		for _, o := range open(t, a, 2, back, partitions, within) {
			if !overdue[o.Partition] {
				continue
			}
			overdue[o.Partition] = false
			if back.Before(stale) && !o.Ordered.Before(stale) {
				t.Fatalf("%s was fresh until %s, and was ordered at %s", o.Partition, stale, o.Ordered)
			}
			if o.Ordered.After(back.Add(within)) {
				t.Fatalf("%s was overdue at %s, and was ordered at %s", o.Partition, back, o.Ordered)
			}
		}
		for name, waits := range overdue {
			if waits {
				t.Fatalf("%s was overdue at %s, and was not ordered within %s", name, back, within)
			}
		}
	})
}
