package agenda

import (
	"fmt"
	"time"
)

// Check returns the first invariant that does not hold, or nil. The simulators and tests call it after every step.
func (a *Agenda) Check() error {
	active, filed, ready := 0, 0, 0
	runs := map[string]string{}
	for partition, e := range a.Entries {
		if err := a.checkEntry(partition, e); err != nil {
			return fmt.Errorf("cannot trust the agenda of %s/%s: %w", a.Computer, partition, err)
		}
		if e.State != Waiting {
			active++
			if other, taken := runs[e.Run.ID]; taken {
				return fmt.Errorf("cannot trust the agenda of %s: %s and %s have the same run %s", a.Computer, partition, other, e.Run.ID)
			}
			runs[e.Run.ID] = partition
		}
		if e.spot >= 0 {
			filed++
		}
		if e.ready() {
			ready++
		}
	}
	if active != a.active {
		return fmt.Errorf("cannot trust the agenda of %s: %d entries are active, %d counted", a.Computer, active, a.active)
	}
	inLines := 0
	for _, l := range a.queue.ready.lines {
		inLines += len(l.entries.items)
	}
	if filed != len(a.queue.later.items) || ready != len(a.queue.ready.longest.items) || ready != inLines {
		return fmt.Errorf("cannot trust the agenda of %s: of %d and %d entries that are filed and ready, the queue has %d, %d and %d",
			a.Computer, filed, ready, len(a.queue.later.items), len(a.queue.ready.longest.items), inLines)
	}
	return nil
}

func (a *Agenda) checkEntry(partition string, e *Entry) error {
	switch {
	case e.Partition != partition:
		return fmt.Errorf("it calls itself %s", e.Partition)
	case e.spot < 0 && !e.ready():
		return fmt.Errorf("it is in no queue")
	case e.spot >= 0 && a.queue.later.items[e.spot] != e, e.ready() && (a.queue.ready.longest.items[e.inLongest] != e || e.line.entries.items[e.inLine] != e):
		return fmt.Errorf("the queue has another entry in its place")
	case !e.ready() && !e.next.Equal(e.Next()):
		return fmt.Errorf("it is filed under %s and needs attention at %s", e.next, e.Next())
	case e.ready() && (e.State != Waiting || e.line.lineKey != lineKey{e.cause, e.TreeID} || !e.dueSince.Equal(e.Due[e.cause])):
		return fmt.Errorf("it is ready for %s since %s, and that is not so", e.cause, e.dueSince)
	case len(e.Bangs) > MaxBangs || len(e.Requests) > MaxRequests:
		return fmt.Errorf("it remembers %d bangs and %d requests", len(e.Bangs), len(e.Requests))
	case e.Settled.After(e.Wanted) && e.Wanted != (Generation{}):
		return fmt.Errorf("settled %s is after wanted %s", e.Settled, e.Wanted)
	case e.Due[None] != (time.Time{}):
		return fmt.Errorf("it is due for no cause")
	}
	if e.State == Waiting {
		switch {
		case e.Run != (Run{}):
			return fmt.Errorf("it waits and has run %s in hand", e.Run.ID)
		case e.Next().IsZero():
			return fmt.Errorf("it waits and will never be due")
		case e.unanswered() && e.Due[Manual].IsZero() && e.Due[FromBang].IsZero() && e.Due[Changed].IsZero() && e.Due[Retry].IsZero():
			return fmt.Errorf("generation %s is wanted, %s settled, and no run is due for it", e.Wanted, e.Settled)
		}
		return nil
	}
	switch {
	case e.Run.ID == "":
		return fmt.Errorf("it is %s without a run", e.State)
	case e.State == Running && e.Run.Began.IsZero():
		return fmt.Errorf("run %s is running and did not begin", e.Run.ID)
	case e.State == Ordered && e.Run.Ordered.IsZero():
		return fmt.Errorf("run %s is ordered and was not handed over", e.Run.ID)
	case e.State == Running && e.BangWanted.After(e.Answered) && e.BangWanted.After(e.Cancelled) && e.Due[FromBang].IsZero():
		return fmt.Errorf("bang generation %s came during run %s and left no dirty mark", e.BangWanted, e.Run.ID)
	}
	return nil
}
