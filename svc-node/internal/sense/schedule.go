package sense

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// shortest is how long a sensing may have to wait for the one before it on a node with few promises.
const shortest = 50 * time.Millisecond

// schedule is when each promise is sensed next: a heap by time.
type schedule []*appointment

// appointment is the next sensing of one promise. Each promise has one, whose place is taken by its successor when it
// was kept, so that a promise is never sensed twice at once by its own periodicity.
type appointment struct {
	at           time.Time
	partition    string
	allocationID string
	promise      sensor.Promise
}

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

// Push and Pop are for container/heap.
func (s *schedule) Push(x any) { *s = append(*s, x.(*appointment)) }

func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// add makes the next appointment of a promise, at its own phase. An anomalyless one has none: only runs sense it.
func (s *schedule) add(partition, allocationID string, p sensor.Promise, now time.Time) {
	if p.Anomalyless {
		return
	}
	heap.Push(s, &appointment{
		at: backoff.NextInGrid(allocationID+"/"+p.Name, p.Period, now), partition: partition, allocationID: allocationID, promise: p,
	})
}

// forget drops the appointments of a partition.
func (s *schedule) forget(partition string) {
	kept := (*s)[:0]
	for _, a := range *s {
		if a.partition != partition {
			kept = append(kept, a)
		}
	}
	clear((*s)[len(kept):])
	*s = kept
	heap.Init(s)
}

// gap is the least time between the starts of two sensings: at most twice the mean rate of all promises, so that a burst of
// the hash, or of a machine that slept, is spread; never more than shortest, so that a few promises are sensed at their phase.
func (s schedule) gap() time.Duration {
	rate := 0.0 // sensings a second
	for _, a := range s {
		rate += 1 / a.promise.Period.Seconds()
	}
	return min(shortest, time.Duration(float64(time.Second)/max(1, 2*rate)))
}

// drop drops the appointment of one promise.
func (s *schedule) drop(partition, promise string) {
	for i, a := range *s {
		if a.partition == partition && a.promise.Name == promise {
			heap.Remove(s, i)
			return
		}
	}
}

// Run senses by the schedule until ctx ends, and then waits for the sensors.
func (m *Manager) Run(ctx context.Context) error {
	ctx = telemetry.NewRootContext(ctx)
	var sensing sync.WaitGroup
	defer sensing.Wait()
	if sweeper, ok := m.s.Sensor.(sweeper); ok {
		sensing.Go(func() { m.sweep(ctx, sweeper) })
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var open time.Time // when the next sensing may start
	for {
		now := time.Now()
		m.mu.Lock()
		var due *appointment
		next := time.Hour
		if len(m.due) > 0 {
			next = max(m.due[0].at.Sub(now), open.Sub(now))
		}
		if next <= 0 {
			open = now.Add(m.due.gap())
			due = heap.Pop(&m.due).(*appointment)
		}
		m.mu.Unlock()
		if due != nil {
			sensing.Go(func() { m.keep(ctx, due) })
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-m.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// keep senses one promise and makes its next appointment.
func (m *Manager) keep(ctx context.Context, a *appointment) {
	m.mu.Lock()
	w := m.watched[a.partition]
	m.mu.Unlock()
	if w == nil || w.allocationID != a.allocationID {
		return
	}
	g, from := m.sense(ctx, w.directory, a.promise, how{})
	if g == nil {
		return
	}
	m.mu.Lock()
	now := m.watched[a.partition]
	current := now != nil && now.allocationID == a.allocationID
	if current && !m.due.has(a) { // Watch may have made the next one meanwhile
		if p, ok := now.promise(a.promise.Name); ok {
			m.due.add(a.partition, a.allocationID, p, time.Now())
		}
	}
	m.mu.Unlock()
	m.signal()
	if current {
		m.record(ctx, w.directory.Name, a.allocationID, g, &from)
		m.fileAnomaly(ctx, w.directory, a, g)
	}
}

// has tells whether the promise of an appointment has another one.
func (s *schedule) has(a *appointment) bool {
	for _, other := range *s {
		if other.partition == a.partition && other.promise.Name == a.promise.Name {
			return true
		}
	}
	return false
}

func (w *watch) promise(name string) (sensor.Promise, bool) {
	for _, p := range w.promises {
		if p.Name == name {
			return p, true
		}
	}
	return sensor.Promise{}, false
}
