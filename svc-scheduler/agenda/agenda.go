package agenda

import (
	"maps"
	"slices"
	"time"
)

// Agenda is one computer's agenda. It belongs to one goroutine at a time.
type Agenda struct {
	Computer string
	// Session of the stream that owns it; Connected while that is open.
	Session   uint64
	Connected bool
	// Slots is how many orders may be unreported at once.
	Slots int
	// BootID of the machine when it was seen last; empty = never.
	BootID string
	// Pause of the computer: no orders are handed over until its end.
	Pause Paused
	// Entries by partition.
	Entries map[string]*Entry
	// Orders counts what was handed over for the first time in this session; with the session it makes run ids.
	Orders uint64

	queue  queue
	active int // entries ordered or running
	change change
	gone   map[string]departed // by partition: the allocation that left it last
	whole  time.Time           // when the newest reading of the whole computer was asked for
}

// change collects what Apply does.
type change struct {
	stored  []*Entry // once each, marked; one that was removed since is marked no longer
	removed map[string]bool
	head    bool
	reasons []Saying
	folded  uint64
	lost    int
}

// Outcome is what the caller does next, in this order: store, hand over, wake.
type Outcome struct {
	// Stored are the partitions whose entries changed, Removed those that are gone; both sorted. Head tells whether the agenda's own
	// fields changed (BootID, Pause, Connected).
	Stored, Removed []string
	Head            bool
	// Orders to hand over, once all of the above is stored.
	Orders []Order
	// Wake is when to apply Due; zero = no need.
	Wake time.Time
	// Reasons says what was decided, in words, one per event that changed or ignored something.
	Reasons []Saying
	// Folded counts bangs that begun runs answer beyond their first; Lost counts runs that ended without a report.
	Folded uint64
	Lost   int
}

// Order says that a partition should run now.
type Order struct {
	RunID, Computer, Partition, AllocationID, TreeID string
	Cause                                            Cause
	// Attempt counts since the last success, this one included, from 1.
	Attempt int
	// Due is when it was due, Ordered when it is handed over.
	Due, Ordered time.Time
	// BeginAfter is how long the node waits before it begins; 0 = not at all.
	BeginAfter time.Duration
	// Bangs behind it, newest first, at most MaxBangs; Folds beyond the first.
	Bangs []Bang
	Folds uint64
	// Parented tells that the run belongs into the trace of its one bang.
	Parented bool
	Session  uint64
	// Again tells that it was handed over before, with this run id.
	Again bool
	// Trace is the context of its `order run` span; empty until SetTrace.
	Trace Trace
	// Reason in words.
	Reason string
}

// New makes the agenda of a computer from its stored entries, which it keeps.
func New(computer string, entries ...*Entry) *Agenda {
	a := &Agenda{Computer: computer, Slots: 1, Entries: map[string]*Entry{}, queue: newQueue(), gone: map[string]departed{}}
	for _, e := range entries {
		a.add(e)
	}
	return a
}

func (a *Agenda) add(e *Entry) {
	e.line = nil // of another agenda, when the entry was copied
	e.key, e.spot, e.inLine, e.inLongest = a.Computer+"/"+e.Partition, -1, -1, -1
	if e.Period <= 0 || e.Period > MaxPeriod {
		e.Period = MaxPeriod
	}
	a.Entries[e.Partition] = e
	if e.State != Waiting {
		a.active++
	}
	a.queue.put(e)
}

// Apply applies events in order, then hands over what is due. It is deterministic.
func (a *Agenda) Apply(now time.Time, events ...Event) Outcome {
	for _, event := range events {
		a.apply(event, now)
	}
	orders := a.dispatch(now)
	c := a.change
	a.change = change{}
	var removed []string
	if len(c.removed) > 0 {
		removed = slices.Sorted(maps.Keys(c.removed))
	}
	return Outcome{
		Stored: c.partitions(), Removed: removed, Head: c.head,
		Orders: orders, Wake: a.wake(), Reasons: c.reasons, Folded: c.folded, Lost: c.lost,
	}
}

// partitions names the entries that changed and are still there, sorted, and takes their marks.
func (c *change) partitions() []string {
	names := make([]string, 0, len(c.stored))
	for _, e := range c.stored {
		if e.changed {
			names = append(names, e.Partition)
		}
		e.changed = false
	}
	slices.Sort(names)
	return names
}

