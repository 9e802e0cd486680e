package agenda

import (
	"slices"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// opened takes the agenda over for a stream: orders that the node does not have are handed over again at once, runs that it does not
// have are lost, and another boot makes everything due, spread.
func (a *Agenda) opened(ev StreamOpened, now time.Time) {
	if ev.Session < a.Session {
		a.say("stream of session %d ignored: session %d is newer", ev.Session, a.Session)
		return
	}
	booted := a.BootID != "" && ev.BootID != "" && a.BootID != ev.BootID
	if ev.Session != a.Session {
		a.Orders = 0
		a.queue.ready.begin()
	}
	a.Session, a.Connected, a.Slots = ev.Session, true, max(ev.Slots, 1)
	a.change.head = true
	if ev.BootID != "" {
		a.BootID = ev.BootID
	}
	for _, partition := range a.sortedPartitions() {
		e := a.Entries[partition]
		before := *e
		a.clamp(e, now)
		has := slices.Contains(ev.Running, e.Run.ID)
		switch {
		case e.State == Running && !has:
			a.lose(e, now, "the node no longer has it")
		case e.State == Ordered && has:
			e.Run.Ordered = now
		case e.State == Ordered:
			e.Run.Ordered = now.Add(-BeginWithin) // due for handing over again now
		}
		if booted && e.State == Waiting {
			e.due(Boot, now.Add(backoff.Phase(e.key, BootSpread)))
		}
		a.spread(e, now)
		if e.State != before.State || e.Due != before.Due || e.Run != before.Run {
			a.changed(e)
		}
	}
	if booted {
		a.say("the computer booted: its %d partitions run within %s", len(a.Entries), BootSpread)
	}
}

// spread puts off what is due for its period only: after an outage that is a whole fleet, and whoever banged, changed or failed goes before it. What is
// still fresh runs while it is; what is stale already is not made worse, and its node ran it by itself at its own deadline and may only not have told.
func (a *Agenda) spread(e *Entry, now time.Time) {
	cause, due := e.DueCause(now)
	if e.State != Waiting || cause != Periodicity {
		return
	}
	at := now.Add(backoff.Phase(e.key, min(OverdueSpread, e.Period/overduePart)))
	if end := e.Ran.Add(e.Period); now.Before(end.Add(Fresh)) && at.After(end) {
		if at = end; at.Before(now) {
			at = now
		}
	}
	if !at.After(now) {
		return
	}
	e.Due[Periodicity] = at
	a.tell(e, now, "%s is overdue since %s and is due at %s: what is overdue when a stream opens is spread", e.Partition, clock(due), clock(at))
}

// closed ends the stream of a session.
func (a *Agenda) closed(ev StreamClosed) {
	if ev.Session != a.Session {
		a.say("end of session %d ignored: session %d is newer", ev.Session, a.Session)
		return
	}
	a.Connected = false
	a.change.head = true
}

// clamp pulls due times that a clock which jumped left too far ahead back to the longest that each cause allows.
func (a *Agenda) clamp(e *Entry, now time.Time) {
	// The growing delay has a jitter of +20 %.
	longest := [Causes]time.Duration{
		FromBang: MaxDelay * 6 / 5, Changed: MaxDelay * 6 / 5, Boot: BootSpread, Retry: MaxDelay * 6 / 5, Periodicity: e.Period,
	}
	for c := Manual; c <= Periodicity; c++ {
		if limit := now.Add(longest[c]); e.Due[c].After(limit) {
			e.Due[c] = limit
		}
	}
	if e.Run.Ordered.After(now) {
		e.Run.Ordered = now
	}
	if e.Run.Began.After(now) {
		e.Run.Began = now
	}
}

func (a *Agenda) sortedPartitions() []string {
	names := make([]string, 0, len(a.Entries))
	for name := range a.Entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
