package telemetry_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

func setup(t *testing.T, s telemetry.Settings) *telemetry.Telemetry {
	t.Helper()
	if s.Service == "" {
		s.Service = "svc-test"
	}
	if s.LogWriter == nil {
		s.LogWriter = &bytes.Buffer{}
	}
	s.Shared = true
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	return tel
}

// clearEnvironment makes the machine's own OTEL_* settings invisible.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER",
		"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "PYROSCOPE_SERVER_ADDRESS",
	} {
		t.Setenv(name, "")
	}
}

func TestWithoutAnExporterSpansHaveIdsAndTheSampledFlagButDoNotRecord(t *testing.T) {
	clearEnvironment(t)
	tel := setup(t, telemetry.Settings{})
	if tel.Recording() {
		t.Fatal("it records with no exporter configured")
	}
	tracer := tel.Tracer("test")
	ctx, root := tracer.Start(t.Context(), conv.SpanBang)
	_, child := tracer.Start(ctx, conv.SpanFanOut)
	if root.IsRecording() || !root.SpanContext().IsValid() || !root.SpanContext().IsSampled() {
		t.Errorf("the root is %+v", root.SpanContext())
	}
	if child.SpanContext().TraceID() != root.SpanContext().TraceID() || child.SpanContext().SpanID() == root.SpanContext().SpanID() ||
		!child.SpanContext().IsSampled() {
		t.Errorf("the child is %+v", child.SpanContext())
	}
	_, other := tracer.Start(ctx, conv.SpanBang, trace.WithNewRoot())
	if other.SpanContext().TraceID() == root.SpanContext().TraceID() {
		t.Error("a new root is in the old trace")
	}
	if _, again := child.TracerProvider().Tracer("x").Start(ctx, "x"); again.SpanContext().TraceID() != root.SpanContext().TraceID() {
		t.Error("the provider of a span makes other traces")
	}
}

func TestACarrierBringsAStoryBackAfterARestart(t *testing.T) {
	clearEnvironment(t)
	tel := setup(t, telemetry.Settings{})
	ctx := telemetry.WithRun(telemetry.WithBang(t.Context(), "t1.b7"), "r9")
	ctx, span := tel.Tracer("test").Start(ctx, conv.SpanBang)
	stored := telemetry.Inject(ctx)

	restarted := telemetry.Extract(context.Background(), stored)
	if telemetry.BangOf(restarted) != "t1.b7" || telemetry.RunOf(restarted) != "r9" {
		t.Errorf("the ids are %q and %q", telemetry.BangOf(restarted), telemetry.RunOf(restarted))
	}
	_, child := tel.Tracer("test").Start(restarted, conv.SpanConverge)
	if child.SpanContext().TraceID() != span.SpanContext().TraceID() {
		t.Error("the child is in another trace")
	}
	link, ok := telemetry.Link(stored)
	if !ok || link.SpanContext.SpanID() != span.SpanContext().SpanID() {
		t.Errorf("the link points to %v", link.SpanContext)
	}
	if _, ok := telemetry.Link(telemetry.Carrier{Traceparent: "nonsense"}); ok {
		t.Error("a broken carrier makes a link")
	}
	root := telemetry.NewRootContext(ctx)
	if telemetry.BangOf(root) != "" || trace.SpanContextFromContext(root).IsValid() {
		t.Error("a new root knows the old story")
	}
}

func TestARunLinksToItsNewestEightCauses(t *testing.T) {
	clearEnvironment(t)
	tel := setup(t, telemetry.Settings{})
	var causes []telemetry.Carrier
	var last trace.SpanID
	for range 12 {
		ctx, span := tel.Tracer("test").Start(context.Background(), conv.SpanBang)
		causes = append(causes, telemetry.Inject(ctx), telemetry.Carrier{})
		last = span.SpanContext().SpanID()
	}
	links := telemetry.Links(causes...)
	if len(links) != telemetry.MaxLinks || links[0].SpanContext.SpanID() != last {
		t.Errorf("%d links, the first to %v, want the newest %v", len(links), links[0].SpanContext.SpanID(), last)
	}
}

