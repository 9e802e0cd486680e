package story

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Span is what a test needs to know of one.
type Span struct {
	// Trace, ID and Parent are hexadecimal; Parent is empty for a root.
	Trace, ID, Parent string
	Service, Name     string
	// Process tells the processes of a service apart: service.instance.id.
	Process    string
	Kind       trace.SpanKind
	Start, End time.Time
	// Attributes by key, as text.
	Attributes map[string]string
	// Links are the trace and span ids of its links.
	Links []Link
	// Error is true when its status is one.
	Error bool
}

// Link points up to a cause.
type Link struct{ Trace, Span string }

// FromSDK converts what an in-memory exporter holds.
func FromSDK(spans []sdktrace.ReadOnlySpan) []Span {
	out := make([]Span, 0, len(spans))
	for _, s := range spans {
		of := texts(s.Resource().Attributes())
		one := Span{
			Trace: s.SpanContext().TraceID().String(), ID: s.SpanContext().SpanID().String(), Name: s.Name(), Kind: s.SpanKind(),
			Start: s.StartTime(), End: s.EndTime(), Attributes: texts(s.Attributes()), Error: s.Status().Code.String() == "Error",
			Service: of["service.name"], Process: of["service.instance.id"],
		}
		if s.Parent().SpanID().IsValid() {
			one.Parent = s.Parent().SpanID().String()
		}
		for _, l := range s.Links() {
			one.Links = append(one.Links, Link{Trace: l.SpanContext.TraceID().String(), Span: l.SpanContext.SpanID().String()})
		}
		out = append(out, one)
	}
	return out
}

func texts(attributes []attribute.KeyValue) map[string]string {
	m := make(map[string]string, len(attributes))
	for _, a := range attributes {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}
