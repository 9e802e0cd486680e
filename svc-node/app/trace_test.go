package app_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/types/known/timestamppb"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

const (
	orderTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	orderParent = "00-" + orderTrace + "-00f067aa0ba902b7-01"
	otherTrace  = "0af7651916cd43dd8448eb211c80319c"
	otherParent = "00-" + otherTrace + "-b7ad6b7169203331-01"
)

// traced runs a test on a node whose telemetry is recorded.
func traced(t *testing.T, tell func(t *testing.T, n *node, spans *tracetest.InMemoryExporter, metrics *metric.ManualReader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		spans, metrics := tracetest.NewInMemoryExporter(), metric.NewManualReader()
		tel, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "error"}, telemetry.Settings{
			Service: "svc-node", Shared: true, SpanExporter: spans, MetricReader: metrics, Sampler: sdktrace.AlwaysSample(),
		})
		if err != nil {
			t.Fatal(err)
		}
		n.telemetry = tel
		tell(t, n, spans, metrics)
	})
}

func (n *node) orderTraced(number int, parented bool) {
	n.orders <- &schedulerv1.OrdersResponse{Message: &schedulerv1.OrdersResponse_Order{Order: &schedulerv1.Order{
		RunId: "run-of-the-trace-" + strings.Repeat("x", number), Computer: computer, Partition: "slappart0", AllocationId: "t1.a1",
		Cause: typev1.Cause_CAUSE_BANG, Attempt: 1, DueAt: timestamppb.Now(), OrderedAt: timestamppb.Now(),
		Trace:    &typev1.TraceContext{Traceparent: orderParent},
		Parented: parented,
		Bangs:    []*schedulerv1.BangReference{{BangId: "t1.b2", Trace: &typev1.TraceContext{Traceparent: otherParent}}},
	}}}
}

// named returns the spans of a name, in the order of their ends.
func named(spans *tracetest.InMemoryExporter, name string) (found []tracetest.SpanStub) {
	for _, s := range spans.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func attribute(s tracetest.SpanStub, key string) string {
	for _, kv := range s.Attributes {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

func TestAParentedRunContinuesTheTraceOfItsOrder(t *testing.T) {
	traced(t, func(t *testing.T, n *node, spans *tracetest.InMemoryExporter, metrics *metric.ManualReader) {
		n.settled()
		spans.Reset()
		n.orderTraced(1, true)
		time.Sleep(time.Second)
		runs := named(spans, conv.SpanRun)
		if len(runs) != 1 || runs[0].Parent.TraceID().String() != orderTrace || runs[0].Parent.SpanID().String() != "00f067aa0ba902b7" {
			t.Fatalf("runs are %v", runs)
		}
		run := runs[0]
		if attribute(run, string(conv.BangID)) != "t1.b2" || attribute(run, string(conv.RunCause)) != "bang" || attribute(run, string(conv.RunResult)) != "success" {
			t.Errorf("attributes are %v", run.Attributes)
		}
		for _, step := range []string{conv.StepRelease, conv.StepProfile, conv.StepServices, conv.StepPromises} {
			s := named(spans, conv.StepSpan(step))
			if len(s) != 1 || s[0].Parent.SpanID() != run.SpanContext.SpanID() || attribute(s[0], string(conv.RunID)) != attribute(run, string(conv.RunID)) {
				t.Errorf("step %s is %v", step, s)
			}
		}
		if s := named(spans, conv.ExecSpan("answers")); len(s) != 1 || s[0].SpanContext.TraceID() != run.SpanContext.TraceID() {
			t.Errorf("sensing is %v", s)
		}
		var rm metricdata.ResourceMetrics
		if err := metrics.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
		var emitted []string
		for _, scope := range rm.ScopeMetrics {
			for _, m := range scope.Metrics {
				emitted = append(emitted, m.Name)
			}
		}
		for _, m := range []conv.Metric{
			conv.RunDuration.Metric, conv.RunDelay.Metric, conv.RunActive.Metric, conv.StepDuration.Metric, conv.SensorDuration.Metric,
			conv.PromiseCount.Metric, conv.SpoolSize.Metric,
		} {
			if !slices.Contains(emitted, m.Name) {
				t.Errorf("%s is not emitted", m.Name)
			}
		}
	})
}

func TestAnyOtherRunIsARootWithLinksUpToItsCauses(t *testing.T) {
	traced(t, func(t *testing.T, n *node, spans *tracetest.InMemoryExporter, _ *metric.ManualReader) {
		n.settled()
		spans.Reset()
		n.orderTraced(1, false)
		time.Sleep(time.Second)
		runs := named(spans, conv.SpanRun)
		if len(runs) != 1 || runs[0].Parent.IsValid() {
			t.Fatalf("runs are %v", runs)
		}
		var links []string
		for _, l := range runs[0].Links {
			links = append(links, l.SpanContext.TraceID().String())
		}
		if got := strings.Join(links, " "); got != orderTrace+" "+otherTrace {
			t.Errorf("links are %s", got)
		}
	})
}

func TestAnExitIsARootOfItsOwn(t *testing.T) {
	traced(t, func(t *testing.T, n *node, spans *tracetest.InMemoryExporter, _ *metric.ManualReader) {
		n.settled()
		spans.Reset()
		n.processes.kill("slappart0", "web")
		time.Sleep(time.Second)
		exits := named(spans, conv.SpanExit)
		if len(exits) != 1 || exits[0].Parent.IsValid() || attribute(exits[0], string(conv.ProcessReason)) != conv.ExitSignal {
			t.Errorf("exits are %v", exits)
		}
	})
}
