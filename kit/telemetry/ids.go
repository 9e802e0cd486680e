package telemetry

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/vow-os/vow/kit/backoff"
)

// idProvider makes spans that have ids and nothing else.
type idProvider struct {
	embedded.TracerProvider
	ids     sdktrace.IDGenerator
	sampler sdktrace.Sampler
}

func newIDProvider(ids sdktrace.IDGenerator, sampler sdktrace.Sampler) *idProvider {
	return &idProvider{ids: ids, sampler: sampler}
}

func (p *idProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { return idTracer{provider: p} }

type idTracer struct {
	embedded.Tracer
	provider *idProvider
}

// Start makes a child of the span of ctx, or a root. Only a root asks the sampler: a child keeps its parent's flag.
func (t idTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	cfg := trace.NewSpanStartConfig(opts...)
	parent := trace.SpanContextFromContext(ctx)
	made := trace.SpanContextConfig{TraceID: parent.TraceID(), TraceFlags: parent.TraceFlags(), TraceState: parent.TraceState()}
	if cfg.NewRoot() || !parent.IsValid() {
		made = trace.SpanContextConfig{}
		if parent.IsValid() {
			ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
		}
		made.TraceID, made.SpanID = t.provider.ids.NewIDs(ctx)
		decision := t.provider.sampler.ShouldSample(sdktrace.SamplingParameters{
			ParentContext: ctx,
			TraceID:       made.TraceID,
			Name:          name,
			Kind:          cfg.SpanKind(),
			Attributes:    cfg.Attributes(),
			Links:         cfg.Links(),
		})
		made.TraceState = decision.Tracestate
		made.TraceFlags = made.TraceFlags.WithSampled(decision.Decision == sdktrace.RecordAndSample)
	} else {
		made.SpanID = t.provider.ids.NewSpanID(ctx, made.TraceID)
	}
	span := idSpan{context: trace.NewSpanContext(made), provider: t.provider}
	return trace.ContextWithSpan(ctx, span), span
}

// idSpan is a span that does not record.
type idSpan struct {
	noop.Span
	context  trace.SpanContext
	provider *idProvider
}

func (s idSpan) SpanContext() trace.SpanContext       { return s.context }
func (s idSpan) TracerProvider() trace.TracerProvider { return s.provider }

// idGenerator makes random ids, except where WithSpanID settled one.
type idGenerator struct{ next sdktrace.IDGenerator }

func newIDGenerator(next sdktrace.IDGenerator) sdktrace.IDGenerator {
	if next == nil {
		next = randomIDs{}
	}
	return idGenerator{next}
}

func (g idGenerator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	traceID, spanID := g.next.NewIDs(ctx)
	if settled, ok := settledSpanID(ctx); ok {
		spanID = settled
	}
	return traceID, spanID
}

func (g idGenerator) NewSpanID(ctx context.Context, traceID trace.TraceID) trace.SpanID {
	if settled, ok := settledSpanID(ctx); ok {
		return settled
	}
	return g.next.NewSpanID(ctx, traceID)
}

// randomIDs need not be secret, only different: math/rand/v2 is seeded by the system and takes no lock.
type randomIDs struct{}

func (randomIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var traceID trace.TraceID
	for !traceID.IsValid() {
		binary.BigEndian.PutUint64(traceID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(traceID[8:], rand.Uint64())
	}
	return traceID, randomIDs{}.NewSpanID(ctx, traceID)
}

func (randomIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var spanID trace.SpanID
	for !spanID.IsValid() {
		binary.BigEndian.PutUint64(spanID[:], rand.Uint64())
	}
	return spanID
}

type settledKey struct{}

type settled struct {
	id   trace.SpanID
	used atomic.Bool
}

// WithSpanID settles the id of the next span started with the returned context: it is derived from seed, so that a
// span that is emitted again from a stored record, after its process was killed, has the id it had.
func WithSpanID(ctx context.Context, seed string) context.Context {
	return context.WithValue(ctx, settledKey{}, &settled{id: SpanIDOf(seed)})
}

// SpanIDOf is the span id that WithSpanID derives from seed.
func SpanIDOf(seed string) trace.SpanID {
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], max(backoff.Hash(seed), 1))
	return id
}

func settledSpanID(ctx context.Context) (trace.SpanID, bool) {
	s, ok := ctx.Value(settledKey{}).(*settled)
	if !ok || s.used.Swap(true) {
		return trace.SpanID{}, false
	}
	return s.id, true
}
