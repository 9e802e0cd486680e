package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

func (t *Telemetry) setupLogs(ctx context.Context, cfg Config, s Settings, res *resource.Resource) error {
	var level slog.Level
	if cfg.LogLevel != "" {
		if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
			return fmt.Errorf("cannot use --log-level=%q: want debug, info, warn or error", cfg.LogLevel)
		}
	}
	options := &slog.HandlerOptions{Level: level}
	var local slog.Handler
	switch cfg.LogFormat {
	case "", "json":
		local = slog.NewJSONHandler(orStderr(s.LogWriter), options)
	case "text":
		local = slog.NewTextHandler(orStderr(s.LogWriter), options)
	default:
		return fmt.Errorf("cannot use --log-format=%q: want json or text", cfg.LogFormat)
	}
	local = local.WithAttrs([]slog.Attr{slog.String("service", s.Service)})
	var handler slog.Handler = contextHandler{Handler: local, traced: true}

	var processor sdklog.Processor
	switch {
	case s.LogExporter != nil:
		processor = sdklog.NewSimpleProcessor(s.LogExporter)
	case exporting(signalLogs):
		exporter, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return exporterError(signalLogs, err)
		}
		processor = sdklog.NewBatchProcessor(exporter)
	}
	if processor != nil {
		provider := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(processor))
		t.onShutdown(provider.Shutdown)
		bridge := otelslog.NewHandler(s.Service, otelslog.WithLoggerProvider(provider), otelslog.WithSchemaURL(conv.SchemaURL))
		handler = slog.NewMultiHandler(handler, contextHandler{Handler: atLeast{bridge, level}})
	}
	t.Log = slog.New(handler)
	return nil
}

// contextHandler adds the ids of the context to every record.
type contextHandler struct {
	slog.Handler
	// traced adds trace_id and span_id; the OpenTelemetry bridge has fields of its own for them.
	traced bool
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	var ids []slog.Attr
	if h.traced {
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			ids = append(ids, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
		}
	}
	for _, a := range storyOf(ctx) {
		if !has(r, string(a.Key)) { // a key twice in one object is not JSON that everybody reads
			ids = append(ids, slog.String(string(a.Key), a.Value.AsString()))
		}
	}
	if len(ids) > 0 {
		r = r.Clone()
		r.AddAttrs(ids...)
	}
	return h.Handler.Handle(ctx, r)
}

// has tells whether a record has an attribute already.
func has(r slog.Record, key string) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs), h.traced}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name), h.traced}
}

// atLeast applies the level to a handler that has none.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
