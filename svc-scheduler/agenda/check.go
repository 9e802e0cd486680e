package agenda

import (
	"fmt"
	"time"
)

// Check returns the first invariant that does not hold, or nil. The simulators and tests call it after every step.
func (a *Agenda) Check() error {
	active, filed := 0, 0
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
	}
	if active != a.active {
		return fmt.Errorf("cannot trust the agenda of %s: %d entries are active, %d counted", a.Computer, active, a.active)
	}
	if filed != len(a.queue.heap)+len(a.queue.ready) {
		return fmt.Errorf("cannot trust the agenda of %s: %d entries filed, the queue has %d", a.Computer, filed, len(a.queue.heap)+len(a.queue.ready))
	}
	return nil
}

func (a *Agenda) checkEntry(partition string, e *Entry) error {
	switch {
	case e.Partition != partition:
		return fmt.Errorf("it calls itself %s", e.Partition)
	case e.spot < 0:
		return fmt.Errorf("it is in no queue")
	case e.late && (e.spot >= len(a.queue.ready) || a.queue.ready[e.spot] != e), !e.late && (e.spot >= len(a.queue.heap) || a.queue.heap[e.spot] != e):
		return fmt.Errorf("the queue has another entry in its place")
	case !e.late && !e.next.Equal(e.Next()):
		return fmt.Errorf("it is filed under %s and needs attention at %s", e.next, e.Next())
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
		case e.Wanted.After(e.Settled) && e.Due[Manual].IsZero() && e.Due[FromBang].IsZero() && e.Due[Changed].IsZero() && e.Due[Retry].IsZero():
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
	case e.State == Running && e.BangWanted.After(e.Answered) && e.Due[FromBang].IsZero():
		return fmt.Errorf("bang generation %s came during run %s and left no dirty mark", e.BangWanted, e.Run.ID)
	}
	return nil
}
