package agenda

import "time"

// dispatch hands over what is due, as far as slots allow. Without a stream or while paused nothing is handed over.
func (a *Agenda) dispatch(now time.Time) []Order {
	if !a.Connected || a.Paused {
		return nil
	}
	var orders []Order
	var again []*Entry
	a.queue.attend(now, func(e *Entry) {
		if e.State == Running {
			a.lose(e, now, "no report within "+RunBound.String())
			return
		}
		if e.Run.Handed >= MaxHanded {
			a.withdraw(e, now)
			return
		}
		again = append(again, e)
	})
	for _, e := range again {
		e.Run.Handed++
		orders = append(orders, a.order(e, now))
	}
	for len(a.queue.ready) > 0 && a.active < a.Slots {
		e := a.pick(now)
		if e == nil {
			break // the clock went back: nothing is due any more
		}
		a.Orders++
		a.turns[e.TreeID] = a.Orders
		cause, due := e.DueCause(now)
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
	why := e.why(e.Run.Cause)
	e.remember(now, "ordered (%s), attempt %d, as run %s, for the %d. time: %s", e.Run.Cause, e.Attempt+1, e.Run.ID, e.Run.Handed, why)
	return Order{
		RunID: e.Run.ID, Computer: a.Computer, Partition: e.Partition, AllocationID: e.AllocationID, TreeID: e.TreeID,
		Cause: e.Run.Cause, Attempt: e.Attempt + 1, Due: e.Run.Due, Ordered: now,
		Bangs: append([]Bang(nil), e.Bangs...), Folds: e.Folds(), Parented: e.Run.Cause == FromBang && e.parented(now),
		Session: a.Session, Again: e.Run.Handed > 1, Trace: e.Run.Trace, Reason: why,
	}
}

// pick takes the next of the ready entries: by cause, then round robin by tree, then the longest due; each fourth is the longest due of all.
func (a *Agenda) pick(now time.Time) *Entry {
	longest := a.Orders%LongestDueTurn == LongestDueTurn-1
	var best *Entry
	var bestCause Cause
	var bestDue time.Time
	for _, e := range a.queue.ready {
		cause, due := e.DueCause(now)
		if cause == None {
			continue
		}
		if best == nil || a.before(longest, e, cause, due, best, bestCause, bestDue) {
			best, bestCause, bestDue = e, cause, due
		}
	}
	return best
}

func (a *Agenda) before(longest bool, x *Entry, xc Cause, xd time.Time, y *Entry, yc Cause, yd time.Time) bool {
	if !longest {
		if xc != yc {
			return xc < yc
		}
		if tx, ty := a.turns[x.TreeID], a.turns[y.TreeID]; tx != ty {
			return tx < ty
		}
	}
	if !xd.Equal(yd) {
		return xd.Before(yd)
	}
	return x.Partition < y.Partition // a total order: replays are exact
}
