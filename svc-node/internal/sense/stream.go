package sense

import (
	"context"
	"errors"
	"fmt"
	"time"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// Stream holds the Sense stream open: it returns when ctx ends or the stream is lost. up is called when it is open.
func (m *Manager) Stream(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := m.s.Promise.Sense(ctx, &promisev1.SenseHello{Computer: m.s.Computer, BootId: m.s.BootID})
	if err != nil {
		return err
	}
	// svc-promise answers hello with the windows it wants: until then nobody is known to be there.
	first, err := stream.Receive()
	if err != nil {
		stream.Close()
		return err
	}
	m.connected()
	defer m.lost()
	up()
	m.take(ctx, first)
	received := make(chan error, 1)
	go func() {
		defer cancel() // ends the sending below
		received <- m.receive(ctx, stream)
	}()
	sendErr := m.send(ctx, stream)
	cancel()
	stream.Close()
	if err := <-received; !errors.Is(err, context.Canceled) {
		return err
	}
	return sendErr
}

func (m *Manager) connected() {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.outbox
	o.takeBack()
	o.connected, o.lostSince = true, time.Time{}
	if o.handover != nil {
		o.handover.Stop()
	}
	if len(o.waiting) > 0 {
		o.signal()
	}
}

// lost begins the time after which the node evaluates by itself.
func (m *Manager) lost() {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.outbox
	o.takeBack()
	o.connected, o.lostSince = false, time.Now()
	if o.timer != nil {
		o.timer.Stop()
	}
	if o.handover == nil {
		o.handover = time.AfterFunc(away, m.handOver)
	} else {
		o.handover.Reset(away)
	}
}

// Begin says that there is no stream yet.
func (m *Manager) Begin() { m.lost() }

// Close ends the timers.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, timer := range []*time.Timer{m.outbox.timer, m.outbox.handover} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// handOver evaluates what waits, since svc-promise did not come back.
func (m *Manager) handOver() {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.outbox
	if o.connected || time.Since(o.lostSince) < away {
		return
	}
	var own []item
	for _, i := range o.waiting {
		if i.group.GetRunId() == "" {
			own = append(own, i)
		}
	}
	o.waiting = nil
	m.anomalies(context.Background(), own)
}

// send writes batches until ctx ends.
func (m *Manager) send(ctx context.Context, stream peer.SenseStream) error {
	for number := uint64(1); ; {
		b, ok := m.next(number)
		if ok {
			number++
			if err := stream.Send(m.request(b)); err != nil {
				return err
			}
			continue
		}
		select {
		case <-m.outbox.flush:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// request gathers a batch by allocation; live groups and replayed ones apart.
func (m *Manager) request(b batch) *promisev1.SenseRequest {
	type key struct {
		allocationID string
		replay       bool
	}
	r := &promisev1.SenseRequest{Batch: b.number}
	at := map[key]*promisev1.AllocationGroups{}
	for _, i := range b.items {
		k := key{i.allocationID, i.replay}
		groups := at[k]
		if groups == nil {
			runs, known := m.s.Runs(i.partition)
			if !known || runs.GetAllocationId() != i.allocationID {
				runs = &promisev1.PartitionRuns{AllocationId: i.allocationID, Partition: i.partition}
			}
			groups = &promisev1.AllocationGroups{Runs: runs, Replay: i.replay}
			if i.trace.Traceparent != "" {
				groups.Trace = &typev1.TraceContext{Traceparent: i.trace.Traceparent, Tracestate: i.trace.Tracestate}
			}
			at[k] = groups
			r.Allocations = append(r.Allocations, groups)
		}
		groups.Groups = append(groups.Groups, i.group)
	}
	return r
}

// receive takes messages until the stream ends.
func (m *Manager) receive(ctx context.Context, stream peer.SenseStream) error {
	for {
		r, err := stream.Receive()
		if err != nil {
			return err
		}
		m.take(ctx, r)
	}
}

// take takes acknowledgements, wishes for replay and verdicts.
func (m *Manager) take(ctx context.Context, r *promisev1.SenseResponse) {
	m.mu.Lock()
	m.outbox.acknowledge(r.GetAcknowledged())
	m.mu.Unlock()
	for _, wanted := range r.GetReplay() {
		if err := m.replay(wanted.GetAllocationId()); err != nil {
			m.s.Telemetry.Log.ErrorContext(ctx, "sense groups cannot be replayed", "error", err)
		}
	}
	if len(r.GetMutes()) > 0 {
		m.muted(ctx, r.GetMutes())
	}
	for _, change := range r.GetChanges() {
		m.turned(ctx, change)
	}
}

// replay sends the log of an allocation, or of all, after what waits: live groups go first.
func (m *Manager) replay(allocationID string) error {
	type tenant struct{ partition, allocationID string }
	m.mu.Lock()
	var tenants []tenant
	for name, w := range m.watched {
		if allocationID == "" || w.allocationID == allocationID {
			tenants = append(tenants, tenant{name, w.allocationID})
		}
	}
	m.mu.Unlock()
	for _, t := range tenants {
		groups, err := m.s.Log.All(t.allocationID)
		if err != nil {
			return fmt.Errorf("cannot replay %s: %w", t.allocationID, err)
		}
		m.mu.Lock()
		for _, g := range groups {
			m.outbox.waiting = append(m.outbox.waiting, item{partition: t.partition, allocationID: t.allocationID, group: g, replay: true})
		}
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.outbox.signal()
	m.mu.Unlock()
	return nil
}

// turned notes a verdict of svc-promise.
func (m *Manager) turned(ctx context.Context, change *promisev1.VerdictChange) {
	name := change.GetVerdict().GetPromise()
	failed := change.GetVerdict().GetTestFailed()
	var partition string
	m.mu.Lock()
	for at, w := range m.watched {
		if w.allocationID == change.GetAllocationId() {
			partition = at
			if _, ok := w.promise(name); ok {
				w.verdicts[name] = failed
			}
		}
	}
	m.mu.Unlock()
	if partition != "" {
		m.s.Telemetry.Log.DebugContext(ctx, "a verdict turned", "partition", partition, "promise", name, string(conv.Verdict), verdictName(failed))
	}
}
