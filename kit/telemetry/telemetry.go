package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Config is what a user sets, besides the OTEL_* environment.
type Config struct {
	LogLevel  string `help:"Least level of what is logged: ${enum}." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"Format of the log: ${enum}." enum:"json,text" default:"json"`
}

// Settings is what a developer passes.
type Settings struct {
	// Service is service.name, for example "svc-master".
	Service string
	// Version is service.version.
	Version string
	// InstanceID is service.instance.id; empty makes a random one.
	InstanceID string
	// Shared says that another Telemetry of this process has the Go runtime metrics and the profiler, which exist
	// once in a process.
	Shared bool

	// LogWriter gets the log; nil means standard error.
	LogWriter io.Writer
	// SpanExporter gets every sampled span, synchronously, instead of what the environment configures.
	SpanExporter sdktrace.SpanExporter
	// SpanProcessors see spans beside the exporter; one is enough to make spans record.
	SpanProcessors []sdktrace.SpanProcessor
	// MetricReader reads the metrics beside Prometheus, instead of what the environment configures.
	MetricReader sdkmetric.Reader
	// LogExporter gets the log records, synchronously, instead of what the environment configures.
	LogExporter sdklog.Exporter
	// Sampler replaces the rules of NewSampler.
	Sampler sdktrace.Sampler
	// IDGenerator replaces random ids, for replays. It need not know of WithSpanID.
	IDGenerator sdktrace.IDGenerator
}

// Telemetry is what one service emits with.
type Telemetry struct {
	// Log is JSON (or text) with the ids of its context; never nil.
	Log *slog.Logger
	// Prometheus serves the metrics, with exemplars.
	Prometheus http.Handler
	// Propagator is W3C trace context and baggage.
	Propagator propagation.TextMapPropagator
	// Service and Version are what emits, as Settings has them; empty of Disabled.
	Service, Version string

	tracers   trace.TracerProvider
	meters    metric.MeterProvider
	recording bool

	stops    []func(context.Context) error // Shutdown takes them in reverse: logs come last
	stopOnce sync.Once
	stopErr  error
}

// Setup makes the telemetry of a service. Errors are about the environment (an unknown exporter, a bad URL); an
// endpoint that does not answer is not an error.
func Setup(ctx context.Context, cfg Config, s Settings) (*Telemetry, error) {
	if s.Service == "" {
		return nil, errors.New("cannot set up telemetry: the service has no name")
	}
	res, err := newResource(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("cannot set up telemetry: %w", err)
	}
	t := &Telemetry{Propagator: Propagator(), Service: s.Service, Version: s.Version}
	for _, step := range []func() error{
		func() error { return t.setupLogs(ctx, cfg, s, res) },
		func() error { return t.setupTraces(ctx, s, res) },
		func() error { return t.setupMetrics(ctx, s, res) },
		func() error { return t.setupProfiles(s) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot set up telemetry: %w", err), t.Shutdown(ctx))
		}
	}
	return t, nil
}

// Disabled is a Telemetry that emits nothing: for tests, and what the rest of kit uses when it is given nil. It makes
// no ids either, and passes on those it is given: a client without telemetry must not decide, by an unsampled id of its
// own, that the story it sets off is not seen.
func Disabled() *Telemetry {
	return &Telemetry{
		Log:        slog.New(slog.DiscardHandler),
		Prometheus: http.NotFoundHandler(),
		Propagator: Propagator(),
		tracers:    tracenoop.NewTracerProvider(),
		meters:     metricnoop.NewMeterProvider(),
	}
}

// OrDisabled is t, or Disabled when t is nil.
func OrDisabled(t *Telemetry) *Telemetry {
	if t == nil {
		return Disabled()
	}
	return t
}

// Tracer makes spans; scope is the import path of the package that does, below the module: "svc-master/app".
func (t *Telemetry) Tracer(scope string) trace.Tracer {
	return t.tracers.Tracer(scope, trace.WithSchemaURL(conv.SchemaURL))
}

// Meter makes instruments; scope as in Tracer.
func (t *Telemetry) Meter(scope string) metric.Meter {
	return t.meters.Meter(scope, metric.WithSchemaURL(conv.SchemaURL))
}

// TracerProvider is for instrumentation libraries.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// MeterProvider is for instrumentation libraries.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// Recording tells whether spans go anywhere; when not, they still have ids.
func (t *Telemetry) Recording() bool { return t.recording }

// Event emits a state change: a log record whose name is one of the Event names of conv.
func (t *Telemetry) Event(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	if !t.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	fields := make([]slog.Attr, 0, len(attrs)+1)
	fields = append(fields, slog.String(string(conv.EventName), name))
	for _, a := range attrs {
		fields = append(fields, field(a))
	}
	t.Log.LogAttrs(ctx, slog.LevelInfo, name, fields...)
}

// field is an attribute in the log.
func field(a attribute.KeyValue) slog.Attr {
	switch a.Value.Type() {
	case attribute.STRING:
		return slog.String(string(a.Key), a.Value.AsString())
	case attribute.INT64:
		return slog.Int64(string(a.Key), a.Value.AsInt64())
	default:
		return slog.Any(string(a.Key), a.Value.AsInterface())
	}
}

// Shutdown sends what is left, by the deadline of ctx, and ends all background work. Further calls return the first
// result. A program ends with Stop.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.stopOnce.Do(func() {
		var errs []error
		for i := len(t.stops) - 1; i >= 0; i-- {
			errs = append(errs, t.stops[i](ctx))
		}
		t.stopErr = errors.Join(errs...)
	})
	return t.stopErr
}

// FlushWithin bounds how long Stop waits for who receives telemetry.
const FlushWithin = 5 * time.Second

// Stop is Shutdown for a program that ends, within FlushWithin. It never fails: what could not be sent is said in the log. A receiver that is away must not
// make an orderly end look like a crash to systemd or Kubernetes, nor keep what is stopped after it waiting until it is killed.
func (t *Telemetry) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, FlushWithin)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		t.Log.WarnContext(ctx, "the last telemetry was not sent", "error", err)
	}
	return nil
}

func (t *Telemetry) onShutdown(stop func(context.Context) error) { t.stops = append(t.stops, stop) }

func orStderr(w io.Writer) io.Writer {
	if w == nil {
		return os.Stderr
	}
	return w
}
