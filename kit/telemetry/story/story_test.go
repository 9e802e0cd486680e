package story

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestARealExporterReachesTheReceiverAndPlumbingIsContracted(t *testing.T) {
	receiver := NewReceiver()
	defer receiver.Close()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(receiver.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "svc-node"))))
	tracer := provider.Tracer("test")
	ctx, root := tracer.Start(t.Context(), "exit")
	call, client := tracer.Start(ctx, "Bang", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("rpc.system", "connect_rpc")))
	for range 2 {
		_, inner := tracer.Start(call, "bang")
		inner.End()
	}
	client.End()
	root.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	traces := Assemble(receiver.Spans())
	if len(traces) != 1 {
		t.Fatalf("%d traces, want 1", len(traces))
	}
	const want = "exit (svc-node)\n  bang (svc-node) ×2\n"
	if got := traces[root.SpanContext().TraceID().String()].Draw(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestASpanWhoseParentWasNotSeenIsAnOrphan(t *testing.T) {
	traces := Assemble([]Span{{Trace: "1", ID: "a", Name: "run", Parent: "lost", Service: "svc-node", Start: time.Unix(1, 0)}})
	if got, want := traces["1"].Draw(), "orphan: run (svc-node), parent lost\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
