package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/sim/fleet"
)

// vocabulary is every name that the stories emitted.
type vocabulary struct {
	mu         sync.Mutex
	spans      map[string]bool
	attributes map[string]bool
	metrics    map[string]map[string]bool // name -> sets of label keys
	events     map[string]map[string]bool // name -> attributes
}

func newVocabulary() *vocabulary {
	return &vocabulary{spans: map[string]bool{}, attributes: map[string]bool{}, metrics: map[string]map[string]bool{}, events: map[string]map[string]bool{}}
}

// hear takes what one story emitted.
func (v *vocabulary) hear(t *testing.T, f *fleet.Fleet) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range f.Recorder.Spans() {
		ours := false
		for key := range s.Attributes {
			ours = ours || strings.HasPrefix(key, "vow.")
			v.attributes[key] = true
		}
		if _, rpc := s.Attributes["rpc.system"]; !rpc && (ours || strings.HasPrefix(s.Service, "svc-")) {
			v.spans[family(s.Name)] = v.spans[family(s.Name)] || !isCall(s.Name)
		}
	}
	points, err := f.Points()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if !p.Gauge && p.Value == 0 { // counters begin with zeros
			continue
		}
		add(v.metrics, p.Metric, p.Keys)
	}
	for _, e := range f.Recorder.Events() {
		add(v.events, e.Name, "")
		for key := range e.Fields {
			if strings.HasPrefix(key, "vow.") {
				v.attributes[key] = true
			}
		}
	}
}

func add(to map[string]map[string]bool, name, what string) {
	if to[name] == nil {
		to[name] = map[string]bool{}
	}
	to[name][what] = true
}

// isCall tells the client and server spans of RPCs: they are named by the conventions.
func isCall(name string) bool { return strings.Contains(name, "/") }

// family is the declared name of a span: "step profile" is one of "step {name}".
func family(name string) string {
	for prefix, declared := range map[string]string{
		conv.StepSpan(""): conv.StepSpan("{name}"), conv.PartSpan(""): conv.PartSpan("{name}"), conv.ExecSpan(""): conv.ExecSpan("{command}"),
	} {
		if strings.HasPrefix(name, prefix) {
			return declared
		}
	}
	if strings.HasSuffix(name, conv.InstallSpan("")) {
		return conv.InstallSpan("{step}")
	}
	return name
}

// unheard are declared names that no story makes happen, each with where it is tested instead.
func unheard(name string) bool {
	switch name {
	case conv.LimitHits.Name, conv.EventLimitHit: // limits are far above what stories do: svc-master/app, svc-node/app
		return true
	}
	return false
}

// compare holds what was emitted against what is declared, both ways.
func (v *vocabulary) compare(t *testing.T) {
	t.Helper()
	all := conv.All()
	v.compareSpans(t, all.Spans)
	v.compareMetrics(t, all.Metrics)
	v.compareEvents(t, all.Events)
	declared := map[string]bool{}
	for _, a := range all.Attributes {
		declared[string(a.Key)] = true
	}
	for _, key := range slices.Sorted(maps.Keys(v.attributes)) {
		if strings.HasPrefix(key, "vow.") && !declared[key] {
			t.Errorf("attribute %s is emitted and not declared", key)
		}
	}
}

func (v *vocabulary) compareSpans(t *testing.T, spans []conv.Span) {
	t.Helper()
	declared := map[string]bool{}
	for _, s := range spans {
		declared[s.Name] = true
		if !v.spans[s.Name] && !unheard(s.Name) {
			t.Errorf("span %q is declared and no story emits it", s.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.spans)) {
		if v.spans[name] && !declared[name] {
			t.Errorf("span %q is emitted and not declared", name)
		}
	}
}

func (v *vocabulary) compareMetrics(t *testing.T, metrics []conv.Metric) {
	t.Helper()
	declared := map[string]conv.Metric{}
	for _, m := range metrics {
		declared[m.Name] = m
		if v.metrics[m.Name] == nil && !unheard(m.Name) {
			t.Errorf("metric %s is declared and no story emits it", m.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.metrics)) {
		m, ok := declared[name]
		if !ok {
			t.Errorf("metric %s is emitted and not declared", name)
			continue
		}
		var keys []string
		for _, key := range m.Labels {
			keys = append(keys, string(key))
		}
		slices.Sort(keys)
		if got := fmt.Sprint(slices.Sorted(maps.Keys(v.metrics[name]))); got != fmt.Sprintf("[%s]", strings.Join(keys, " ")) {
			t.Errorf("metric %s has the labels %s, want always %v", name, got, keys)
		}
	}
}

func (v *vocabulary) compareEvents(t *testing.T, events []conv.Event) {
	t.Helper()
	declared := map[string]bool{}
	for _, e := range events {
		declared[e.Name] = true
		if v.events[e.Name] == nil && !unheard(e.Name) {
			t.Errorf("event %s is declared and no story emits it", e.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.events)) {
		if !declared[name] {
			t.Errorf("event %s is emitted and not declared", name)
		}
	}
}
