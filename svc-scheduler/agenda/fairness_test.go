package agenda_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// day is one computer in virtual time whose runs take 16 s each, and of which some never succeed.
type day struct {
	t      *testing.T
	agenda *agenda.Agenda
	now    time.Time
	wake   time.Time
	// ends of the runs in hand, soonest first.
	ends  []ending
	token uint64
	runs  map[string]int
	late  map[string][]time.Duration
	never map[string]bool
}

type ending struct {
	at    time.Time
	order agenda.Order
	gen   agenda.Generation
	token uint64
}

const runTakes = 16 * time.Second

// newDay has partitions named `tree.n`.
func newDay(t *testing.T, slots int, period time.Duration, partitions ...string) *day {
	b := &day{t: t, agenda: agenda.New("c1"), now: start, runs: map[string]int{}, late: map[string][]time.Duration{}, never: map[string]bool{}}
	ev := agenda.Allocations{Scope: agenda.OfComputer, Asked: b.now}
	for _, p := range partitions {
		ev.List = append(ev.List, agenda.Allocation{AllocationID: "a-" + p, InstanceID: "i-" + p, TreeID: p[:1], Partition: p, Period: period, Wanted: gen(1), Settled: gen(1)})
	}
	b.apply(ev, agenda.StreamOpened{Session: 1, Slots: slots, BootID: "b"})
	return b
}

func (b *day) apply(events ...agenda.Event) {
	out := b.agenda.Apply(b.now, events...)
	if err := b.agenda.Check(); err != nil {
		b.t.Fatal(err)
	}
	b.wake = out.Wake
	for _, o := range out.Orders {
		if o.Again {
			b.t.Fatalf("order %s is handed over again", o.RunID)
		}
		b.runs[o.Partition]++
		b.late[o.Partition] = append(b.late[o.Partition], b.now.Sub(o.Due))
		b.token++
		b.ends = append(b.ends, ending{b.now.Add(runTakes), o, gen(1), b.token})
	}
	for _, o := range out.Orders {
		e := b.ends[slices.IndexFunc(b.ends, func(e ending) bool { return e.order.RunID == o.RunID })]
		b.apply(agenda.Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: agenda.RunSeen{RunID: o.RunID, Token: e.token, Generation: e.gen}})
	}
}

// until lets time pass, with what happens in it.
func (b *day) until(end time.Time) {
	for {
		next := end
		if !b.wake.IsZero() && b.wake.Before(next) {
			next = b.wake
		}
		if len(b.ends) > 0 && b.ends[0].at.Before(next) {
			next = b.ends[0].at
		}
		b.now = next
		switch {
		case len(b.ends) > 0 && !b.ends[0].at.After(b.now):
			e := b.ends[0]
			b.ends = b.ends[1:]
			bad := b.never[e.order.Partition]
			b.apply(agenda.Reported{
				Partition: e.order.Partition, AllocationID: e.order.AllocationID, Token: e.token, Generation: e.gen,
				RunEnded: agenda.RunEnded{RunID: e.order.RunID, Success: !bad, Result: "failure", ErrorType: "promise", At: b.now, Attempt: e.order.Attempt},
			})
		case next.Equal(end):
			return
		default:
			b.apply(agenda.Due{})
		}
	}
}

// A promise that never passes causes at most 60 runs in a day, although each of its failures is tried again and its computer runs everything every 10 minutes,
// and its neighbours' lateness grows by 10 % at most.
func TestAPromiseThatNeverPassesDisturbsNobody(t *testing.T) {
	live := func(never bool) (runs int, late time.Duration) {
		var partitions []string
		for i := range 20 {
			partitions = append(partitions, fmt.Sprintf("n%d", i))
		}
		all := partitions
		if never {
			all = append(slices.Clone(partitions), "x0")
		}
		b := newDay(t, 1, 10*time.Minute, all...)
		b.never["x0"] = true
		b.until(start.Add(24 * time.Hour))
		total := 0
		for _, p := range partitions {
			for _, d := range b.late[p] {
				late += d
			}
			total += b.runs[p]
		}
		if want := 20 * 24 * 6; total < want {
			t.Errorf("the neighbours ran %d times, want %d", total, want)
		}
		return b.runs["x0"], late / time.Duration(total)
	}
	_, alone := live(false)
	runs, beside := live(true)
	if runs > 60 {
		t.Errorf("it causes %d runs in a day", runs)
	}
	if runs < 24 {
		t.Errorf("it is tried %d times in a day", runs)
	}
	if beside > alone+alone/10 {
		t.Errorf("its neighbours are %s late beside it, and %s without", beside, alone)
	}
	if alone < time.Second {
		t.Errorf("the neighbours are %s late without it: nothing to compare with", alone)
	}
	t.Logf("%d runs; its neighbours are %s late beside it, and %s without", runs, beside, alone)
}
