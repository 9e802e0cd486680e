package otlp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/telemetry/otlp"
)

// client keeps what it is to send, as a receiver reads it from the wire.
type client struct {
	t        *testing.T
	received []*tracev1.ResourceSpans
	fails    error
	stopped  bool
}

func (*client) Start(context.Context) error { return nil }
func (c *client) Stop(context.Context) error {
	c.stopped = true
	return nil
}

func (c *client) UploadTraces(_ context.Context, spans []*tracev1.ResourceSpans) error {
	wire, err := proto.Marshal(&collectorv1.ExportTraceServiceRequest{ResourceSpans: spans})
	if err != nil {
		c.t.Fatal(err)
	}
	request := &collectorv1.ExportTraceServiceRequest{}
	if err := proto.Unmarshal(wire, request); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range request.GetResourceSpans() { // scopes come in any order
		slices.SortFunc(r.ScopeSpans, func(a, b *tracev1.ScopeSpans) int {
			return strings.Compare(a.GetScope().GetName(), b.GetScope().GetName())
		})
	}
	c.received = request.GetResourceSpans()
	return c.fails
}

func spanContext(id byte, remote bool) trace.SpanContext {
	state, _ := trace.ParseTraceState("vendor=value")
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 15: id}, SpanID: trace.SpanID{7: id}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: remote,
	})
}

// spans have one of each thing that a span can have.
func spans(of *resource.Resource) []sdktrace.ReadOnlySpan {
	began := time.Unix(1700000000, 123456789)
	long := strings.Repeat("a long value ", 2000)
	every := []attribute.KeyValue{
		attribute.String("text", "väärde"), attribute.String("empty", ""), attribute.String("long", long),
		attribute.Bool("yes", true), attribute.Bool("no", false),
		attribute.Int64("zero", 0), attribute.Int64("less", -1), attribute.Int64("more", 1<<62), attribute.Float64("half", 0.5), attribute.Float64("nothing", 0),
		attribute.BoolSlice("bools", []bool{true, false}), attribute.Int64Slice("ints", []int64{0, -7}), attribute.Float64Slice("floats", []float64{1.5}),
		attribute.StringSlice("texts", []string{"", "a"}), attribute.StringSlice("none", nil),
		{Key: "bytes", Value: attribute.ByteSliceValue([]byte{0, 1})},
		{Key: "mixed", Value: attribute.SliceValue(attribute.StringValue("a"), attribute.Int64Value(1))},
		{Key: "map", Value: attribute.MapValue(attribute.String("a", "b"))},
		{Key: "absent"},
	}
	scopes := []instrumentation.Scope{
		{Name: "a", Version: "1", SchemaURL: "https://example.org/1", Attributes: attribute.NewSet(attribute.String("k", "v"))},
		{Name: "b"},
	}
	return tracetest.SpanStubs{
		{
			Name: "root", SpanContext: spanContext(1, false), SpanKind: trace.SpanKindServer, StartTime: began, EndTime: began.Add(time.Second),
			Attributes: every, Resource: of, InstrumentationScope: scopes[0],
		},
		{
			Name: "child", SpanContext: spanContext(2, false), Parent: spanContext(1, true), SpanKind: trace.SpanKindClient, StartTime: began, EndTime: began,
			Status: sdktrace.Status{Code: codes.Error, Description: "it failed"}, Resource: of, InstrumentationScope: scopes[1],
			Events:            []sdktrace.Event{{Name: "event", Time: began, Attributes: every[:3], DroppedAttributeCount: 300}},
			Links:             []sdktrace.Link{{SpanContext: spanContext(3, true), Attributes: every[:1], DroppedAttributeCount: 2}, {SpanContext: spanContext(4, false)}},
			DroppedAttributes: 1, DroppedEvents: 200, DroppedLinks: 70000,
		},
		{Name: "", SpanContext: spanContext(5, false), Status: sdktrace.Status{Code: codes.Ok}, Resource: of, InstrumentationScope: scopes[0]},
	}.Snapshots()
}

func TestWhatIsSentIsWhatTheSDKSends(t *testing.T) {
	of := resource.NewWithAttributes("https://example.org/schema", attribute.String("service.name", "svc-test"), attribute.Int("n", 3))
	all := spans(of)
	theirs, ours := &client{t: t}, &client{t: t}
	sdk, err := otlptrace.New(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	e, err := otlp.Start(t.Context(), ours, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range [][]sdktrace.ReadOnlySpan{all, all[1:2], all} { // memory that is used again holds nothing of the batch before
		if err := errors.Join(sdk.ExportSpans(t.Context(), batch), e.ExportSpans(t.Context(), batch)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(theirs.received, ours.received, protocmp.Transform()); diff != "" {
			t.Errorf("of %d spans (- the SDK, + ours):\n%s", len(batch), diff)
		}
	}
}

func TestABatchThatWasNotSentIsNotSentWithTheNext(t *testing.T) {
	of := resource.NewSchemaless(attribute.String("service.name", "svc-test"))
	to := &client{t: t, fails: errors.New("nobody listens")}
	e, err := otlp.Start(t.Context(), to, of)
	if err != nil {
		t.Fatal(err)
	}
	all := spans(of)
	if err := e.ExportSpans(t.Context(), all[:1]); err == nil {
		t.Error("a batch that was not sent is no error")
	}
	to.fails = nil
	if err := e.ExportSpans(t.Context(), all[1:2]); err != nil {
		t.Fatal(err)
	}
	if got := to.received[0].GetScopeSpans(); len(got) != 1 || len(got[0].GetSpans()) != 1 || got[0].GetSpans()[0].GetName() != "child" {
		t.Errorf("the next batch is %v", got)
	}
	to.received = nil
	if err := e.ExportSpans(t.Context(), nil); err != nil || to.received != nil {
		t.Errorf("no spans are sent as %v, %v", to.received, err)
	}
	if err := e.Shutdown(t.Context()); err != nil || !to.stopped {
		t.Errorf("the client is stopped: %t, %v", to.stopped, err)
	}
}

func BenchmarkExport(b *testing.B) {
	of := resource.NewSchemaless(attribute.String("service.name", "svc-test"))
	var batch []sdktrace.ReadOnlySpan
	for range 512 {
		batch = append(batch, tracetest.SpanStub{
			Name: "begin run", SpanContext: spanContext(2, false), Parent: spanContext(1, true), StartTime: time.Now(), EndTime: time.Now(), Resource: of,
			Attributes: []attribute.KeyValue{
				conv.RunID.String("0199f0a2-6b7c-7d8e-9fa0-b1c2d3e4f506"), conv.BangID.String("t1.b17"), conv.AllocationID.String("t1.i1.a1"), conv.Generation.Int64(17), conv.Epoch.Int64(1),
			},
		}.Snapshot())
	}
	ours, _ := otlp.Start(b.Context(), discarding{}, of)
	theirs, _ := otlptrace.New(b.Context(), discarding{})
	for name, e := range map[string]sdktrace.SpanExporter{"ours": ours, "SDK": theirs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = e.ExportSpans(b.Context(), batch)
			}
		})
	}
}

// discarding encodes, as a client does.
type discarding struct{}

func (discarding) Start(context.Context) error { return nil }
func (discarding) Stop(context.Context) error  { return nil }
func (discarding) UploadTraces(_ context.Context, spans []*tracev1.ResourceSpans) error {
	_, err := proto.Marshal(&collectorv1.ExportTraceServiceRequest{ResourceSpans: spans})
	return err
}
