package store_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/kit/telemetry"
)

func TestCommandsOfAStoryThatIsSampledAreSpansWithoutTheirArguments(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "error"}, telemetry.Settings{
		Service: "test", Shared: true, SpanExporter: exporter, Sampler: sdktrace.ParentBased(sdktrace.NeverSample()),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Config{Embedded: true}, store.Settings{Telemetry: tel})
	parent := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags})
	}
	ctx := trace.ContextWithSpanContext(t.Context(), parent(0))
	if err := s.Redis().Set(ctx, "{a}key", "a secret", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if spans := exporter.GetSpans(); len(spans) != 0 {
		t.Errorf("a story that is not sampled has spans: %v", spans)
	}

	ctx = trace.ContextWithSpanContext(t.Context(), parent(trace.FlagsSampled))
	if err := s.Redis().Get(ctx, "{a}nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := s.Redis().HSet(ctx, "{a}key", "a secret", "b").Err(); err == nil {
		t.Fatal("a hash in a string")
	}
	if _, err := s.Redis().Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{a}1", "a secret", 0)
		p.Set(ctx, "{a}2", "a secret", 0)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name   string
		status codes.Code
		batch  int64
	}{{"get", codes.Unset, 0}, {"hset", codes.Error, 0}, {"PIPELINE set", codes.Unset, 2}}
	spans := exporter.GetSpans()
	if len(spans) != len(want) {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	for i, span := range spans {
		of := map[string]any{}
		for _, a := range span.Attributes {
			of[string(a.Key)] = a.Value.AsInterface()
		}
		batch, _ := of["db.operation.batch.size"].(int64)
		if span.Name != want[i].name || span.Status.Code != want[i].status || batch != want[i].batch || of["db.operation.name"] != span.Name ||
			of["db.system.name"] != "redis" || span.SpanKind != trace.SpanKindClient || span.Parent.SpanID() != (trace.SpanID{2}) || len(span.Events) != 0 {
			t.Errorf("span %d is %s %v %v %v, want %+v", i, span.Name, span.Status, of, span.Events, want[i])
		}
	}
}