func (a *Agenda) apply(event Event, now time.Time) {
	switch ev := event.(type) {
	case StreamOpened:
		a.opened(ev, now)
	case StreamClosed:
		a.closed(ev)
	case Allocations:
		a.reconcile(ev, now)
	case Wanted:
		a.wanted(ev, now)
	case Begun:
		a.begun(ev, now)
	case Reported:
		a.reported(ev, now)
	case RunNow:
		a.runNow(ev, now)
	case Cancel:
		a.cancel(ev, now)
	case Pause:
		a.pause(ev, now)
	case Resume:
		a.resume(ev)
	case Due:
	}
}

// SetTrace gives an order of the latest outcome the context of its `order run` span, which is stored with it.
func (a *Agenda) SetTrace(order *Order, trace Trace) {
	order.Trace = trace
	if e := a.Entries[order.Partition]; e != nil && e.Run.ID == order.RunID {
		e.Run.Trace = trace
	}
}

// wake is when time alone changes something: never without a stream, when nothing may be handed over.
func (a *Agenda) wake() time.Time {
	switch {
	case !a.Connected:
		return time.Time{}
	case a.Pause != (Paused{}):
		return a.Pause.Until
	}
	return a.queue.next()
}

// Active is how many orders are handed over and not reported.
func (a *Agenda) Active() int { return a.active }

// Overdue counts the entries that are due and have not begun, and those of them that have been due for more than after. It looks at what is due and
// not at what exists: it is called after every Apply.
func (a *Agenda) Overdue(now time.Time, after time.Duration) (due, overdue int) {
	due = len(a.queue.ready.longest.items)
	long := now.Add(-after)
	a.queue.ready.longest.visit(func(e *Entry) bool { return e.dueSince.Before(long) }, func(*Entry) { overdue++ })
	// An order waits for its begin for BeginWithin: it needs attention before that is over.
	a.queue.before(now.Add(BeginWithin), func(e *Entry) {
		at := e.Run.Due
		if e.State == Waiting {
			_, at = e.DueCause(now)
		}
		if e.State == Running || at.IsZero() || e.Pause.In(now) {
			return
		}
		due++
		if at.Before(long) {
			overdue++
		}
	})
	return due, overdue
}

// Sorted returns the entries, next due first.
func (a *Agenda) Sorted() []*Entry {
	return slices.SortedFunc(maps.Values(a.Entries), func(x, y *Entry) int {
		if c := x.Next().Compare(y.Next()); c != 0 {
			return c
		}
		if x.Partition < y.Partition {
			return -1
		}
		return 1
	})
}

// Clone copies the agenda.
func (a *Agenda) Clone() *Agenda {
	entries := make([]*Entry, 0, len(a.Entries))
	for _, e := range a.Entries {
		entries = append(entries, e.clone())
	}
	c := New(a.Computer, entries...)
	c.Session, c.Connected, c.Slots, c.BootID, c.Orders = a.Session, a.Connected, a.Slots, a.BootID, a.Orders
	c.Pause = a.Pause
	c.queue.ready.turns, c.gone, c.whole = maps.Clone(a.queue.ready.turns), maps.Clone(a.gone), a.whole
	return c
}

// find returns the entry of an event, if its allocation is the current one.
func (a *Agenda) find(what, partition, allocation string) *Entry {
	e := a.Entries[partition]
	switch {
	case e == nil:
		a.say("%s of %s ignored: no instance is allocated there", what, partition)
	case e.AllocationID != allocation:
		a.say("%s of %s ignored: it is about allocation %s, and %s is current", what, partition, allocation, e.AllocationID)
	default:
		return e
	}
	return nil
}

// move takes an entry's step and keeps count of what is active.
func (a *Agenda) move(e *Entry, s Step) {
	if e.State != Waiting {
		a.active--
	}
	e.step(s)
	if e.State != Waiting {
		a.active++
	}
}

// changed files an entry anew and marks it to be stored.
func (a *Agenda) changed(e *Entry) {
	if !e.changed {
		e.changed = true
		a.change.stored = append(a.change.stored, e)
	}
	delete(a.change.removed, e.Partition)
	a.queue.put(e)
}

// remove forgets an entry.
func (a *Agenda) remove(e *Entry) {
	a.queue.drop(e)
	if e.State != Waiting {
		a.active--
	}
	delete(a.Entries, e.Partition)
	e.changed = false
	if a.change.removed == nil {
		a.change.removed = map[string]bool{}
	}
	a.change.removed[e.Partition] = true
	for _, other := range a.Entries {
		if other.TreeID == e.TreeID {
			return
		}
	}
	delete(a.queue.ready.turns, e.TreeID)
}
