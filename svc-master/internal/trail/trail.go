package trail

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Trail emits.
type Trail struct {
	telemetry *telemetry.Telemetry
	tracer    trace.Tracer
	meter     metric.Meter

	bangs       conv.Counter
	limits      conv.Counter
	convergence conv.Duration
}

// New makes the instruments; t may be nil.
func New(t *telemetry.Telemetry) *Trail {
	t = telemetry.OrDisabled(t)
	meter := t.Meter("svc-master/internal/trail")
	return &Trail{
		telemetry: t, tracer: t.Tracer("svc-master/internal/trail"), meter: meter,
		bangs: conv.BangRequests.New(meter), limits: conv.LimitHits.New(meter), convergence: conv.ConvergenceDuration.New(meter),
	}
}

// Meter is for gauges that others read.
func (t *Trail) Meter() metric.Meter { return t.meter }

// Limit counts a hit of a named limit.
func (t *Trail) Limit(name string) {
	t.limits.Add(context.Background(), 1, conv.LimitName.String(name))
}

// StartBang begins the `bang` span: a child of the caller's context for what a machine noticed; for bangs of people a new
// root with a link up, since one request may bang many trees.
func (t *Trail) StartBang(ctx context.Context, origin fleet.Origin) (context.Context, trace.Span) {
	var options []trace.SpanStartOption
	if origin != fleet.OriginPromise && origin != fleet.OriginProcess {
		if caller := trace.SpanContextFromContext(ctx); caller.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
		}
		ctx = telemetry.NewRootContext(ctx)
	}
	ctx, span := t.tracer.Start(ctx, conv.SpanBang, options...)
	if span.IsRecording() {
		span.SetAttributes(conv.BangOrigin.String(origin.String()))
	}
	return ctx, span
}

// BangTrace is the trace context that is stored with a bang: its span, and its id as baggage from here on.
func BangTrace(ctx context.Context, bangID string) fleet.Trace {
	return TraceOf(telemetry.WithBang(ctx, bangID))
}

// TraceOf is the trace context of ctx, to be stored.
func TraceOf(ctx context.Context) fleet.Trace {
	return fleet.Trace(telemetry.Inject(ctx))
}

// Banged is a decided bang.
type Banged struct {
	Event    fleet.Bang
	Answer   fleet.BangAnswer
	TreeID   string
	Instance string
	Position string
	// Repeated is true when its key was seen before: it is not counted again.
	Repeated bool
}

// EndBang ends the `bang` span with what was decided, and counts it.
func (t *Trail) EndBang(ctx context.Context, span trace.Span, b Banged, err error) {
	defer span.End()
	if err != nil {
		span.SetAttributes(conv.ErrorType.String(ErrorType(err)))
		return
	}
	a := b.Answer
	if span.IsRecording() {
		span.SetAttributes(bangAttributes(b)...)
	}
	if b.Repeated {
		return
	}
	origin, outcome := conv.BangOrigin.String(b.Event.Origin.String()), conv.BangOutcome.String(outcomeWord(a.Outcome))
	t.bangs.Add(ctx, 1, origin, outcome)
	ids := []attribute.KeyValue{conv.TreeID.String(b.TreeID), conv.BangID.String(a.BangID), origin, outcome}
	if a.Outcome.Wakes() {
		t.telemetry.Event(ctx, conv.EventBangAccepted, append(ids, conv.ConvergenceID.String(a.ConvergenceID), conv.Generation.Int64(int64(a.Generation.Number)))...)
	} else {
		t.telemetry.Event(ctx, conv.EventBangWithheld, append(ids, conv.BangReason.String(a.Reason))...)
	}
	if a.Outcome == fleet.Accepted {
		t.telemetry.Event(ctx, conv.EventConvergenceOpened, conv.TreeID.String(b.TreeID), conv.ConvergenceID.String(a.ConvergenceID), conv.BangID.String(a.BangID))
	}
}

func bangAttributes(b Banged) []attribute.KeyValue {
	a := b.Answer
	attributes := append(make([]attribute.KeyValue, 0, 10),
		conv.TreeID.String(b.TreeID), conv.BangID.String(a.BangID), conv.BangOutcome.String(outcomeWord(a.Outcome)),
		conv.Generation.Int64(int64(a.Generation.Number)), conv.Epoch.Int64(int64(a.Generation.Epoch)),
	)
	for _, kv := range []attribute.KeyValue{
		conv.BangReason.String(a.Reason), conv.ConvergenceID.String(a.ConvergenceID), conv.FeedPosition.String(b.Position), conv.AllocationID.String(b.Event.AllocationID),
	} {
		if kv.Value.AsString() != "" {
			attributes = append(attributes, kv)
		}
	}
	if b.Event.Origin == fleet.OriginPromise {
		attributes = append(attributes, conv.PromiseName.String(b.Event.Source))
	}
	if b.Event.Origin == fleet.OriginProcess {
		attributes = append(attributes, conv.ProcessName.String(b.Event.Source))
	}
	return attributes
}

// ErrorType is the class of an error: that of the core, or unavailable for all that came from the store.
func ErrorType(err error) string {
	if kind := fleet.KindOf(err); kind != 0 {
		return kind.String()
	}
	return "unavailable"
}

// StartRun begins the span of a step of a run here: conv.SpanBeginRun or conv.SpanReportRun.
func (t *Trail) StartRun(ctx context.Context, name, runID, allocationID string) (context.Context, trace.Span) {
	ctx, span := t.tracer.Start(ctx, name)
	if span.IsRecording() {
		span.SetAttributes(conv.RunID.String(runID), conv.AllocationID.String(allocationID))
	}
	return ctx, span
}

// Generation puts a generation on the span.
func Generation(span trace.Span, g fleet.Generation) {
	if span.IsRecording() {
		span.SetAttributes(conv.Generation.Int64(int64(g.Number)), conv.Epoch.Int64(int64(g.Epoch)))
	}
}

// Closed emits the `converge` span of an ended convergence, from the bang's record to the end, whatever was restarted in
// between.
func (t *Trail) Closed(c *fleet.Convergence) {
	ctx := telemetry.Extract(context.Background(), telemetry.Carrier(c.Trace))
	ctx = telemetry.WithSpanID(ctx, c.ID)
	result := conv.ConvergenceResult.String(c.State.String())
	origin := conv.BangOrigin.String(c.Origin.String())
	ctx, span := t.tracer.Start(ctx, conv.SpanConverge, trace.WithTimestamp(c.OpenedAt))
	if span.IsRecording() {
		targets := map[string]bool{} // the members that ran
		for _, m := range c.Timeline {
			if m.Moment == fleet.MomentReported {
				targets[m.InstanceID] = true
			}
		}
		span.SetAttributes(conv.TreeID.String(c.TreeID), conv.BangID.String(c.BangID), conv.ConvergenceID.String(c.ID), result, origin, conv.BangTargets.Int(len(targets)))
	}
	span.End(trace.WithTimestamp(c.ClosedAt))
	t.convergence.Record(ctx, c.ClosedAt.Sub(c.OpenedAt), origin, result)
	t.telemetry.Event(ctx, conv.EventConvergenceClosed, conv.TreeID.String(c.TreeID), conv.ConvergenceID.String(c.ID), conv.BangID.String(c.BangID), result)
}

// outcomeWord is the outcome as metrics name it.
func outcomeWord(o fleet.Outcome) string {
	if o == fleet.NotAllowed {
		return conv.OutcomeNotAllowed
	}
	return o.String()
}
