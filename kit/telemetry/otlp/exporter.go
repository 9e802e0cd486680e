package otlp

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Exporter sends the spans of one provider.
type Exporter struct {
	client   otlptrace.Client
	resource *resourcev1.Resource
	schema   string
	scopes   map[instrumentation.Scope]*scope
}

// scope is a scope that spans had so far, and those of them that this batch has: fields of a ScopeSpans.
type scope struct {
	name  *commonv1.InstrumentationScope
	spans []byte
}

var _ sdktrace.SpanExporter = (*Exporter)(nil)

// Start makes the exporter of a provider with a resource, and starts its client.
func Start(ctx context.Context, client otlptrace.Client, of *resource.Resource) (*Exporter, error) {
	e := &Exporter{client: client, resource: &resourcev1.Resource{}, schema: of.SchemaURL(), scopes: map[instrumentation.Scope]*scope{}}
	if err := proto.Unmarshal(appendAttributes(nil, resourceAttributes, of.Attributes()), e.resource); err != nil {
		return nil, fmt.Errorf("cannot write the resource: %w", err)
	}
	return e, client.Start(ctx)
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, span := range spans {
		s, err := e.scope(span.InstrumentationScope())
		if err != nil {
			return err
		}
		s.spans = appendSpan(s.spans, span)
	}
	message := &tracev1.ResourceSpans{Resource: e.resource, SchemaUrl: e.schema}
	for is, s := range e.scopes {
		if len(s.spans) > 0 {
			one := &tracev1.ScopeSpans{Scope: s.name, SchemaUrl: is.SchemaURL}
			one.ProtoReflect().SetUnknown(s.spans)
			message.ScopeSpans = append(message.ScopeSpans, one)
		}
	}
	if len(message.GetScopeSpans()) == 0 {
		return nil
	}
	err := e.client.UploadTraces(ctx, []*tracev1.ResourceSpans{message})
	for _, s := range e.scopes { // what was sent is a copy of it
		s.spans = s.spans[:0]
	}
	if err != nil {
		return fmt.Errorf("cannot export spans: %w", err)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *Exporter) Shutdown(ctx context.Context) error { return e.client.Stop(ctx) }

func (e *Exporter) scope(is instrumentation.Scope) (*scope, error) {
	if s := e.scopes[is]; s != nil {
		return s, nil
	}
	s := &scope{name: &commonv1.InstrumentationScope{Name: is.Name, Version: is.Version}}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(appendAttributes(nil, scopeAttributes, is.Attributes.ToSlice()), s.name); err != nil {
		return nil, fmt.Errorf("cannot write the scope %q: %w", is.Name, err)
	}
	e.scopes[is] = s
	return s, nil
}
