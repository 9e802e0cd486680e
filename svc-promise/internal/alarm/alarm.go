package alarm

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// Limits.
const (
	// MaxPending bangs are on their way at once; one costs about 4 kB.
	MaxPending = 10_000
	// FirstDelay and MaxDelay are the growing delay between attempts.
	FirstDelay = 50 * time.Millisecond
	MaxDelay   = 5 * time.Second
	// GiveUp is how long one bang is tried: past it the promise's next group, two minutes later at most by default, says something newer.
	GiveUp = 10 * time.Minute
)

// Bang is an anomaly to tell.
type Bang struct {
	Computer, Partition string
	Allocation, Promise string
	Message             string
	Runs                verdict.Runs
	// At is when the newest group was sensed, by the node's clock.
	At time.Time
	// NotAllowed is true when the promise may not bang.
	NotAllowed bool
}

// key tells the bangs of promises apart.
func (b Bang) key() string { return b.Allocation + "/" + b.Promise }

// Teller tells svc-master. Retryable says whether an error may pass; Decided whether one that does not is svc-master's word on the bang.
type Teller interface {
	Bang(ctx context.Context, b Bang) error
	Retryable(err error) bool
	Decided(err error) bool
}

// Settings is what an Alarm needs.
type Settings struct {
	Teller    Teller
	Telemetry *telemetry.Telemetry
	// Group runs the deliveries.
	Group *app.Group
	// GaveUp is told of a bang that could not be told.
	GaveUp func(Bang)
}

// Alarm is the bangs on their way.
type Alarm struct {
	settings Settings
	tracer   trace.Tracer
	limits   conv.Counter
	pending  chan map[string]*pending // holds the one map: a lock that virtual time can wait for
}

// pending is a bang on its way, and the newest that came meanwhile for another state of the partition's runs; svc-master may have recorded the first one
// already, whose answer was lost, and then takes the second for what it is only when it is told with its own runs.
type pending struct {
	bang Bang
	next *Bang
	told chan struct{} // closed when svc-master knows of both, or they were given up
}

// New returns an Alarm without bangs.
func New(s Settings) *Alarm {
	a := &Alarm{settings: s, tracer: s.Telemetry.Tracer("svc-promise/alarm"), limits: conv.LimitHits.New(s.Telemetry.Meter("svc-promise/alarm")), pending: make(chan map[string]*pending, 1)}
	a.pending <- map[string]*pending{}
	return a
}

// Raise begins to tell a bang and returns a channel that is closed when svc-master knows, or when it was given up. ctx carries the trace of the sensing, not the deadline.
func (a *Alarm) Raise(ctx context.Context, b Bang) <-chan struct{} {
	all := <-a.pending
	defer func() { a.pending <- all }()
	if p, ok := all[b.key()]; ok {
		if p.bang.Runs != b.Runs {
			p.next = &b
		}
		return p.told
	}
	p := &pending{bang: b, told: make(chan struct{})}
	if len(all) >= MaxPending {
		a.limits.Add(ctx, 1, conv.LimitName.String("alarm.pending"))
		a.settings.GaveUp(b)
		close(p.told)
		return p.told
	}
	all[b.key()] = p
	parent := trace.SpanContextFromContext(ctx)
	a.settings.Group.Go("bang", func(ctx context.Context) error {
		for one, ok := b, true; ok; one, ok = a.settle(p) {
			a.deliver(trace.ContextWithRemoteSpanContext(ctx, parent), one)
		}
		return nil
	})
	// When that stops by now, the batch waits for a bang that is never told, and the node keeps it.
	return p.told
}

// Pending is the channels of an allocation's bangs that are on their way.
func (a *Alarm) Pending(allocation string) []<-chan struct{} {
	all := <-a.pending
	defer func() { a.pending <- all }()
	var told []<-chan struct{}
	for key, p := range all {
		if len(key) > len(allocation) && key[:len(allocation)] == allocation && key[len(allocation)] == '/' {
			told = append(told, p.told)
		}
	}
	return told
}

// settle goes on with the bang that came meanwhile; without one it is over.
func (a *Alarm) settle(p *pending) (next Bang, ok bool) {
	all := <-a.pending
	defer func() { a.pending <- all }()
	if p.next != nil {
		p.bang, p.next = *p.next, nil
		return p.bang, true
	}
	delete(all, p.bang.key())
	close(p.told)
	return Bang{}, false
}

// deliver tries until svc-master knows.
func (a *Alarm) deliver(ctx context.Context, b Bang) {
	ctx, span := a.tracer.Start(ctx, conv.SpanAnomaly, trace.WithAttributes(
		conv.ComputerID.String(b.Computer), conv.PartitionID.String(b.Partition), conv.AllocationID.String(b.Allocation),
		conv.PromiseName.String(b.Promise), conv.BangOrigin.String(conv.OriginPromise),
	))
	defer span.End()
	log := a.settings.Telemetry.Log
	giveUp := time.Now().Add(GiveUp)
	for attempt := 1; ; attempt++ {
		err := a.settings.Teller.Bang(ctx, b)
		if err == nil {
			return
		}
		if !a.settings.Teller.Retryable(err) {
			if !a.settings.Teller.Decided(err) {
				log.ErrorContext(ctx, "svc-master cannot take a bang; the promise's next group tries again", "promise", b.Promise, "allocation", b.Allocation, "error", err)
				span.SetStatus(codes.Error, "not told")
				a.settings.GaveUp(b)
				return
			}
			// Refused by the quota (and recorded), or the allocation is gone.
			log.InfoContext(ctx, "a bang made no run", "promise", b.Promise, "allocation", b.Allocation, "error", err)
			return
		}
		delay := backoff.Delay(attempt, b.key(), FirstDelay, MaxDelay)
		if time.Now().Add(delay).After(giveUp) {
			log.WarnContext(ctx, "cannot tell svc-master of an anomaly; the promise's next group tries again", "promise", b.Promise, "allocation", b.Allocation, "error", err)
			span.SetStatus(codes.Error, "not told")
			a.settings.GaveUp(b)
			return
		}
		if wait.For(ctx, delay) != nil {
			if !errors.Is(context.Cause(ctx), app.ErrStopped) {
				span.SetStatus(codes.Error, "not told")
			}
			a.settings.GaveUp(b)
			return
		}
	}
}
