package redisstore

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// page is the memory of one record on its way to bytes. A fan-out encodes thousands that are forgotten at once, and the garbage of their parts was a quarter
// of what deciding, storing and handing over an order allocated; so that a page is used again.
type page struct {
	record      storev1.AgendaRecord
	period      durationpb.Duration
	due         [agenda.Causes]storev1.AgendaDue
	bangs       [agenda.MaxBangs]storev1.AgendaBang
	run         storev1.AgendaRun
	pause       typev1.Pause
	stamps      [stamps]timestamppb.Timestamp
	generations [generations]typev1.Generation
	traces      [traces]typev1.TraceContext
	// How many of each the record in hand has.
	stamped, generated, traced int
	bytes                      []byte
}

// What one record has at most.
const (
	stamps      = agenda.Causes + agenda.MaxBangs + 3 /* run */ + 3 /* latest seen, ran, learnt */ + 2 /* pause */
	generations = 6 + agenda.MaxBangs + 1 /* run */ + 1                                                /* pause */
	traces      = 2*agenda.MaxBangs + 1                                                                /* run */
)

var pages = sync.Pool{New: func() any { return new(page) }}

// encodeEntry is the record of an entry.
func encodeEntry(e *agenda.Entry) (string, error) {
	if e.Partition == "" || strings.HasPrefix(e.Partition, "#") {
		return "", fmt.Errorf("cannot store an entry under the name %q", e.Partition)
	}
	p, _ := pages.Get().(*page)
	defer pages.Put(p)
	b, err := proto.MarshalOptions{}.MarshalAppend(p.bytes[:0], p.write(e))
	p.bytes = b
	return string(b), err
}

// write fills the page. Messages are assigned whole, so that nothing of the record before stays.
func (p *page) write(e *agenda.Entry) *storev1.AgendaRecord {
	p.stamped, p.generated, p.traced = 0, 0, 0
	p.period = durationpb.Duration{Seconds: int64(e.Period / time.Second), Nanos: int32(e.Period % time.Second)} //nolint:gosec // below a second
	due, bangs := p.record.Due[:0], p.record.Bangs[:0]
	p.record = storev1.AgendaRecord{
		Partition: e.Partition, AllocationId: e.AllocationID, InstanceId: e.InstanceID, TreeId: e.TreeID, Title: e.Title,
		Period: &p.period,
		Wanted: p.generation(e.Wanted), BangWanted: p.generation(e.BangWanted), Changed: p.generation(e.Changed),
		Answered: p.generation(e.Answered), Settled: p.generation(e.Settled),
		FirstBang: e.FirstBang, LastBang: e.LastBang, Requests: e.Requests, State: uint32(e.State),
		Epoch: e.Epoch, Token: e.Token, Attempt: uint32(max(e.Attempt, 0)), ErrorType: e.ErrorType, Result: e.Result,
		LatestRun: e.LatestRun, LatestSeen: p.stamp(e.LatestSeen), Ran: p.stamp(e.Ran), Learnt: p.stamp(e.Learnt), Spare: e.Spare,
		Cancelled: p.generation(e.Cancelled),
	}
	for cause, at := range e.Due {
		if !at.IsZero() {
			p.due[cause] = storev1.AgendaDue{Cause: typev1.Cause(cause), At: p.stamp(at)}
			due = append(due, &p.due[cause])
		}
	}
	for i, b := range e.Bangs {
		p.bangs[i] = storev1.AgendaBang{
			BangId: b.ID, Number: b.Number, At: p.stamp(b.At), Generation: p.generation(b.Generation), Targets: uint32(max(b.Targets, 0)),
			Trace: p.trace(b.Trace), FanOut: p.trace(b.FanOut),
		}
		bangs = append(bangs, &p.bangs[i])
	}
	p.record.Due, p.record.Bangs = due, bangs
	if e.Run.ID != "" {
		p.run = storev1.AgendaRun{
			RunId: e.Run.ID, Cause: typev1.Cause(e.Run.Cause), Due: p.stamp(e.Run.Due), Ordered: p.stamp(e.Run.Ordered), Handed: uint32(max(e.Run.Handed, 0)),
			Began: p.stamp(e.Run.Began), Generation: p.generation(e.Run.Generation), Trace: p.trace(e.Run.Trace),
		}
		p.record.Run = &p.run
	}
	if e.Pause != (agenda.Paused{}) {
		p.pause = typev1.Pause{
			Generation: p.generation(e.Pause.Generation), Until: p.stamp(e.Pause.Until), At: p.stamp(e.Pause.At), Reason: e.Pause.Reason, By: e.Pause.By,
		}
		p.record.Pause = &p.pause
	}
	return &p.record
}

func (p *page) generation(g agenda.Generation) *typev1.Generation {
	if g == (agenda.Generation{}) {
		return nil
	}
	m := &p.generations[p.generated]
	p.generated++
	*m = typev1.Generation{Epoch: g.Epoch, Number: g.Number}
	return m
}

func (p *page) trace(t agenda.Trace) *typev1.TraceContext {
	if t == (agenda.Trace{}) {
		return nil
	}
	m := &p.traces[p.traced]
	p.traced++
	*m = typev1.TraceContext{Traceparent: t.Traceparent, Tracestate: t.Tracestate, Baggage: t.Baggage}
	return m
}

func (p *page) stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	m := &p.stamps[p.stamped]
	p.stamped++
	*m = timestamppb.Timestamp{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())} //nolint:gosec // below a second
	return m
}
