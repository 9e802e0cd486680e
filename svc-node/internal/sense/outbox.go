package sense

import (
	"context"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

const (
	// MaxOutbox is how many groups wait for svc-promise: what 200 promises of a two-minute period record in 50 min.
	MaxOutbox = 5000
	// limitOutbox is the name of that limit in telemetry.
	limitOutbox = "sense outbox"
	// away is how long the stream must be lost before the node evaluates anomalies by itself: longer than a restart of
	// svc-promise takes. Until then groups wait and are sent as if nothing had been.
	away = 5 * time.Second
)

// outbox is the groups that svc-promise has not acknowledged.
//
//	enqueue ─▶ waiting ─ batch sent ─▶ sent ─ acknowledged ─▶ (gone)
//	              ▲                      │
//	              └──── stream lost ─────┘     lost for 5 s: all are evaluated here, and gone; the log has them for replay
type outbox struct {
	waiting   []item
	sent      []batch
	connected bool
	lostSince time.Time
	flush     chan struct{}
	timer     *time.Timer
	handover  *time.Timer
	dropped   uint64
}

type item struct {
	partition    string
	allocationID string
	group        *typev1.SenseGroup
	replay       bool
	trace        telemetry.Carrier
}

type batch struct {
	number uint64
	items  []item
}

func newOutbox() outbox { return outbox{flush: make(chan struct{}, 1)} }

func (o *outbox) size() int {
	n := len(o.waiting)
	for _, b := range o.sent {
		n += len(b.items)
	}
	return n
}

func (o *outbox) forget(allocationID string) {
	kept := o.waiting[:0]
	for _, i := range o.waiting {
		if i.allocationID != allocationID {
			kept = append(kept, i)
		}
	}
	o.waiting = kept
}

// takeBack makes what was sent and not acknowledged wait again.
func (o *outbox) takeBack() {
	var all []item
	for _, b := range o.sent {
		for _, i := range b.items {
			if !i.replay { // a replay is asked for anew on each stream
				all = append(all, i)
			}
		}
	}
	for _, i := range o.waiting {
		if !i.replay {
			all = append(all, i)
		}
	}
	o.waiting, o.sent = all, nil
}

func (o *outbox) acknowledge(number uint64) {
	for len(o.sent) > 0 && o.sent[0].number <= number {
		o.sent = o.sent[1:]
	}
}

func (o *outbox) signal() {
	select {
	case o.flush <- struct{}{}:
	default:
	}
}

// enqueue takes a recorded group. The lock is held.
func (m *Manager) enqueue(ctx context.Context, partition, allocationID string, g *typev1.SenseGroup, from telemetry.Carrier) {
	o := &m.outbox
	if !o.connected && !o.lostSince.IsZero() && time.Since(o.lostSince) >= away {
		if g.GetRunId() == "" {
			m.anomalies(ctx, []item{{partition: partition, allocationID: allocationID, group: g}})
		}
		return
	}
	if o.size() >= MaxOutbox {
		o.dropped++
		m.limits.Add(ctx, 1, conv.LimitName.String(limitOutbox))
		if len(o.waiting) == 0 {
			return
		}
		o.waiting = o.waiting[1:]
	}
	o.waiting = append(o.waiting, item{partition: partition, allocationID: allocationID, group: g, trace: from})
	if !o.connected {
		return
	}
	switch {
	case Failed(g) || len(o.waiting) >= m.s.Batch:
		o.signal() // a failure does not wait for company
	case len(o.waiting) == 1:
		if o.timer == nil {
			o.timer = time.AfterFunc(m.s.Delay, o.signal)
		} else {
			o.timer.Reset(m.s.Delay)
		}
	}
}

// next takes the next batch; ok is false when nothing waits.
func (m *Manager) next(number uint64) (batch, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.outbox
	if len(o.waiting) == 0 {
		return batch{}, false
	}
	n := min(len(o.waiting), m.s.Batch)
	b := batch{number: number, items: o.waiting[:n:n]}
	o.waiting = o.waiting[n:]
	o.sent = append(o.sent, b)
	return b, true
}
