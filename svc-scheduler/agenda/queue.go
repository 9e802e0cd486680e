package agenda

import "time"

// queue finds what needs attention in time that grows with what is due, and whose turn it is in time that grows with the logarithm of that.
//
//	later ── by when it needs attention: what waits, is ordered or runs; and what is ready and will be due for a better cause
//	ready ── what is due and waits for a slot
type queue struct {
	later heap[*Entry]
	ready ready
	// seen is the time of the latest attend: a clock that went back makes what is ready wait again.
	seen time.Time
}

func newQueue() queue {
	return queue{
		later: heap[*Entry]{
			before: func(a, b *Entry) bool {
				if !a.next.Equal(b.next) {
					return a.next.Before(b.next)
				}
				return a.Partition < b.Partition
			},
			place: func(e *Entry) *int { return &e.spot },
		},
		ready: newReady(),
	}
}

// put files an entry anew, after anything of it changed.
func (q *queue) put(e *Entry) {
	q.drop(e)
	if e.next = e.Next(); !e.next.IsZero() {
		q.later.put(e)
	}
}

// drop takes an entry out.
func (q *queue) drop(e *Entry) {
	q.later.drop(e)
	q.ready.drop(e)
}

// attend makes ready what waits and is due at now; others that need attention go to the caller, which files them anew.
func (q *queue) attend(now time.Time, other func(*Entry)) {
	if now.Before(q.seen) {
		for len(q.ready.longest.items) > 0 {
			q.put(q.ready.longest.items[0])
		}
	}
	q.seen = now
	for len(q.later.items) > 0 && !q.later.items[0].next.After(now) {
		e := q.later.items[0]
		q.drop(e)
		if e.State != Waiting {
			other(e)
			continue
		}
		e.cause, e.dueSince = e.DueCause(now)
		q.ready.put(e)
		if e.next = e.better(now); !e.next.IsZero() {
			q.later.put(e)
		}
	}
}

// next is when the first entry needs attention; zero = none does.
func (q *queue) next() time.Time {
	if len(q.later.items) == 0 {
		return time.Time{}
	}
	return q.later.items[0].next
}

// before calls do for each entry that is not ready and needs attention at or before a time, in no order, without looking at the others.
func (q *queue) before(limit time.Time, do func(*Entry)) {
	q.later.visit(func(e *Entry) bool { return !e.next.After(limit) }, func(e *Entry) {
		if !e.ready() {
			do(e)
		}
	})
}

// better is when an entry that is ready will be due for a cause that wins over the one it is due for; zero = for none.
func (e *Entry) better(now time.Time) time.Time {
	var at time.Time
	for c := Manual; c < e.cause; c++ {
		if t := e.Due[c]; t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// ready tells whether an entry is due and waits for a slot.
func (e *Entry) ready() bool { return e.inLongest >= 0 }