func TestASpanEmittedAgainFromItsRecordHasTheIdItHad(t *testing.T) {
	clearEnvironment(t)
	exporter := tracetest.NewInMemoryExporter()
	for name, tel := range map[string]*telemetry.Telemetry{
		"recording": setup(t, telemetry.Settings{SpanExporter: exporter}), "ids only": setup(t, telemetry.Settings{}),
	} {
		parent := telemetry.Carrier{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		emit := func() (converge, child trace.SpanContext) {
			ctx := telemetry.WithSpanID(telemetry.Extract(context.Background(), parent), "t1.c3")
			ctx, span := tel.Tracer("test").Start(ctx, conv.SpanConverge)
			_, below := tel.Tracer("test").Start(ctx, "below")
			return span.SpanContext(), below.SpanContext()
		}
		first, below := emit()
		second, _ := emit()
		if first.SpanID() != second.SpanID() || first.SpanID() != telemetry.SpanIDOf("t1.c3") || first.TraceID() != second.TraceID() {
			t.Errorf("%s: emitted as %v and as %v", name, first, second)
		}
		if below.SpanID() == first.SpanID() {
			t.Errorf("%s: a child took the settled id too", name)
		}
	}
}

func TestLogsCarryTheIdsOfTheirContext(t *testing.T) {
	clearEnvironment(t)
	var out bytes.Buffer
	tel := setup(t, telemetry.Settings{LogWriter: &out})
	ctx, span := tel.Tracer("test").Start(telemetry.WithBang(t.Context(), "t1.b7"), conv.SpanBang)
	tel.Log.With("k", "v").InfoContext(ctx, "hello")
	tel.Event(ctx, conv.EventBangAccepted, conv.TreeID.String("t1"), conv.Generation.Int(4))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	for _, line := range lines {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{
			"trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(),
			string(conv.BangID): "t1.b7", "service": "svc-test",
		} {
			if record[key] != want {
				t.Errorf("%s is %v, want %v, in %s", key, record[key], want, line)
			}
		}
	}
	if !strings.Contains(lines[1], `"event.name":"`+conv.EventBangAccepted+`"`) || !strings.Contains(lines[1], `"`+string(conv.Generation)+`":4`) {
		t.Errorf("the event is %s", lines[1])
	}
}

// traceID is as good as random, and the same every time.
func traceID(i int) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], backoff.Hash(strconv.Itoa(i)))
	binary.BigEndian.PutUint64(id[8:], backoff.Hash(strconv.Itoa(-i-1)))
	return id
}

func TestNoKeyIsTwiceInALine(t *testing.T) {
	clearEnvironment(t)
	var log bytes.Buffer
	tel := setup(t, telemetry.Settings{LogWriter: &log})
	tel.Log.InfoContext(telemetry.WithBang(t.Context(), "t1.b1"), "told", string(conv.BangID), "t1.b1")
	if n := strings.Count(log.String(), string(conv.BangID)); n != 1 {
		t.Errorf("the bang is named %d times in %s", n, log.String())
	}
}

func TestSamplingFollowsTheTable(t *testing.T) {
	const many = 20_000
	share := func(s sdktrace.Sampler, p sdktrace.SamplingParameters) float64 {
		sampled := 0
		for i := range many {
			p.TraceID = traceID(i)
			if s.ShouldSample(p).Decision == sdktrace.RecordAndSample {
				sampled++
			}
		}
		return float64(sampled) / many
	}
	cause := func(v string) sdktrace.SamplingParameters {
		return sdktrace.SamplingParameters{ParentContext: context.Background(), Name: conv.SpanRun, Attributes: append(
			[]attribute.KeyValue{conv.PartitionID.String("slappart0")}, conv.RunCause.String(v))}
	}
	link := func(flags trace.TraceFlags) []trace.Link {
		return []trace.Link{{}, {SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags})}}
	}
	with := func(p sdktrace.SamplingParameters, links []trace.Link) sdktrace.SamplingParameters {
		p.Links = links
		return p
	}

	// Always, until the bucket is empty: it does not refill while the virtual clock stands.
	synctest.Test(t, func(t *testing.T) {
		for _, always := range []sdktrace.SamplingParameters{
			cause(conv.CauseBang), cause(conv.CauseManual), cause(conv.CauseBoot), cause(conv.CauseRetry), cause(conv.CauseChanged),
			{ParentContext: context.Background(), Name: conv.SpanAnomaly},
			{ParentContext: context.Background(), Name: conv.SpanExit},
			{ParentContext: context.Background(), Name: "vow.master.v1.BangService/Bang", Kind: trace.SpanKindServer},
			with(cause(conv.CauseRetry), link(0)),
		} {
			s := telemetry.NewSampler()
			if got := share(s, always); got != float64(telemetry.AlwaysBurst)/many {
				t.Errorf("%s %v: %.4f sampled, want the burst", always.Name, always.Attributes, got)
			}
			<-time.After(time.Second)
			if got := share(s, always); got != float64(telemetry.AlwaysPerSecond)/many {
				t.Errorf("%s %v: %.4f sampled a second later, want the rate", always.Name, always.Attributes, got)
			}
		}
	})
	for name, c := range map[string]struct {
		p    sdktrace.SamplingParameters
		want float64
	}{
		"periodicity":             {cause(conv.CausePeriodicity), 0.02},
		"linked to a sampled one": {with(cause(conv.CausePeriodicity), link(trace.FlagsSampled)), 1},
		"sensing":                 {sdktrace.SamplingParameters{ParentContext: context.Background(), Name: conv.SpanSense}, 0.005},
	} {
		s := telemetry.NewSampler()
		sampled := 0
		for i := range many {
			c.p.TraceID = traceID(i)
			if s.ShouldSample(c.p).Decision == sdktrace.RecordAndSample {
				sampled++
			}
		}
		if got := float64(sampled) / many; got < c.want*0.7 || got > c.want*1.3 {
			t.Errorf("%s: %.4f sampled, want %.4f", name, got, c.want)
		}
	}
	for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} {
		parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags})
		p := cause(conv.CauseBang)
		p.ParentContext = trace.ContextWithSpanContext(context.Background(), parent)
		if got := telemetry.NewSampler().ShouldSample(p).Decision == sdktrace.RecordAndSample; got != parent.IsSampled() {
			t.Errorf("a child of %v is sampled: %v", flags, got)
		}
	}
}

