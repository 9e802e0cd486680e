//go:build e2e

package real

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry/story"
)

// startBackend starts a program that was built for these tests, whose path is in a variable, until the end of the test.
func startBackend(t *testing.T, variable string, env []string, args ...string) {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s names no program: make e2e-collector, make e2e-jaeger", variable)
	}
	log := &bytes.Buffer{}
	command := exec.Command(path, args...)
	command.Stdout, command.Stderr, command.Env = log, log, append(os.Environ(), env...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait() // it says why in its log
		if t.Failed() {
			t.Logf("%s: %s", path, log)
		}
	})
}

// get returns the body of a page, and whether there is one.
func get(page string) ([]byte, bool) {
	response, err := (&http.Client{Timeout: 10 * time.Second}).Get(page)
	if err != nil {
		return nil, false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return body, err == nil && response.StatusCode == http.StatusOK
}

// shipped is the path of a file of tilt/observability.
func shipped(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(observability, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startCollector starts the Collector with the shipped configuration and returns its OTLP endpoint and where Prometheus scrapes it.
func startCollector(t *testing.T, jaeger string, more ...string) (endpoint, metrics string) {
	t.Helper()
	at := freeAddresses(t, 4)
	args := []string{"--config=" + shipped(t, "collector.yaml")}
	for _, file := range more {
		args = append(args, "--config="+file)
	}
	startBackend(t, "VOW_COLLECTOR", []string{
		"OTLP_HTTP_ADDRESS=" + at[0], "OTLP_GRPC_ADDRESS=" + at[1], "PROMETHEUS_ADDRESS=" + at[2], "HEALTH_ADDRESS=" + at[3], "JAEGER_ENDPOINT=" + jaeger,
	}, args...)
	await(t, "the Collector is healthy", func() bool { _, ok := get("http://" + at[3]); return ok })
	return "http://" + at[0], "http://" + at[2] + "/metrics"
}

// TestACollectorTakesADemoAndHasTheTraceOfItsBang sends a demo to a Collector with the shipped configuration, with a file in the place of Jaeger.
func TestACollectorTakesADemoAndHasTheTraceOfItsBang(t *testing.T) {
	dir := t.TempDir()
	file, overlay := filepath.Join(dir, "traces.json"), filepath.Join(dir, "overlay.yaml")
	if err := os.WriteFile(overlay, []byte("exporters:\n  file:\n    path: "+file+"\n    flush_interval: 100ms\nservice:\n  pipelines:\n    traces:\n      exporters: [file]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint, metrics := startCollector(t, "127.0.0.1:1", overlay)
	id := demo(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint)
	var spans []story.Span
	await(t, "the end of the story is in the file", func() bool {
		spans = fileSpans(t, file)
		drawn := story.Assemble(spans)[id]
		return drawn != nil && len(drawn.Orphans) == 0 && strings.Contains(drawn.Draw(), "converge (svc-master)")
	})
	expectTheStory(t, spans, id)
	page, ok := get(metrics)
	if !ok || !bytes.Contains(page, []byte("\nvow_run_duration_seconds_count{")) {
		t.Errorf("no metrics of the node at the Collector:\n%s", page)
	}
	if bytes.Contains(page, []byte("vow_bang_requests_total{")) {
		t.Error("metrics of svc-master are at the Collector as well: Prometheus would count them twice")
	}
}

// attribute is one as OTLP and Jaeger write it in JSON.
type attribute struct {
	Key   string
	Value json.RawMessage
}

// fileSpans reads what the Collector's file exporter wrote: OTLP as JSON, an export a line. A line that is not complete yet is left.
func fileSpans(t *testing.T, path string) (spans []story.Span) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var export struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes []attribute }
				ScopeSpans []struct {
					Spans []struct {
						TraceID, SpanID, ParentSpanID, Name string
						Kind                                int
						Attributes                          []attribute
					}
				}
			}
		}
		if json.Unmarshal(lines.Bytes(), &export) != nil {
			return spans
		}
		for _, r := range export.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					spans = append(spans, story.Span{
						Trace: s.TraceID, ID: s.SpanID, Parent: s.ParentSpanID, Name: s.Name, Kind: trace.SpanKind(s.Kind),
						Service: texts(r.Resource.Attributes)["service.name"], Attributes: texts(s.Attributes),
					})
				}
			}
		}
	}
	return spans
}

