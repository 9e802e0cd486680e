package agenda

import (
	"fmt"
	"time"
)

// dispatch hands over what is due, as far as slots allow. Without a stream or while the computer is paused nothing is handed over; what a paused tree has
// waits in the queue until the pause ends.
func (a *Agenda) dispatch(now time.Time) []Order {
	if !a.Connected || a.Pause.In(now) {
		return nil
	}
	a.resume(Resume{}) // its time is over
	var orders []Order
	var again []*Entry
	a.queue.attend(now, func(e *Entry) {
		if e.State == Running {
			a.lose(e, now, "no report within "+RunBound.String())
			return
		}
		if e.Pause.In(now) {
			a.hold(e, now)
			return
		}
		if e.Run.Handed >= MaxHanded {
			a.withdraw(e, now, fmt.Sprintf("handed over %d times and not begun", e.Run.Handed))
			return
		}
		again = append(again, e)
	})
	for _, e := range again {
		e.Run.Handed++
		orders = append(orders, a.order(e, now))
	}
	for a.active < a.Slots {
		e := a.pick()
		if e == nil {
			break
		}
		a.Orders++
		a.queue.ready.took(e.TreeID, a.Orders)
		cause, due := e.cause, e.dueSince
		a.move(e, HandOver)
		id := e.Spare
		if e.Spare = ""; id == "" {
			id = a.runID(now)
		}
		e.Run = Run{ID: id, Cause: cause, Due: due, Handed: 1}
		orders = append(orders, a.order(e, now))
	}
	return orders
}

// order makes the order of an entry and files it for handing over again.
func (a *Agenda) order(e *Entry, now time.Time) Order {
	if cause, _ := e.DueCause(now); cause != None && cause < e.Run.Cause {
		e.Run.Cause = cause // a bang came since: it names the run
	}
	e.Run.Ordered = now
	a.changed(e)
	var hold time.Duration
	if e.Run.Cause == FromBang && e.Run.Handed == 1 {
		hold = max(e.held.Sub(now), 0)
	}
	why := e.why(e.Run.Cause)
	e.remember(now, "ordered (%s), attempt %d, as run %s, for the %d. time: %s", e.Run.Cause, e.Attempt+1, e.Run.ID, e.Run.Handed, why)
	return Order{
		RunID: e.Run.ID, Computer: a.Computer, Partition: e.Partition, AllocationID: e.AllocationID, TreeID: e.TreeID,
		Cause: e.Run.Cause, Attempt: e.Attempt + 1, Due: e.Run.Due, Ordered: now, BeginAfter: hold,
		Bangs: append([]Bang(nil), e.Bangs...), Folds: e.Folds(), Parented: e.Run.Cause == FromBang && e.parented(now),
		Session: a.Session, Again: e.Run.Handed > 1, Trace: e.Run.Trace, Reason: why,
	}
}

// pick takes the next of the ready entries: by cause, then round robin by tree, then the longest due; each fourth is the longest due of all.
func (a *Agenda) pick() *Entry {
	return a.queue.ready.first(a.Orders%LongestDueTurn == LongestDueTurn-1)
}