func TestPrometheusShowsExplicitBucketsAndExemplars(t *testing.T) {
	clearEnvironment(t)
	tel := setup(t, telemetry.Settings{})
	ctx, span := tel.Tracer("test").Start(t.Context(), conv.SpanBang)
	conv.ConvergenceDuration.New(tel.Meter("test")).Record(ctx, 130*time.Millisecond,
		conv.BangOrigin.String(conv.OriginPromise), conv.ConvergenceResult.String(conv.ConvergenceConverged))
	conv.BangFanout.New(tel.Meter("test")).Record(ctx, 3)
	foreign, err := tel.Meter("library").Float64Histogram("rpc.server.call.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(5, 7))
	if err != nil {
		t.Fatal(err)
	}
	foreign.Record(ctx, 0.2)

	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text")
	w := httptest.NewRecorder()
	tel.Prometheus.ServeHTTP(w, r)
	body := w.Body.String()
	for _, want := range []string{
		`le="0.001"`, `le="600.0"`, `vow_bang_origin="promise"`, `trace_id="` + span.SpanContext().TraceID().String(), `vow_bang_fanout`, `le="10000.0"`,
	} {
		if !strings.Contains(body, want) || strings.Contains(body, `le="7.0"`) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestAMetricsLabelsNeverVary(t *testing.T) {
	clearEnvironment(t)
	reader := sdkmetric.NewManualReader()
	tel := setup(t, telemetry.Settings{MetricReader: reader})
	requests := conv.BangRequests.New(tel.Meter("test"))
	requests.Add(t.Context(), 1) // none
	requests.Add(t.Context(), 1, conv.BangOrigin.String(conv.OriginManual), conv.TreeID.String("t1"))
	requests.Add(t.Context(), 1, conv.BangOrigin.String("t1.b7"), conv.BangOutcome.String(conv.OutcomeJoined))
	registration := conv.PartitionCount.Observe(tel.Meter("test"), func(_ context.Context, observe conv.Observer) {
		observe(4, conv.Colour.String(conv.ColourGreen), conv.ColourReason.String(conv.ReasonGood))
	})
	defer registration.Unregister()

	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := 0
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				points++
				if p.Attributes.Len() != 2 || !p.Attributes.HasValue(conv.BangOrigin) || !p.Attributes.HasValue(conv.BangOutcome) {
					t.Errorf("a point has the labels %v", p.Attributes.ToSlice())
				}
				if v, _ := p.Attributes.Value(conv.BangOrigin); v.AsString() == "t1.b7" {
					t.Error("an undeclared value became a label")
				}
			}
		case metricdata.Gauge[int64]:
			points++
			if data.DataPoints[0].Value != 4 {
				t.Errorf("the gauge is %d", data.DataPoints[0].Value)
			}
		}
	}
	if want := 4*6 + 3 + 1; points != want { // every combination from the start, the three above, the gauge
		t.Errorf("%d points, want %d", points, want)
	}
}

