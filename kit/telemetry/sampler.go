package telemetry

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// The rates of NewSampler (docs/telemetry.md, "Sampling").
const (
	// PeriodicityRatio is the share of periodic runs that are sampled.
	PeriodicityRatio = 0.02
	// BackgroundRatio is the share of periodic sensing, and of everything nobody asked for, that is sampled.
	BackgroundRatio = 0.005
	// AlwaysPerSecond and AlwaysBurst bound the traces that are always sampled: a bang storm of a fleet must not
	// become a storm at the collector. A trace of a prompt story is some 30 spans, so that this is 3,000 spans a second.
	AlwaysPerSecond = 100
	AlwaysBurst     = 1000
)

// NewSampler decides which traces are recorded. A span with a parent follows it. A root is sampled
//
//   - if a span it links to is: a run follows its causes;
//   - always, behind a token bucket, if it is part of the story of a bang, the installation of a release, or a run whose cause is not periodicity, or
//     an RPC from outside, which came without a parent;
//   - otherwise at a small rate by its trace id.
func NewSampler() sdktrace.Sampler {
	return &sampler{
		bucket:      bucket{rate: AlwaysPerSecond, burst: AlwaysBurst, now: time.Now},
		periodicity: sdktrace.TraceIDRatioBased(PeriodicityRatio),
		background:  sdktrace.TraceIDRatioBased(BackgroundRatio),
	}
}

type sampler struct {
	bucket                  bucket
	periodicity, background sdktrace.Sampler
}

func (s *sampler) Description() string { return "vow: bang stories always, periodic work rarely" }

func (s *sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if parent.IsValid() {
		return result(parent.IsSampled(), parent.TraceState())
	}
	// An edge that does not trust its callers links to what they say; that must not decide.
	if p.Kind != trace.SpanKindServer {
		for _, link := range p.Links {
			if link.SpanContext.IsSampled() {
				return result(true, parent.TraceState())
			}
		}
	}
	switch rateOf(p) {
	case rateAlways:
		return result(s.bucket.take(), parent.TraceState())
	case ratePeriodicity:
		return s.periodicity.ShouldSample(p)
	default:
		return s.background.ShouldSample(p)
	}
}

type rate int

const (
	rateBackground rate = iota
	ratePeriodicity
	rateAlways
)

// rateOf looks at the cause, then at the name.
func rateOf(p sdktrace.SamplingParameters) rate {
	switch causeOf(p.Attributes) {
	case "":
	case conv.CausePeriodicity:
		return ratePeriodicity
	default:
		return rateAlways
	}
	switch p.Name {
	case conv.SpanAnomaly, conv.SpanExit, conv.SpanBang, conv.SpanFanOut, conv.SpanConverge, conv.SpanInstall:
		return rateAlways
	}
	if p.Kind == trace.SpanKindServer {
		return rateAlways
	}
	return rateBackground
}

func causeOf(attrs []attribute.KeyValue) string {
	for _, a := range attrs {
		if a.Key == conv.RunCause {
			return a.Value.AsString()
		}
	}
	return ""
}

func result(sampled bool, state trace.TraceState) sdktrace.SamplingResult {
	decision := sdktrace.Drop
	if sampled {
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: state}
}

// bucket is a token bucket; it starts full.
type bucket struct {
	rate, burst float64
	now         func() time.Time

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.last.IsZero() {
		b.tokens = b.burst
	} else {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
