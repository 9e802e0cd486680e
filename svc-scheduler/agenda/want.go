package agenda

import (
	"slices"
	"time"
)

// wanted makes a partition due for a bang or a change of its tree. A generation that is known changes nothing.
func (a *Agenda) wanted(ev Wanted, now time.Time) {
	e := a.find("a wanted generation", ev.Partition, ev.AllocationID)
	if e == nil {
		return
	}
	if !ev.Generation.After(e.Wanted) {
		if ev.Cause == FromBang {
			for _, b := range e.Bangs {
				if b.ID == ev.Bang.ID && b.FanOut == (Trace{}) {
					e.note(ev.Bang) // a reading came first: now its fan-out is known
					a.changed(e)
				}
			}
		}
		a.say("generation %s of %s is known", ev.Generation, ev.Partition)
		return
	}
	moved := e.reset(ev.Generation)
	a.want(e, ev.Cause, ev.Generation, ev.Bang, heldBack(ev.At, ev.Delay, now), now)
	a.outlive(e, moved, now)
	if ev.Hold > 0 {
		e.held = now.Add(min(ev.Hold, MaxHold))
	}
	a.changed(e)
}

// want makes an entry due for a generation.
func (a *Agenda) want(e *Entry, cause Cause, g Generation, bang Bang, at, now time.Time) {
	e.Wanted = newest(e.Wanted, g)
	switch cause {
	case FromBang:
		e.BangWanted = newest(e.BangWanted, g)
		bang.Generation = g
		if bang.ID != "" {
			e.note(bang)
		}
	default:
		cause = Changed
		e.Changed = newest(e.Changed, g)
		// A change resets the growing delay; when it is itself held back the retry keeps its time.
		e.Attempt, e.ErrorType, e.Result = 0, "", ""
		if !e.Due[Retry].IsZero() && !at.After(e.Due[Retry]) {
			e.Due[Retry] = time.Time{}
			e.periodic(now)
		}
	}
	if g.After(e.Answered) {
		e.due(cause, at)
	}
	if e.State == Running {
		a.tell(e, now, "%s is dirty: generation %s (%s) came during its run", e.Partition, g, cause)
	} else {
		a.tell(e, now, "%s is due at %s: %s, generation %s", e.Partition, clock(at), cause, g)
	}
}

// outlive takes an order of the last epoch back: svc-master may have superseded its run when it moved the epoch, and then refuses its id for ever.
func (a *Agenda) outlive(e *Entry, moved bool, now time.Time) {
	if moved && e.State == Ordered {
		a.withdraw(e, now, "it is of an older epoch")
	}
}

// reset notices a newer epoch, and tells so: tokens may begin anew.
func (e *Entry) reset(g Generation) (moved bool) {
	if g.Epoch > e.Epoch {
		moved = true
		e.Epoch, e.Token = g.Epoch, 0
		e.FirstBang, e.LastBang = 0, 0 // numbers skip what may have been given out: across epochs their difference counts nothing
	}
	return moved
}

// heldBack is at + delay, neither in the past nor more than the delay away.
func heldBack(at time.Time, delay time.Duration, now time.Time) time.Time {
	due := at.Add(delay)
	if due.Before(now) {
		return now
	}
	if latest := now.Add(delay); due.After(latest) {
		return latest
	}
	return due
}

// runNow makes one run due for a person. A request that is known changes nothing.
func (a *Agenda) runNow(ev RunNow, now time.Time) {
	e := a.Entries[ev.Partition]
	if e == nil {
		a.say("run of %s ignored: no instance is allocated there", ev.Partition)
		return
	}
	if ev.RequestID != "" {
		if slices.Contains(e.Requests, ev.RequestID) {
			a.say("request %s is known", ev.RequestID)
			return
		}
		e.asked(ev.RequestID)
	}
	e.due(Manual, now)
	a.tell(e, now, "%s is due now: manual", e.Partition)
	a.changed(e)
}
