package agenda

import (
	"fmt"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// begun notes a BeginRun: what it answers is no longer due, what came later is.
func (a *Agenda) begun(ev Begun, now time.Time) {
	e := a.find("the begin of a run", ev.Partition, ev.AllocationID)
	if e == nil {
		return
	}
	e.reset(ev.Generation)
	switch {
	case ev.RunID == e.LatestRun:
		a.tell(e, now, "begin of run %s ignored: it is reported", ev.RunID)
		return
	case e.State == Running && e.Run.ID == ev.RunID:
		a.say("begin of run %s is known", ev.RunID)
		return
	case ev.Token <= e.Token && ev.Generation.Epoch <= e.Epoch:
		a.tell(e, now, "begin of run %s ignored: a newer run began (token %d, not %d)", ev.RunID, e.Token, ev.Token)
		return
	}
	if e.Run.ID != ev.RunID {
		if e.State == Ordered {
			e.Spare = e.Run.ID
		}
		e.Run = Run{ID: ev.RunID} // the node's own run, or one of another session
		if cause, due := e.DueCause(now); cause != None {
			e.Run.Cause, e.Run.Due = cause, due
		}
	}
	if e.Spare == ev.RunID {
		e.Spare = ""
	}
	e.Run.Began, e.Run.Generation, e.Token = now, ev.Generation, ev.Token
	e.Wanted = newest(e.Wanted, ev.Generation)
	a.move(e, Begin)
	if !e.BangWanted.After(ev.Generation) {
		a.change.folded += e.Folds()
	}
	e.begin()
	e.answer(ev.Generation)
	a.tell(e, now, "%s runs: %s, generation %s", e.Partition, ev.RunID, ev.Generation)
	a.changed(e)
}

// reported notes how a run ended: success makes the periodic run next, anything else the retry after the growing delay.
func (a *Agenda) reported(ev Reported, now time.Time) {
	e := a.find("the report of a run", ev.Partition, ev.AllocationID)
	if e == nil {
		return
	}
	e.reset(ev.Generation)
	switch {
	case ev.RunID == e.LatestRun:
		a.say("report of run %s is known", ev.RunID)
		return
	case ev.Token < e.Token && (ev.Token > 0 || e.State == Running):
		a.tell(e, now, "report of run %s ignored: a newer run began (token %d, not %d)", ev.RunID, e.Token, ev.Token)
		return
	}
	since := e.since(ev.RunID)
	if e.Run.ID == ev.RunID {
		if e.State == Ordered { // its BeginRun was not seen
			e.begin()
		}
		a.move(e, End)
	}
	e.Token = max(e.Token, ev.Token)
	if ev.Generation.Number > 0 {
		e.Wanted = newest(e.Wanted, ev.Generation)
		e.answer(ev.Generation)
		if ev.Success {
			e.Settled = newest(e.Settled, ev.Generation)
			e.forget()
		}
	}
	a.ended(e, ev.RunEnded, since, now)
	a.changed(e)
}

// since is when the run in hand began, or was ordered, by our own clock; zero for any other run.
func (e *Entry) since(run string) time.Time {
	switch {
	case e.Run.ID != run:
		return time.Time{}
	case e.Run.Began.After(e.Run.Ordered):
		return e.Run.Began
	}
	return e.Run.Ordered
}

// ended applies the result of the latest run. since is when it was in hand by our own clock: svc-master stamps with its own,
// and when that is behind ours its stamp would make due again what the run has just answered.
func (a *Agenda) ended(e *Entry, end RunEnded, since, now time.Time) {
	e.LatestRun, e.LatestSeen = end.RunID, now
	if e.Spare == end.RunID {
		e.Spare = ""
	}
	at := end.At
	if at.Before(since) {
		at = since
	}
	if at.IsZero() || at.After(now) {
		at = now
	}
	if end.Success {
		e.succeed(at)
		a.tell(e, now, "%s succeeded (%s): %s", e.Partition, end.RunID, e.Reason(now))
	} else {
		e.Attempt = max(e.Attempt+1, end.Attempt)
		if e.Changed.After(e.Answered) {
			e.Attempt = 1 // the failure is of the desired state before the change
		}
		e.ErrorType, e.Result = end.ErrorType, end.Result
		e.fail(at, now)
		a.tell(e, now, "%s failed (%s): %s", e.Partition, end.RunID, e.Reason(now))
	}
	e.ensure(now)
}

// ensure keeps the promise that what is wanted and not settled is due for more than its period, whatever was missed.
func (e *Entry) ensure(now time.Time) {
	if e.State != Waiting {
		return
	}
	if e.unanswered() && e.Due[Manual].IsZero() && e.Due[FromBang].IsZero() && e.Due[Changed].IsZero() && e.Due[Retry].IsZero() {
		e.Due[Retry], e.Due[Periodicity] = now, time.Time{}
	}
	if e.Due[Retry].IsZero() && e.Due[Periodicity].IsZero() {
		e.periodic(now)
	}
}

// lose ends the wait for a run without a report. It counts as a failure, so that a run that kills its node does not do so in a loop.
func (a *Agenda) lose(e *Entry, now time.Time, why string) {
	a.tell(e, now, "run %s of %s is lost: %s", e.Run.ID, e.Partition, why)
	a.move(e, Lose)
	a.change.lost++
	e.Attempt++
	e.ErrorType, e.Result = "", "lost"
	e.fail(now, now)
	a.changed(e)
}

// withdraw gives up on an order that did not begin: its id may be one that svc-master or the node refuses for ever. What it was for is still due.
func (a *Agenda) withdraw(e *Entry, now time.Time, why string) {
	a.tell(e, now, "order %s of %s is withdrawn: %s", e.Run.ID, e.Partition, why)
	a.move(e, Lose)
	a.change.lost++
	e.Spare = ""
	a.settle(e, now)
	a.changed(e)
}

// settle makes an entry due whose order was taken back: for what it was for, or for its period.
func (a *Agenda) settle(e *Entry, now time.Time) {
	if c, _ := e.NextCause(now); c == None {
		e.periodic(now)
	}
	e.ensure(now)
}

// runID makes a UUID of version 7 from the time and from what is handed out only once: the computer's session and the number of the order in it.
// A hash takes the place of random bits, so that the simulators replay exactly.
func (a *Agenda) runID(now time.Time) string {
	seed := fmt.Sprintf("%s/%d/%d", a.Computer, a.Session, a.Orders)
	high, low := backoff.Hash(seed), backoff.Hash(seed+"/low")
	ms := uint64(now.UnixMilli())
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16&0xffffffff, ms&0xffff, high&0xfff, 0x8000|low>>48&0x3fff, low&0xffffffffffff)
}