func TestBadEnvironmentIsRefusedByName(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_TRACES_EXPORTER": "carrier-pigeon",
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			t.Setenv(name, value)
			_, err := telemetry.Setup(t.Context(), telemetry.Config{}, telemetry.Settings{Service: "x", Shared: true})
			if err == nil || !strings.Contains(err.Error(), value) {
				t.Errorf("got %v", err)
			}
		})
	}
	clearEnvironment(t)
	if _, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "loud"}, telemetry.Settings{Service: "x", Shared: true}); err == nil ||
		!strings.Contains(err.Error(), "--log-level") {
		t.Errorf("got %v", err)
	}
}

func TestWithAnEndpointSpansAndLogsAreSentAndShutdownIsBounded(t *testing.T) {
	clearEnvironment(t)
	paths := make(chan string, 16)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	tel := setup(t, telemetry.Settings{})
	ctx, span := tel.Tracer("test").Start(t.Context(), conv.SpanBang)
	tel.Log.InfoContext(ctx, "hello")
	span.End()
	if !tel.Recording() {
		t.Error("it does not record")
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(paths)
	seen := map[string]bool{}
	for p := range paths {
		seen[p] = true
	}
	if !seen["/v1/traces"] || !seen["/v1/logs"] || seen["/v1/metrics"] {
		t.Errorf("the collector got %v", seen)
	}
}

func TestAProgramEndsInOrderAlthoughNobodyReceivesItsTelemetry(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusServiceUnavailable) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the caller left
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			collector := httptest.NewServer(answer)
			defer func() {
				collector.CloseClientConnections() // an export that was given up goes on by itself for a while
				collector.Close()
			}()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			var said strings.Builder
			tel := setup(t, telemetry.Settings{LogWriter: &said})
			_, span := tel.Tracer("test").Start(t.Context(), conv.SpanBang)
			span.End()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // the end's own deadline; FlushWithin is no shorter
			defer cancel()
			if err := tel.Stop(ctx); err != nil {
				t.Errorf("it did not end in order: %v", err)
			}
			if !strings.Contains(said.String(), "the last telemetry was not sent") {
				t.Errorf("it said %q", said.String())
			}
		})
	}
}

func BenchmarkSpanWithoutAnExporter(b *testing.B) {
	tel, err := telemetry.Setup(b.Context(), telemetry.Config{}, telemetry.Settings{Service: "x", Shared: true})
	if err != nil {
		b.Fatal(err)
	}
	tracer := tel.Tracer("test")
	ctx, _ := tracer.Start(b.Context(), conv.SpanBang)
	for b.Loop() {
		_, span := tracer.Start(ctx, conv.SpanRun, trace.WithAttributes(conv.RunID.String("r1")))
		span.End()
	}
}

func TestADisabledSDKEmitsNothingButTheLogAndPassesOnWhatItIsGiven(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	var log bytes.Buffer
	tel := setup(t, telemetry.Settings{LogWriter: &log})
	if _, span := tel.Tracer("test").Start(t.Context(), conv.SpanBang); tel.Recording() || span.SpanContext().IsValid() {
		t.Errorf("it makes ids: %+v", span.SpanContext())
	}
	given := telemetry.Carrier{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	ctx, _ := tel.Tracer("test").Start(telemetry.Extract(t.Context(), given), conv.SpanBang)
	if passed := telemetry.Inject(ctx); passed.Traceparent != given.Traceparent {
		t.Errorf("it passes %q on", passed.Traceparent)
	}
	conv.LimitHits.New(tel.Meter("test")).Add(t.Context(), 1)
	answer := httptest.NewRecorder()
	tel.Prometheus.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("/metrics answers %d: %s", answer.Code, answer.Body)
	}
	tel.Log.InfoContext(ctx, "hello")
	if !strings.Contains(log.String(), "0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("the log is %q", log.String())
	}
}

// A counter that appears with its first event has no increase that Prometheus could see.
func TestACounterWithEnumeratedLabelsIsThereBeforeItsFirstEvent(t *testing.T) {
	tel := setup(t, telemetry.Settings{})
	conv.BangRequests.New(tel.Meter("test"))
	conv.BangFolded.New(tel.Meter("test"))
	conv.LimitHits.New(tel.Meter("test")) // the names of limits are not enumerated
	answer := httptest.NewRecorder()
	tel.Prometheus.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	zeros, page := 0, answer.Body.String()
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "vow_bang_requests_total{") && strings.HasSuffix(line, " 0\n") {
			zeros++
		}
	}
	if want := 4 * 6; zeros != want {
		t.Errorf("%d combinations of origin and outcome are shown, want %d", zeros, want)
	}
	if !strings.Contains(page, "\nvow_bang_folded_total") || strings.Contains(page, "\nvow_limit_hits_total") {
		t.Errorf("want folded bangs and no limit:\n%s", page)
	}
}
