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

// Teller tells svc-master. Retryable says whether an error may pass.
type Teller interface {
	Bang(ctx context.Context, b Bang) error
	Retryable(err error) bool
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
	pending  chan map[string]chan struct{} // holds the one map: a lock that virtual time can wait for
}

// New returns an Alarm without bangs.
func New(s Settings) *Alarm {
	a := &Alarm{settings: s, tracer: s.Telemetry.Tracer("svc-promise/alarm"), limits: conv.LimitHits.New(s.Telemetry.Meter("svc-promise/alarm")), pending: make(chan map[string]chan struct{}, 1)}
	a.pending <- map[string]chan struct{}{}
	return a
}

// Raise begins to tell a bang and returns a channel that is closed when svc-master knows, or when it was given up. ctx carries the trace of the sensing, not the deadline.
func (a *Alarm) Raise(ctx context.Context, b Bang) <-chan struct{} {
	pending := <-a.pending
	defer func() { a.pending <- pending }()
	if told, ok := pending[b.key()]; ok {
		return told // its newer group finds the same state of the runs, or will bang again
	}
	told := make(chan struct{})
	if len(pending) >= MaxPending {
		a.limits.Add(ctx, 1, conv.LimitName.String("alarm.pending"))
		a.settings.GaveUp(b)
		close(told)
		return told
	}
	pending[b.key()] = told
	parent := trace.SpanContextFromContext(ctx)
	started := a.settings.Group.Go("bang", func(ctx context.Context) error {
		defer a.settle(b, told)
		a.deliver(trace.ContextWithRemoteSpanContext(ctx, parent), b)
		return nil
	})
	if !started { // stopping: the node keeps its batch
		delete(pending, b.key())
	}
	return told
}

// Pending is the channels of an allocation's bangs that are on their way.
func (a *Alarm) Pending(allocation string) []<-chan struct{} {
	pending := <-a.pending
	defer func() { a.pending <- pending }()
	var all []<-chan struct{}
	for key, told := range pending {
		if len(key) > len(allocation) && key[:len(allocation)] == allocation && key[len(allocation)] == '/' {
			all = append(all, told)
		}
	}
	return all
}

func (a *Alarm) settle(b Bang, told chan struct{}) {
	pending := <-a.pending
	delete(pending, b.key())
	a.pending <- pending
	close(told)
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
			// Decided: refused by the quota (and recorded), or the allocation is gone.
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
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if !errors.Is(context.Cause(ctx), app.ErrStopped) {
				span.SetStatus(codes.Error, "not told")
			}
			a.settings.GaveUp(b)
			return
		}
	}
}
