package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Point is one series: the value of a counter, sum or gauge, or the count of a histogram.
type Point struct {
	Service string
	Metric  string
	Labels  string
	// Keys are the label keys, sorted.
	Keys  string
	Gauge bool
	Value int64
}

// points reads every metric of vow, summed over all processes of a service; of ended ones there are no gauges.
func points(all []Scrape) map[string]Point {
	found := map[string]Point{}
	var service string
	var ended bool
	add := func(name string, set attribute.Set, gauge bool, value int64) {
		if gauge && ended {
			return
		}
		var labels, keys []string
		for _, kv := range set.ToSlice() {
			keys = append(keys, string(kv.Key))
			if text := kv.Value.String(); text != "" {
				labels = append(labels, strings.TrimPrefix(string(kv.Key), "vow.")+"="+text)
			}
		}
		p := Point{Service: service, Metric: name, Labels: strings.Join(labels, " "), Keys: strings.Join(keys, " "), Gauge: gauge}
		id := p.Metric + " " + p.Labels + " " + p.Service
		p.Value = found[id].Value + value
		found[id] = p
	}
	for _, resource := range all {
		service, ended = resource.Service, resource.Ended
		for _, scope := range resource.Metrics.ScopeMetrics {
			for _, m := range scope.Metrics {
				if !strings.HasPrefix(m.Name, "vow.") {
					continue
				}
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					for _, p := range data.DataPoints {
						add(m.Name, p.Attributes, !data.IsMonotonic, p.Value)
					}
				case metricdata.Gauge[int64]:
					for _, p := range data.DataPoints {
						add(m.Name, p.Attributes, true, p.Value)
					}
				case metricdata.Histogram[float64]:
					for _, p := range data.DataPoints {
						add(m.Name, p.Attributes, false, int64(p.Count))
					}
				case metricdata.Histogram[int64]:
					for _, p := range data.DataPoints {
						add(m.Name, p.Attributes, false, int64(p.Count))
					}
				}
			}
		}
	}
	return found
}

// Points is every series of vow now.
func (f *Fleet) Points() (map[string]Point, error) {
	all, err := f.Recorder.Metrics()
	return points(all), err
}

// Metrics tells what was counted since a reading, and what gauges show that are not zero.
func (f *Fleet) Metrics(since map[string]Point) (string, error) {
	now, err := f.Points()
	if err != nil {
		return "", err
	}
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(now)) {
		p := now[id]
		if !p.Gauge {
			p.Value -= since[id].Value
		}
		if p.Value == 0 {
			continue
		}
		sign := "+"
		if p.Gauge {
			sign = "= "
		}
		lines = append(lines, fmt.Sprintf("%s %s{%s} %s%d", p.Service, p.Metric, p.Labels, sign, p.Value))
	}
	return strings.Join(lines, "\n") + "\n", nil
}
