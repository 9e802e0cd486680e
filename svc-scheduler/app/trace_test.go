package app

import (
	"context"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// TestABangIsOneTraceThroughTheScheduler says that the fan out is a child of the stored context of the bang, and each order run a
// child of the fan out that names its run.
func TestABangIsOneTraceThroughTheScheduler(t *testing.T) {
	tell(t, func(t *testing.T, s *story) {
		spans := tracetest.NewInMemoryExporter()
		tel, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "error"}, telemetry.Settings{Service: Service, SpanExporter: spans, Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		s.atEnd(func() { _ = tel.Shutdown(context.Background()) })
		s.telemetry = tel
		for i := range 3 {
			s.master.allocate(i, "c1")
		}
		s.start()
		n := s.open("c1", 4)
		n.settle()
		spans.Reset()
		s.master.bang(telemetry.Carrier{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
		orders := n.want(3)
		synctest.Wait()

		runs := map[string]bool{}
		fanOut, children := "", 0
		for _, span := range spans.GetSpans() {
			if span.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
				continue // the store's and RPCs' own
			}
			attrs := map[string]string{}
			for _, a := range span.Attributes {
				attrs[string(a.Key)] = a.Value.String()
			}
			if attrs[string(conv.BangID)] != "t1.b1" {
				t.Errorf("span %s does not name the bang: %v", span.Name, attrs)
			}
			switch span.Name {
			case conv.SpanFanOut:
				fanOut = span.SpanContext.SpanID().String()
				if span.Parent.SpanID().String() != "b7ad6b7169203331" || attrs[string(conv.BangTargets)] != "3" || attrs[string(conv.BangFolds)] != "0" || attrs[string(conv.TreeID)] != "t1" {
					t.Errorf("the fan out has parent %s and attributes %v", span.Parent.SpanID(), attrs)
				}
			case conv.SpanOrderRun:
				children++
				runs[attrs[string(conv.RunID)]] = true
				if attrs[string(conv.RunCause)] != conv.CauseBang || attrs[string(conv.RunAttempt)] != "1" || attrs[string(conv.ComputerID)] != "c1" {
					t.Errorf("an order run has attributes %v", attrs)
				}
			}
		}
		for _, span := range spans.GetSpans() {
			if span.Name == conv.SpanOrderRun && span.Parent.SpanID().String() != fanOut {
				t.Errorf("an order run has parent %s, not the fan out %s", span.Parent.SpanID(), fanOut)
			}
		}
		for _, o := range orders {
			if !runs[o.GetRunId()] {
				t.Errorf("no order run names run %s", o.GetRunId())
			}
		}
		if fanOut == "" || children != 3 {
			t.Errorf("fan out %q, %d order runs", fanOut, children)
		}
	})
}
