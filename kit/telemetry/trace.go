package telemetry

import (
	"context"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

func (t *Telemetry) setupTraces(ctx context.Context, s Settings, res *resource.Resource) error {
	if disabled() && s.SpanExporter == nil && len(s.SpanProcessors) == 0 {
		t.tracers = tracenoop.NewTracerProvider()
		return nil
	}
	sampler := s.Sampler
	if sampler == nil {
		fromEnv, err := samplerFromEnv()
		if err != nil {
			return err
		}
		if sampler = fromEnv; sampler == nil {
			sampler = NewSampler()
		}
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sampler),
		sdktrace.WithIDGenerator(newIDGenerator(s.IDGenerator)),
		sdktrace.WithSpanProcessor(baggageProcessor{}),
	}
	switch {
	case s.SpanExporter != nil:
		options = append(options, sdktrace.WithSyncer(s.SpanExporter))
		t.recording = true
	case exporting(signalTraces):
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return exporterError(signalTraces, err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
		t.recording = true
	}
	for _, p := range s.SpanProcessors {
		options = append(options, sdktrace.WithSpanProcessor(p))
		t.recording = true
	}
	if !t.recording {
		t.tracers = newIDProvider(newIDGenerator(s.IDGenerator), sampler)
		return nil
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.tracers = provider
	t.onShutdown(provider.Shutdown)
	return nil
}

// baggageProcessor puts the ids that are carried as baggage on every span.
type baggageProcessor struct{}

func (baggageProcessor) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	s.SetAttributes(storyOf(parent)...)
}
func (baggageProcessor) OnEnd(sdktrace.ReadOnlySpan)      {}
func (baggageProcessor) Shutdown(context.Context) error   { return nil }
func (baggageProcessor) ForceFlush(context.Context) error { return nil }
