package window

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// Limits.
const (
	// MaxPromises of one allocation: a run may report 1000 verdicts.
	MaxPromises = 1000
	// MaxAllocations of one replica: with 20 promises of 3 groups each about 400 MB.
	MaxAllocations = 100_000
	// Silence after which an allocation, or one of its promises, is forgotten: a partition runs at least once a day, and a run senses each promise.
	Silence = 25 * time.Hour
	// MaxPending points wait for the store, about 200 bytes each: what 300,000 groups a second make in 3 s. Past that the newest are not kept for charts.
	MaxPending = 1_000_000
)

// What keeps a group from being recorded.
var (
	ErrTooManyPromises    = errors.New("cannot keep more promises of this allocation")
	ErrTooManyAllocations = errors.New("cannot keep more allocations")
)

// Kind is how a promise senses, as the metrics name it.
type Kind string

// Windows is all windows of a replica.
type Windows struct {
	mu          sync.Mutex // never held while anything waits
	allocations map[string]*allocation
	pending     map[redisstore.Key]*[]history.Point
	points      int    // in pending
	dropped     uint64 // since the last Take
}

type allocation struct {
	promises map[string]*promise
	heard    time.Time
}

type promise struct {
	verdict.Promise
	kind  Kind
	heard time.Time
	// pending is where its points wait for the store; nil = none do.
	pending *[]history.Point
}

// New returns no windows.
func New() *Windows {
	return &Windows{allocations: map[string]*allocation{}, pending: map[redisstore.Key]*[]history.Point{}}
}

// Outcome is what recording a group did.
type Outcome struct {
	Effect  verdict.Effect
	Reason  string
	Verdict verdict.Verdict
	// Runs is what was known of the runs when the newest group was recorded: a bang is told with it.
	Runs verdict.Runs
	// Complete is false when the window lacks groups that the node has.
	Complete bool
}

// Record puts a group into its window, and its point among those that wait for the store; the verdict is added to it. now is when it was heard.
func (w *Windows) Record(allocationID, name string, kind Kind, e verdict.Recorded, point history.Point, now time.Time) (Outcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.allocations[allocationID]
	if a == nil {
		if len(w.allocations) >= MaxAllocations {
			return Outcome{}, ErrTooManyAllocations
		}
		a = &allocation{promises: map[string]*promise{}}
		w.allocations[allocationID] = a
	}
	a.heard = now
	p := a.promises[name]
	if p == nil {
		if len(a.promises) >= MaxPromises {
			return Outcome{}, ErrTooManyPromises
		}
		p = &promise{}
		a.promises[name] = p
	}
	p.kind, p.heard = kind, now
	effect, reason := p.Step(e)
	point.TestFailed, point.Anomaly = point.Failed, false
	v := p.Verdict()
	if v.Sequence == point.Sequence {
		point.TestFailed, point.Anomaly = v.TestFailed, v.Anomaly
	}
	if p.Complete() {
		point.Newest, point.NewestFailed, point.NewestAnomaly = v.Sequence, v.TestFailed, v.Anomaly
	}
	w.keep(p, allocationID, name, point)
	return Outcome{Effect: effect, Reason: reason, Verdict: p.Verdict(), Runs: p.Runs(), Complete: p.Complete()}, nil
}

// keep adds a point to those that wait. The lock is held.
func (w *Windows) keep(p *promise, allocationID, name string, point history.Point) {
	if w.points >= MaxPending {
		w.dropped++
		return
	}
	if p.pending == nil {
		p.pending = w.waiting(redisstore.Key{Allocation: allocationID, Promise: name})
	}
	*p.pending = append(*p.pending, point)
	w.points++
}

func (w *Windows) waiting(key redisstore.Key) *[]history.Point {
	if w.pending[key] == nil {
		w.pending[key] = &[]history.Point{}
	}
	return w.pending[key]
}

// Take returns the points that wait for the store, which wait no longer, and how many were dropped since the last time.
func (w *Windows) Take() (points map[redisstore.Key]*[]history.Point, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.pending {
		if a := w.allocations[key.Allocation]; a != nil && a.promises[key.Promise] != nil {
			a.promises[key.Promise].pending = nil
		}
	}
	points, dropped = w.pending, w.dropped
	w.pending, w.points, w.dropped = make(map[redisstore.Key]*[]history.Point, len(points)), 0, 0
	return points, dropped
}

// GiveBack takes points that could not be kept; they wait for the next time.
func (w *Windows) GiveBack(key redisstore.Key, points []history.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.points+len(points) > MaxPending {
		w.dropped += uint64(len(points))
		return
	}
	into := w.waiting(key)
	*into = append(*into, points...)
	w.points += len(points)
}

// Unsent takes back the bang of a promise, so that its next group tries again.
func (w *Windows) Unsent(allocationID, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.allocations[allocationID]; a != nil && a.promises[name] != nil {
		a.promises[name].Unsent()
	}
}

// Named is the verdict of a promise.
type Named struct {
	Promise string
	verdict.Verdict
	// Complete is false when the window lacks groups: it may say too little.
	Complete bool
}

// Verdicts of an allocation, by name; none when nothing was heard of it.
func (w *Windows) Verdicts(allocationID string) []Named {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.allocations[allocationID]
	if a == nil {
		return nil
	}
	all := make([]Named, 0, len(a.promises))
	for name, p := range a.promises {
		all = append(all, Named{name, p.Verdict(), p.Complete()})
	}
	slices.SortFunc(all, func(a, b Named) int { return strings.Compare(a.Promise, b.Promise) })
	return all
}

// Sweep forgets what was not heard of for Silence.
func (w *Windows) Sweep(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, a := range w.allocations {
		if now.Sub(a.heard) > Silence {
			delete(w.allocations, id)
			continue
		}
		for name, p := range a.promises {
			if now.Sub(p.heard) > Silence {
				delete(a.promises, name)
			}
		}
	}
}

// Tally is how many promises of a kind have a verdict.
type Tally struct {
	Kind   Kind
	Failed bool
}

// Count tallies all promises by kind and whether their test fails.
func (w *Windows) Count() map[Tally]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[Tally]int64{}
	for _, a := range w.allocations {
		for _, p := range a.promises {
			counts[Tally{p.kind, p.Verdict().TestFailed}]++
		}
	}
	return counts
}
