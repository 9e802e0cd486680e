package agenda

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestWhoseTurnItIsIsFoundAsIfAllWereLookedAt compares the choice of every order with that of a dumb model which looks at every entry.
func TestWhoseTurnItIsIsFoundAsIfAllWereLookedAt(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1_800_000_000, 0)
		a := New("c1")
		var list []Allocation
		for i := range 60 {
			list = append(list, Allocation{
				AllocationID: fmt.Sprint("a", i), TreeID: fmt.Sprint("t", random.IntN(7)), Partition: fmt.Sprint("p", i), Period: time.Hour,
				Wanted: Generation{1, 1}, Settled: Generation{1, 1},
			})
		}
		a.Apply(now, Allocations{List: list, Scope: OfComputer, Asked: now}, StreamOpened{Session: 1, Slots: 1})
		for step := range uint64(400) {
			now = now.Add(time.Duration(random.IntN(5000)-50) * time.Millisecond) // also back
			e := a.Entries[fmt.Sprint("p", random.IntN(60))]
			cause := Cause(random.IntN(2)) + FromBang
			event := Event(Wanted{
				Partition: e.Partition, AllocationID: e.AllocationID, Generation: Generation{1, step + 2}, Cause: cause,
				At: now, Delay: time.Duration(random.IntN(20)) * time.Second,
			})
			switch random.IntN(5) {
			case 0:
				event = RunNow{Partition: e.Partition}
			case 1:
				e = a.held() // the one slot
				if e == nil {
					break
				}
				event = Reported{Partition: e.Partition, AllocationID: e.AllocationID, Token: step, Generation: Generation{1, step + 1}, RunEnded: RunEnded{RunID: e.Run.ID, Success: random.IntN(2) == 0}}
			}
			// What the model chooses from is the agenda after the event, and before an order is made: nothing is due while it is paused.
			a.Apply(now, Pause{For: time.Hour}, event)
			want := a.model(now)
			turn := a.active < a.Slots
			out := a.Apply(now, Resume{})
			got := ""
			for _, o := range out.Orders {
				if !o.Again {
					got = o.Partition
				}
			}
			if turn && got != want {
				t.Fatalf("seed %d, step %d: %q was ordered, and it was the turn of %q", seed, step, got, want)
			}
			if err := a.Check(); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
		}
	}
}

// held is an entry that is ordered or runs.
func (a *Agenda) held() *Entry {
	for _, e := range a.Sorted() {
		if e.State != Waiting {
			return e
		}
	}
	return nil
}

// model looks at every entry.
func (a *Agenda) model(now time.Time) string {
	longest := a.Orders%LongestDueTurn == LongestDueTurn-1
	var best *Entry
	var bestCause Cause
	var bestDue time.Time
	before := func(x *Entry, xc Cause, xd time.Time) bool {
		if !longest {
			if xc != bestCause {
				return xc < bestCause
			}
			if tx, ty := a.queue.ready.turns[x.TreeID], a.queue.ready.turns[best.TreeID]; tx != ty {
				return tx < ty
			}
		}
		if !xd.Equal(bestDue) {
			return xd.Before(bestDue)
		}
		return x.Partition < best.Partition
	}
	for _, e := range a.Entries {
		cause, due := e.DueCause(now)
		if e.State != Waiting || cause == None {
			continue
		}
		if best == nil || before(e, cause, due) {
			best, bestCause, bestDue = e, cause, due
		}
	}
	if best == nil {
		return ""
	}
	return best.Partition
}

// BenchmarkStorm is a computer of 1,000 partitions that are all due at once, with two slots: what one order, its begin and its report cost.
func BenchmarkStorm(b *testing.B) {
	now := time.Unix(1_800_000_000, 0)
	a := New("c1")
	var list []Allocation
	for i := range 1000 {
		list = append(list, Allocation{AllocationID: fmt.Sprint("a", i), TreeID: fmt.Sprint("t", i%10), Partition: fmt.Sprint("p", i), Period: time.Hour, Wanted: Generation{1, 1}, Settled: Generation{1, 1}})
	}
	orders := a.Apply(now, Allocations{List: list, Scope: OfComputer, Asked: now}, StreamOpened{Session: 1, Slots: 2}).Orders
	token := uint64(0)
	for b.Loop() {
		if len(orders) == 0 {
			token++
			var events []Event
			for _, l := range list {
				events = append(events, Wanted{Partition: l.Partition, AllocationID: l.AllocationID, Generation: Generation{1, token + 1}, Cause: FromBang, At: now})
			}
			orders = a.Apply(now, events...).Orders
		}
		o := orders[0]
		token++
		next := a.Apply(now,
			Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: RunSeen{RunID: o.RunID, Token: token, Generation: Generation{1, token}}},
			Reported{Partition: o.Partition, AllocationID: o.AllocationID, Token: token, Generation: Generation{1, token}, RunEnded: RunEnded{RunID: o.RunID, Success: true}}).Orders
		a.Overdue(now, time.Minute)
		orders = append(orders[1:], next...)
	}
}
