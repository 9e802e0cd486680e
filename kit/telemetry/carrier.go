package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Carrier is a trace context in a stored thing (a bang, a run order, a spooled report): it outlives processes. The
// fields are those of the W3C headers.
type Carrier struct {
	Traceparent string
	Tracestate  string
	Baggage     string
}

var _ propagation.TextMapCarrier = (*Carrier)(nil)

// Get, Set and Keys make a Carrier a propagation.TextMapCarrier.
func (c *Carrier) Get(key string) string {
	if f := c.field(key); f != nil {
		return *f
	}
	return ""
}

// Set sets one of the three; other keys are ignored.
func (c *Carrier) Set(key, value string) {
	if f := c.field(key); f != nil {
		*f = value
	}
}

// Keys lists what may be set.
func (c *Carrier) Keys() []string { return []string{"traceparent", "tracestate", "baggage"} }

func (c *Carrier) field(key string) *string {
	switch key {
	case "traceparent":
		return &c.Traceparent
	case "tracestate":
		return &c.Tracestate
	case "baggage":
		return &c.Baggage
	}
	return nil
}

// Propagator is what crosses every edge: W3C trace context and baggage.
func Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

// Inject takes the trace context and baggage of ctx, to store them.
func Inject(ctx context.Context) Carrier {
	var c Carrier
	Propagator().Inject(ctx, &c)
	return c
}

// Extract makes c the remote parent of what is started next; an empty or broken carrier changes nothing.
func Extract(ctx context.Context, c Carrier) context.Context {
	return Propagator().Extract(ctx, &c)
}

// Link points up to what c was taken from; false when that is nothing. Links are given at span start, at most
// MaxLinks, so that samplers see them.
func Link(c Carrier, attrs ...attribute.KeyValue) (trace.Link, bool) {
	sc := trace.SpanContextFromContext(Extract(context.Background(), c))
	return trace.Link{SpanContext: sc, Attributes: attrs}, sc.IsValid()
}

// MaxLinks is how many causes a run links to.
const MaxLinks = 8

// Links points up to the newest MaxLinks of cs, which are in order of time, skipping empty ones.
func Links(cs ...Carrier) []trace.Link {
	var links []trace.Link
	for i := len(cs) - 1; i >= 0 && len(links) < MaxLinks; i-- {
		if l, ok := Link(cs[i]); ok {
			links = append(links, l)
		}
	}
	return links
}

// NewRootContext is ctx without its span and without the ids of its story: what is started next is a root. Values and
// deadline stay.
func NewRootContext(ctx context.Context) context.Context {
	return baggage.ContextWithoutBaggage(trace.ContextWithSpanContext(ctx, trace.SpanContext{}))
}

// WithBang adds the bang's id to the baggage of ctx: every span and log record from here on carries it, in this
// service and those it calls.
func WithBang(ctx context.Context, id string) context.Context {
	return withMember(ctx, conv.BangID, id)
}

// WithRun adds the run's id, as WithBang does the bang's.
func WithRun(ctx context.Context, id string) context.Context { return withMember(ctx, conv.RunID, id) }

// BangOf is the bang's id in ctx, or empty.
func BangOf(ctx context.Context) string { return memberOf(ctx, conv.BangID) }

// RunOf is the run's id in ctx, or empty.
func RunOf(ctx context.Context) string { return memberOf(ctx, conv.RunID) }

func withMember(ctx context.Context, key attribute.Key, value string) context.Context {
	member, err := baggage.NewMemberRaw(string(key), value)
	if err != nil {
		return ctx // not UTF-8: our ids are ASCII
	}
	b, err := baggage.FromContext(ctx).SetMember(member)
	if err != nil {
		return ctx // past the 64 members of the specification
	}
	return baggage.ContextWithBaggage(ctx, b)
}

func memberOf(ctx context.Context, key attribute.Key) string {
	return baggage.FromContext(ctx).Member(string(key)).Value()
}

// storyOf is the ids of ctx as attributes.
func storyOf(ctx context.Context) []attribute.KeyValue {
	b := baggage.FromContext(ctx)
	if b.Len() == 0 {
		return nil
	}
	var attrs []attribute.KeyValue
	for _, key := range []attribute.Key{conv.BangID, conv.RunID} {
		if v := b.Member(string(key)).Value(); v != "" {
			attrs = append(attrs, key.String(v))
		}
	}
	return attrs
}
