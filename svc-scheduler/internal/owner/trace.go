package owner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// trace starts the `order run` span of each order that has none and stores its context with the order: child of the newest bang's
// fan out, or of the bang itself, or a root. The function it returns ends the spans when the orders were handed over.
func (o *Owners) trace(a *agenda.Agenda, orders []agenda.Order) (ended func(at time.Time)) {
	var spans []trace.Span
	for i := range orders {
		order := &orders[i]
		if order.Trace != (agenda.Trace{}) {
			continue // handed over again: it keeps its context, also that of another process
		}
		ctx := context.Background()
		options := append(make([]trace.SpanStartOption, 0, 2), trace.WithTimestamp(order.Due))
		if len(order.Bangs) > 0 {
			ctx = o.within(&order.Bangs[0])
		}
		if !trace.SpanContextFromContext(ctx).IsValid() {
			options = append(options, trace.WithAttributes(conv.RunCause.String(order.Cause.String()))) // by which a root is sampled
		}
		ctx = telemetry.WithRun(ctx, order.RunID)
		ctx, span := o.tracer.Start(ctx, conv.SpanOrderRun, options...)
		if span.IsRecording() {
			span.SetAttributes(attributesOf(order)...)
		}
		a.SetTrace(order, agenda.Trace(telemetry.Inject(ctx)))
		spans = append(spans, span)
	}
	return func(at time.Time) {
		for _, span := range spans {
			span.End(trace.WithTimestamp(at))
		}
	}
}

func attributesOf(order *agenda.Order) []attribute.KeyValue {
	all := append(make([]attribute.KeyValue, 0, 8),
		conv.ComputerID.String(order.Computer), conv.PartitionID.String(order.Partition), conv.AllocationID.String(order.AllocationID),
		conv.RunID.String(order.RunID), conv.RunCause.String(order.Cause.String()), conv.RunAttempt.Int(order.Attempt),
		conv.BangFolds.Int64(int64(order.Folds)))
	if len(order.Bangs) > 0 {
		all = append(all, conv.BangID.String(order.Bangs[0].ID))
	}
	return all
}

// banged is a context that many orders have in common.
type banged struct {
	parent agenda.Trace
	id     string
	ctx    context.Context //nolint:containedctx // it carries a trace and no deadline
}

// within is the context of a bang's fan out, or of the bang itself. The last one is kept: a fan-out to a thousand computers parses it once.
func (o *Owners) within(b *agenda.Bang) context.Context {
	parent := b.FanOut
	if parent == (agenda.Trace{}) {
		parent = b.Trace
	}
	last := o.banged.Load()
	if last == nil || last.id != b.ID || last.parent != parent {
		last = &banged{parent, b.ID, telemetry.WithBang(telemetry.Extract(context.Background(), telemetry.Carrier(parent)), b.ID)}
		o.banged.Store(last)
	}
	return last.ctx
}
