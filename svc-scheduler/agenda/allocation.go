package agenda

import "time"

// departed is the allocation that left a partition last, and when that was learnt.
type departed struct {
	allocation string
	at         time.Time
}

// outdated tells whether a reading is too old to bring an allocation that is not known: readings overtake each other, and an entry of an allocation that is
// gone would be ordered for ever, in a slot of its computer.
func (a *Agenda) outdated(l *Allocation, asked time.Time) bool {
	gone := a.gone[l.Partition]
	return asked.Before(a.whole) || gone.allocation == l.AllocationID && !asked.After(gone.at)
}

// reconcile takes over the truth. What was learnt after the reading was asked for is newer and stays.
func (a *Agenda) reconcile(ev Allocations, now time.Time) {
	if ev.Scope == OfComputer && ev.Asked.After(a.whole) {
		a.whole = ev.Asked
	}
	for _, e := range a.Entries {
		e.unlearn(now)
	}
	listed := make(map[string]bool, len(ev.List))
	for i := range ev.List {
		l := &ev.List[i]
		listed[l.Partition] = true
		e := a.Entries[l.Partition]
		if e != nil && e.AllocationID != l.AllocationID {
			if e.Learnt.After(ev.Asked) {
				continue
			}
			a.say("%s: allocation %s follows %s", l.Partition, l.AllocationID, e.AllocationID)
			a.depart(e, now)
			e = nil
		}
		if e == nil && a.outdated(l, ev.Asked) {
			a.say("%s: the reading of allocation %s is outdated", l.Partition, l.AllocationID)
			continue
		}
		a.take(e, l, ev.Asked, now)
	}
	if ev.Scope == Some {
		return
	}
	for _, partition := range a.sortedPartitions() {
		e := a.Entries[partition]
		if listed[partition] || e.Learnt.After(ev.Asked) || (ev.Scope == OfTree && e.TreeID != ev.Tree) {
			continue
		}
		a.say("%s is no longer allocated to %s", partition, e.InstanceID)
		a.depart(e, now)
	}
}

// unlearn drops times that are ahead: an earlier stream's clock, which was set back since, wrote them, and no reading of this stream is older than that.
func (e *Entry) unlearn(now time.Time) {
	if e.Learnt.After(now) {
		e.Learnt = time.Time{}
	}
	if e.LatestSeen.After(now) {
		e.LatestSeen = time.Time{}
	}
}

// depart forgets an entry whose allocation is gone.
func (a *Agenda) depart(e *Entry, now time.Time) {
	a.gone[e.Partition] = departed{e.AllocationID, now}
	a.remove(e)
}

// take brings one entry up to what was read; e is nil for a partition that is new here.
func (a *Agenda) take(e *Entry, l *Allocation, asked, now time.Time) {
	period := l.Period
	if period <= 0 || period > MaxPeriod {
		period = MaxPeriod
	}
	isNew := e == nil
	if isNew {
		e = &Entry{
			Partition: l.Partition, AllocationID: l.AllocationID, Period: period,
			Answered: l.Settled, Settled: l.Settled, Learnt: now, Epoch: l.Wanted.Epoch,
		}
		a.add(e)
		e.periodic(now)
	}
	before := e.clone()
	moved := e.reset(l.Wanted)
	e.InstanceID, e.TreeID, e.Title = l.InstanceID, l.TreeID, l.Title
	if e.Period != period {
		e.Period = period
		if !e.Due[Periodicity].IsZero() {
			since := e.Ran
			if since.IsZero() {
				since = now
			}
			e.periodic(since)
		}
	}
	a.takePause(e, l.Pause, now)
	a.takeRuns(e, l, asked, now)
	a.takeWanted(e, l, now)
	a.outlive(e, moved, now)
	e.ensure(now)
	if isNew || !same(e, before) {
		a.changed(e)
	}
}

// takeRuns brings the entry up to the run in progress and the latest report.
func (a *Agenda) takeRuns(e *Entry, l *Allocation, asked, now time.Time) {
	if l.Settled.After(e.Settled) {
		e.Settled = l.Settled
		e.forget()
		e.answer(l.Settled)
	}
	if end := l.Latest; end.RunID != "" && end.RunID != e.LatestRun && !e.LatestSeen.After(asked) {
		since := e.since(end.RunID)
		if e.Run.ID == end.RunID {
			if e.State == Ordered {
				e.begin()
			}
			a.move(e, End)
		}
		if e.State != Running {
			e.Attempt = max(end.Attempt-1, 0)
			a.ended(e, end, since, now)
		}
	}
	switch {
	case l.Run.RunID != "" && l.Run.RunID != e.LatestRun:
		if e.State != Running || e.Run.ID != l.Run.RunID {
			a.begun(Begun{Partition: e.Partition, AllocationID: e.AllocationID, RunSeen: l.Run}, now)
		}
	case e.State == Running && e.Run.Began.Before(asked):
		a.lose(e, now, "svc-master has no run in progress")
	}
}

// takeWanted brings the entry up to what is wanted.
func (a *Agenda) takeWanted(e *Entry, l *Allocation, now time.Time) {
	if l.Changed.After(e.Changed) && l.Changed.After(e.Settled) && l.Changed.After(e.Answered) {
		a.want(e, Changed, l.Changed, Bang{}, now, now)
	}
	e.Changed = newest(e.Changed, l.Changed)
	if !l.Wanted.After(e.Wanted) || !l.Wanted.After(e.Settled) {
		e.Wanted = newest(e.Wanted, l.Wanted)
		return
	}
	at := now
	var bang Bang
	if l.Bang != nil {
		bang = *l.Bang
		if l.WantedCause == FromBang {
			at = heldBack(bang.At, l.Delay, now)
		}
	}
	if l.WantedCause == FromBang || l.Bang != nil {
		a.want(e, FromBang, l.Wanted, bang, at, now)
	}
	if l.WantedCause != FromBang {
		a.want(e, Changed, l.Wanted, Bang{}, now, now)
	}
}

// same compares what is stored of two states of an entry, so that a reading that tells nothing new writes nothing.
func same(a, b *Entry) bool {
	if len(a.Bangs) != len(b.Bangs) {
		return false
	}
	for i := range a.Bangs {
		if a.Bangs[i] != b.Bangs[i] {
			return false
		}
	}
	return a.InstanceID == b.InstanceID && a.TreeID == b.TreeID && a.Title == b.Title && a.Period == b.Period &&
		a.Wanted == b.Wanted && a.BangWanted == b.BangWanted && a.Changed == b.Changed && a.Answered == b.Answered && a.Settled == b.Settled &&
		a.Due == b.Due && a.Pause.Generation == b.Pause.Generation && a.State == b.State && a.Run == b.Run && a.Epoch == b.Epoch && a.Token == b.Token &&
		a.Spare == b.Spare && a.Attempt == b.Attempt && a.LatestRun == b.LatestRun && a.Ran.Equal(b.Ran)
}
