package conv

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// DurationBuckets are the explicit bounds of histograms of seconds, 1 ms to 10 min, finest around the SLO of well
// under a second.
func DurationBuckets() []float64 {
	return []float64{
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
	}
}

// CountBuckets are the explicit bounds of histograms of counts.
func CountBuckets() []float64 {
	return []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
}

type (
	// DurationMetric declares a histogram of seconds.
	DurationMetric struct{ Metric }
	// DistributionMetric declares a histogram of counts.
	DistributionMetric struct{ Metric }
	// CounterMetric declares a counter.
	CounterMetric struct{ Metric }
	// UpDownCounterMetric declares a sum that may fall.
	UpDownCounterMetric struct{ Metric }
	// GaugeMetric declares a value that is read when it is scraped.
	GaugeMetric struct{ Metric }
)

// Duration is an instrument made from a DurationMetric.
type Duration struct {
	labels     *labels
	instrument metric.Float64Histogram
}

// New makes the instrument. The names here are valid by a test, which is the only error a meter can have.
func (d DurationMetric) New(m metric.Meter) Duration {
	h, _ := m.Float64Histogram(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.Meaning))
	return Duration{d.labels(), h}
}

// Record adds a duration; the trace of ctx becomes its exemplar.
func (d Duration) Record(ctx context.Context, value time.Duration, kvs ...attribute.KeyValue) {
	d.instrument.Record(ctx, value.Seconds(), d.labels.of(kvs))
}

// Distribution is an instrument made from a DistributionMetric.
type Distribution struct {
	labels     *labels
	instrument metric.Int64Histogram
}

// New makes the instrument.
func (d DistributionMetric) New(m metric.Meter) Distribution {
	h, _ := m.Int64Histogram(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.Meaning))
	return Distribution{d.labels(), h}
}

// Record adds a count.
func (d Distribution) Record(ctx context.Context, value int64, kvs ...attribute.KeyValue) {
	d.instrument.Record(ctx, value, d.labels.of(kvs))
}

// Counter is an instrument made from a CounterMetric.
type Counter struct {
	labels     *labels
	instrument metric.Int64Counter
}

// New makes the instrument. A counter whose labels are all enumerated is there from the start with zeros: Prometheus sees no increase in a
// series that begins with 1, and the first refused bang would alert nobody.
func (c CounterMetric) New(m metric.Meter) Counter {
	i, _ := m.Int64Counter(c.Name, metric.WithUnit(c.Unit), metric.WithDescription(c.Meaning))
	declared := c.labels()
	for _, kvs := range declared.all() {
		i.Add(context.Background(), 0, declared.of(kvs))
	}
	return Counter{declared, i}
}

// Add counts n more.
func (c Counter) Add(ctx context.Context, n int64, kvs ...attribute.KeyValue) {
	c.instrument.Add(ctx, n, c.labels.of(kvs))
}

// UpDownCounter is an instrument made from an UpDownCounterMetric.
type UpDownCounter struct {
	labels     *labels
	instrument metric.Int64UpDownCounter
}

// New makes the instrument.
func (c UpDownCounterMetric) New(m metric.Meter) UpDownCounter {
	i, _ := m.Int64UpDownCounter(c.Name, metric.WithUnit(c.Unit), metric.WithDescription(c.Meaning))
	return UpDownCounter{c.labels(), i}
}

// Add adds n, which may be negative.
func (c UpDownCounter) Add(ctx context.Context, n int64, kvs ...attribute.KeyValue) {
	c.instrument.Add(ctx, n, c.labels.of(kvs))
}

// Observer takes one point of a gauge.
type Observer func(value int64, kvs ...attribute.KeyValue)

// Observe makes the gauge: read is called at every scrape and reports each of its points once. It must not block.
// Unregister the result to end it.
func (g GaugeMetric) Observe(m metric.Meter, read func(ctx context.Context, observe Observer)) metric.Registration {
	declared := g.labels()
	i, _ := m.Int64ObservableGauge(g.Name, metric.WithUnit(g.Unit), metric.WithDescription(g.Meaning))
	r, _ := m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		read(ctx, func(value int64, kvs ...attribute.KeyValue) { o.ObserveInt64(i, value, declared.of(kvs)) })
		return nil
	}, i)
	return r
}

// labels is what a metric declares, with the allowed values of each key, and the sets of labels that its points had so far: making one costs more than adding to it.
type labels struct {
	declared []Attribute

	mu   sync.RWMutex // never held while anything waits
	sets map[point]metric.MeasurementOption
}

// point is the values of the labels of a point, as they are declared.
type point [maxLabels]string

const (
	// maxLabels is how many labels a metric may have.
	maxLabels = 4
	// maxSets bounds what is remembered for a metric; the SDK folds points beyond 2,000 into one.
	maxSets = 1000
)

func (m Metric) labels() *labels {
	declared := make([]Attribute, 0, len(m.Labels))
	all := Attributes()
	for _, key := range m.Labels {
		at := slices.IndexFunc(all, func(a Attribute) bool { return a.Key == key })
		declared = append(declared, all[at])
	}
	return &labels{declared: declared, sets: map[point]metric.MeasurementOption{}}
}

// all is every combination of the declared values; none if a label is not enumerated.
func (l *labels) all() [][]attribute.KeyValue {
	sets := [][]attribute.KeyValue{nil}
	for _, a := range l.declared {
		var longer [][]attribute.KeyValue
		for _, value := range a.Values {
			for _, set := range sets {
				longer = append(longer, append(slices.Clone(set), a.Key.String(value)))
			}
		}
		sets = longer
	}
	return sets
}

// of makes the set of labels of a point: all declared keys, no others, declared values only. A missing label is the
// empty string, which Prometheus treats as absent.
func (l *labels) of(kvs []attribute.KeyValue) metric.MeasurementOption {
	var p point
	for i, a := range l.declared {
		for _, kv := range kvs {
			if kv.Key == a.Key {
				p[i] = kv.Value.String()
			}
		}
		if p[i] != "" && a.Values != nil && !slices.Contains(a.Values, p[i]) {
			p[i] = Other
		}
	}
	l.mu.RLock()
	set, known := l.sets[p]
	l.mu.RUnlock()
	if known {
		return set
	}
	all := make([]attribute.KeyValue, 0, len(l.declared))
	for i, a := range l.declared {
		all = append(all, a.Key.String(p[i]))
	}
	set = metric.WithAttributeSet(attribute.NewSet(all...))
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sets) < maxSets {
		l.sets[p] = set
	}
	return set
}
