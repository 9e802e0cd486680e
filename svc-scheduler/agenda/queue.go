package agenda

import "time"

// queue finds what needs attention in time that grows with what is due: a heap by Next for what does not need it yet, and the list of
// waiting entries that are due and have no slot.
type queue struct {
	heap  []*Entry
	ready []*Entry
}

// put files an entry anew, after anything of it changed.
func (q *queue) put(e *Entry) {
	q.drop(e)
	e.next = e.Next()
	if e.next.IsZero() {
		return
	}
	e.late, e.spot = false, len(q.heap)
	q.heap = append(q.heap, e)
	q.up(e.spot)
}

// drop takes an entry out.
func (q *queue) drop(e *Entry) {
	if e.spot < 0 {
		return
	}
	i := e.spot
	e.spot = -1
	if e.late {
		e.late = false
		last := len(q.ready) - 1
		if i != last {
			q.ready[i] = q.ready[last]
			q.ready[i].spot = i
		}
		q.ready[last] = nil
		q.ready = q.ready[:last]
		return
	}
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = nil
	q.heap = q.heap[:last]
	if i == last {
		return
	}
	q.heap[i], moved.spot = moved, i
	q.up(i)
	q.down(moved.spot)
}

// attend moves what needs attention at now out of the heap: waiting entries to the ready list, others to the caller.
func (q *queue) attend(now time.Time, other func(*Entry)) {
	for len(q.heap) > 0 && !q.heap[0].next.After(now) {
		e := q.heap[0]
		q.drop(e)
		if e.State != Waiting {
			other(e)
			continue
		}
		e.late, e.spot = true, len(q.ready)
		q.ready = append(q.ready, e)
	}
}

// next is when the heap's first entry needs attention; zero = none does.
func (q *queue) next() time.Time {
	if len(q.heap) == 0 {
		return time.Time{}
	}
	return q.heap[0].next
}

func (q *queue) less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	if !a.next.Equal(b.next) {
		return a.next.Before(b.next)
	}
	return a.Partition < b.Partition // a total order: replays are exact
}

func (q *queue) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].spot, q.heap[j].spot = i, j
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			return
		}
		if right := child + 1; right < len(q.heap) && q.less(right, child) {
			child = right
		}
		if !q.less(child, i) {
			return
		}
		q.swap(i, child)
		i = child
	}
}

// before calls do for each entry of the heap that needs attention at or before a time, in no order, without looking at the others.
func (q *queue) before(limit time.Time, do func(*Entry)) {
	var visit func(i int)
	visit = func(i int) {
		if i >= len(q.heap) || q.heap[i].next.After(limit) {
			return
		}
		do(q.heap[i])
		visit(2*i + 1)
		visit(2*i + 2)
	}
	visit(0)
}