func texts(attributes []attribute) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		var otlp struct{ StringValue string }
		if json.Unmarshal(a.Value, &otlp) == nil {
			all[a.Key] = otlp.StringValue
		} else {
			all[a.Key] = strings.Trim(string(a.Value), `"`) // Jaeger's
		}
	}
	return all
}

// TestAJaegerTakesADemoAndHasTheTraceOfItsBang sends a demo to a Jaeger, and asks its query API for the trace and for what the dashboards search.
func TestAJaegerTakesADemoAndHasTheTraceOfItsBang(t *testing.T) {
	at := freeAddresses(t, 3)
	startBackend(t, "VOW_JAEGER", []string{"JAEGER_OTLP_ADDRESS=" + at[0], "JAEGER_QUERY_ADDRESS=" + at[1], "JAEGER_QUERY_GRPC_ADDRESS=" + at[2]}, "--config="+shipped(t, "jaeger.yaml"))
	api := "http://" + at[1] + "/api/"
	await(t, "Jaeger answers", func() bool { _, ok := get(api + "services"); return ok })
	id := demo(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+at[0], "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none")
	var spans []story.Span
	await(t, "the end of the story is at Jaeger", func() bool {
		spans = jaegerSpans(t, api+"traces/"+id)
		drawn := story.Assemble(spans)[id]
		return drawn != nil && len(drawn.Orphans) == 0 && strings.Contains(drawn.Draw(), "converge (svc-master)")
	})
	expectTheStory(t, spans, id)
	searches := 0
	for panel, search := range panelSearches(t) {
		for _, s := range spans { // the tree and the bang of the story
			for name, key := range map[string]string{"$tree": "tree", "$bang": "bang"} {
				if value := s.Attributes["vow"+"."+key+".id"]; value != "" {
					search.Tags = strings.ReplaceAll(search.Tags, name, value)
				}
			}
		}
		if strings.Contains(search.Tags, "failure") {
			continue // no run of the demo fails
		}
		searches++
		key, value, _ := strings.Cut(search.Tags, "=")
		tags, _ := json.Marshal(map[string]string{key: value}) // strings
		found := jaegerSpans(t, api+"traces?"+url.Values{"service": {search.Service}, "operation": {search.Operation}, "tags": {string(tags)}, "limit": {"50"}, "lookback": {"1h"}}.Encode())
		if len(found) == 0 {
			t.Errorf("%s: no trace of %s, %s with %s", panel, search.Service, search.Operation, search.Tags)
		}
	}
	if searches < 5 {
		t.Errorf("only %d searches", searches)
	}
}

// jaegerSpans reads traces of Jaeger's query API.
func jaegerSpans(t *testing.T, page string) (spans []story.Span) {
	t.Helper()
	body, ok := get(page)
	if !ok {
		return nil
	}
	var answer struct {
		Data []struct {
			Spans []struct {
				TraceID, SpanID, OperationName, ProcessID string
				References                                []struct{ RefType, TraceID, SpanID string }
				Tags                                      []attribute
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	kinds := map[string]trace.SpanKind{"client": trace.SpanKindClient, "server": trace.SpanKindServer}
	for _, one := range answer.Data {
		for _, s := range one.Spans {
			span := story.Span{Trace: s.TraceID, ID: s.SpanID, Name: s.OperationName, Service: one.Processes[s.ProcessID].ServiceName, Attributes: texts(s.Tags)}
			span.Kind = kinds[span.Attributes["span.kind"]]
			for _, r := range s.References {
				if r.RefType == "CHILD_OF" && r.TraceID == s.TraceID {
					span.Parent = r.SpanID
				}
			}
			spans = append(spans, span)
		}
	}
	return spans
}

// search is what a panel asks Jaeger for.
type search struct{ QueryType, Service, Operation, Tags string }

// panelSearches are those of the dashboards, by dashboard and panel.
func panelSearches(t *testing.T) map[string]search {
	t.Helper()
	found := map[string]search{}
	eachTarget(t, func(panel string, n int, target search) {
		if target.QueryType == "search" {
			found[fmt.Sprint(panel, ", ", n)] = target
		}
	})
	return found
}
