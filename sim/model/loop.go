package model

import (
	"math/rand/v2"
	"time"
)

// loop is virtual time: a queue of what happens next, in the order of (time, sequence). One goroutine.
type loop struct {
	now   time.Duration // since the world began
	seq   uint64
	steps uint64
	heap  []event
	rand  *rand.Rand
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

func newLoop(seed uint64) loop {
	return loop{rand: rand.New(rand.NewPCG(seed, 0x766f77))} //nolint:gosec // a simulator must replay: the seed is the point
}

// after lets something happen; a delay below zero is zero.
func (l *loop) after(d time.Duration, do func()) {
	l.seq++
	l.heap = append(l.heap, event{at: l.now + max(d, 0), seq: l.seq, do: do})
	for i := len(l.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !l.heap[i].before(l.heap[parent]) {
			return
		}
		l.heap[i], l.heap[parent] = l.heap[parent], l.heap[i]
		i = parent
	}
}

// step lets the next thing happen, if it is due before the end.
func (l *loop) step(end time.Duration) bool {
	if len(l.heap) == 0 || l.heap[0].at > end {
		l.now = end
		return false
	}
	next := l.heap[0]
	last := len(l.heap) - 1
	l.heap[0] = l.heap[last]
	l.heap[last] = event{}
	l.heap = l.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if right := child + 1; right < last && l.heap[right].before(l.heap[child]) {
			child = right
		}
		if !l.heap[child].before(l.heap[i]) {
			break
		}
		l.heap[i], l.heap[child] = l.heap[child], l.heap[i]
		i = child
	}
	l.now = next.at
	l.steps++
	next.do()
	return true
}

func (e event) before(o event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.seq < o.seq
}

// between is a random duration.
func (l *loop) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(l.rand.Int64N(int64(high-low)))
}

// chance tells whether something with a probability happens.
func (l *loop) chance(p float64) bool { return p > 0 && l.rand.Float64() < p }

// pick is one of several.
func pick[T any](l *loop, from []T) T { return from[l.rand.IntN(len(from))] }
