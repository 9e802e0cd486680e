package main

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Kinds of panels, as Grafana calls them.
const (
	kindTime    = "timeseries"
	kindStat    = "stat"
	kindTable   = "table"
	kindHeatmap = "heatmap"
	kindTrace   = "traces"
)

// Uids of data sources (tilt/observability/grafana/provisioning/datasources).
const (
	sourcePrometheus = "prometheus"
	sourceTraces     = "traces"
)

// name is what a metric is called at Prometheus: dots become underscores, a unit and a counter are told.
func name(m conv.Metric) string {
	n := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Kind {
	case conv.KindDuration:
		return n + "_seconds"
	case conv.KindCounter:
		return n + "_total"
	default:
		return n
	}
}

// label is what an attribute is called at Prometheus.
func label(key attribute.Key) string { return strings.ReplaceAll(string(key), ".", "_") }

func labels(keys []attribute.Key) string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = label(key)
	}
	return strings.Join(all, ", ")
}

func legend(keys []attribute.Key) string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = "{{" + label(key) + "}}"
	}
	return strings.Join(all, " ")
}

// graph is a panel over time.
func graph(title, unit string, queries ...query) panel {
	return panel{title: title, kind: kindTime, unit: unit, source: sourcePrometheus, queries: queries}
}

// stat is a panel of one number each.
func stat(title, unit, expr string) panel {
	return panel{title: title, kind: kindStat, unit: unit, source: sourcePrometheus, queries: []query{{text: expr, legend: "__auto"}}}
}

// rate is how often a counter counts, by some of its labels.
func rate(title string, m conv.Metric, by ...attribute.Key) panel {
	return graph(title, "ops", query{text: sum(fmt.Sprintf("rate(%s[$__rate_interval])", name(m)), by), legend: legendOf(m, by)}).saying(m)
}

// counted is how often a histogram counts, by some of its labels.
func counted(title string, m conv.Metric, by ...attribute.Key) panel {
	return graph(title, "ops", query{text: sum(fmt.Sprintf("rate(%s_count[$__rate_interval])", name(m)), by), legend: legendOf(m, by)}).saying(m)
}

// gauge shows a gauge of which each replica knows its own share: summed.
func gauge(title string, m conv.Metric, by ...attribute.Key) panel {
	return graph(title, "short", query{text: sum(name(m), by), legend: legendOf(m, by)}).saying(m)
}

// census shows a gauge of which each replica counts all: the most of them.
func census(title string, m conv.Metric, by ...attribute.Key) panel {
	return graph(title, "short", query{text: fmt.Sprintf("max by (%s) (%s)", labels(by), name(m)), legend: legend(by)}).saying(m)
}

// quantiles shows the median and the 95th and 99th of a hundred of a histogram; exemplars lead to traces.
func quantiles(title, unit string, m conv.Metric) panel {
	p := graph(title, unit).saying(m)
	for _, q := range []string{"0.5", "0.95", "0.99"} {
		p.queries = append(p.queries, query{text: quantile(q, name(m), nil), legend: "q" + q})
	}
	p.exemplars = true
	return p
}

// slowest shows the 95th of a hundred of a histogram by labels.
func slowest(title string, metric string, by ...string) panel {
	legends := make([]string, len(by))
	for i, l := range by {
		legends[i] = "{{" + l + "}}"
	}
	p := graph(title, "s", query{text: quantile("0.95", metric, by), legend: strings.Join(legends, " ")})
	p.exemplars = true
	return p
}

// heatmap shows all buckets of a histogram of seconds.
func heatmap(title string, m conv.Metric) panel {
	return panel{
		title: title, description: m.Meaning, kind: kindHeatmap, unit: "s", source: sourcePrometheus, exemplars: true,
		queries: []query{{text: fmt.Sprintf("sum by (le) (increase(%s_bucket[$__rate_interval]))", name(m)), legend: "{{le}}"}},
	}
}

// traces lists traces of a service with a span of a name and attributes.
func traces(title, service, operation, tags string) panel {
	return panel{title: title, kind: kindTable, source: sourceTraces, queries: []query{{search: &search{service, operation, tags}}}}
}

// trace draws one.
func trace(title, id string) panel {
	return panel{title: title, kind: kindTrace, source: sourceTraces, queries: []query{{text: id}}}
}

// orZero shows a line of zeros for what is not there before it happens.
func (p panel) orZero() panel {
	for i := range p.queries {
		p.queries[i].text += " or vector(0)"
	}
	return p
}

func (p panel) saying(m conv.Metric) panel {
	p.description = m.Meaning
	return p
}

func sum(expr string, by []attribute.Key) string {
	if len(by) == 0 {
		return "sum(" + expr + ")"
	}
	return fmt.Sprintf("sum by (%s) (%s)", labels(by), expr)
}

func legendOf(m conv.Metric, by []attribute.Key) string {
	if len(by) == 0 {
		return m.Name
	}
	return legend(by)
}

func quantile(q, metric string, by []string) string {
	return fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s_bucket[$__rate_interval])))", q, strings.Join(append([]string{"le"}, by...), ", "), metric)
}
