package telemetry

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

func (t *Telemetry) setupMetrics(ctx context.Context, s Settings, res *resource.Resource) error {
	if disabled() && s.MetricReader == nil {
		t.meters, t.Prometheus = metricnoop.NewMeterProvider(), http.NotFoundHandler()
		return nil
	}
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return err
	}
	options := []sdkmetric.Option{
		sdkmetric.WithResource(res),
		sdkmetric.WithReader(exporter),
		sdkmetric.WithView(views()...),
	}
	switch {
	case s.MetricReader != nil:
		options = append(options, sdkmetric.WithReader(s.MetricReader))
	case exporting(signalMetrics):
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return exporterError(signalMetrics, err)
		}
		options = append(options, sdkmetric.WithReader(reader))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.meters = provider
	t.onShutdown(provider.Shutdown)
	t.Prometheus = promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, EnableOpenMetrics: true})
	if s.Shared {
		return nil
	}
	return runtime.Start(runtime.WithMeterProvider(provider))
}

// views give every histogram explicit buckets, whoever made it: the libraries' own differ from ours and each other,
// and a Prometheus 2.42 scrape shows no exponential ones.
func views() []sdkmetric.View {
	byUnit := func(unit string, bounds []float64) sdkmetric.View {
		return sdkmetric.NewView(
			sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram, Unit: unit},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds}},
		)
	}
	all := []sdkmetric.View{byUnit("s", conv.DurationBuckets())}
	units := map[string]bool{}
	for _, m := range conv.Metrics() {
		if m.Kind == conv.KindDistribution && !units[m.Unit] {
			units[m.Unit] = true
			all = append(all, byUnit(m.Unit, conv.CountBuckets()))
		}
	}
	return all
}
