package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// write makes the page: a short text about each signal, then its table.
func write(w io.Writer, d conv.Declarations) {
	fmt.Fprintf(w, `# Telemetry

<!-- Generated from kit/telemetry/conv by kit/telemetry/conv/cmd/convdoc. Do not edit. -->

Everything that vow emits: attributes, spans, metrics and events, by the OpenTelemetry semantic conventions
<%s>.
The standard OTEL_* environment variables say where it goes. With no endpoint configured, ids are still made, logged
and passed on, but spans do not record. Metrics are always on /metrics of the admin port, with exemplars.

## Spans

One bang to convergence is one trace while it is prompt: every span below is under the one in the column "under". In
every other case (folded bangs, retries, periodicity, more than 100 targets) a run is a root with links up to its
causes, at most %d. Between the spans listed here are the client and server spans of RPCs and Redis commands.
%s and %s are on every span and log record of the story, carried as baggage between the services.

| span | emitted by | under | meaning | attributes |
|---|---|---|---|---|
`, conv.SchemaURL, telemetry.MaxLinks, code(conv.BangID), code(conv.RunID))
	for _, s := range d.Spans {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Service, codeOrDash(s.Parent), s.Meaning, codes(s.Attributes))
	}

	fmt.Fprintf(w, `
## Sampling

A span follows its parent. A root is sampled if a span it links to is. Otherwise:

| root | sampled |
|---|---|
| bang, manual, boot, changed and retry causes; what was noticed; calls from outside | always, behind a token bucket of %d a second, %d at once |
| periodicity | %g %% |
| periodic sensing and other background work | %g %% |

Metrics and events are never sampled. OTEL_TRACES_SAMPLER replaces these rules.

## Metrics

Histograms have explicit buckets; of seconds: %s. Each metric has exactly the labels listed; an empty one has no value,
and a value outside of those allowed below is shown as %s.

| metric | kind | unit | meaning | labels |
|---|---|---|---|---|
`, telemetry.AlwaysPerSecond, telemetry.AlwaysBurst, telemetry.PeriodicityRatio*100, telemetry.BackgroundRatio*100,
		numbers(conv.DurationBuckets()), code(conv.Other))
	for _, m := range d.Metrics {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, code(m.Unit), m.Meaning, codes(m.Labels))
	}
	fmt.Fprint(w, `
Durations of RPCs (`+"`rpc.server.call.duration`, `rpc.client.call.duration`"+`), of Redis commands and pools
(`+"`db.client.*`"+`) and the Go runtime (`+"`go.*`"+`) are by the conventions.

## Events

Log records with a name, in `+code(conv.EventName)+`.

| event | meaning | attributes |
|---|---|---|
`)
	for _, e := range d.Events {
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", e.Name, e.Meaning, codes(e.Attributes))
	}

	fmt.Fprint(w, `
## Attributes

| attribute | type | unit | meaning | values |
|---|---|---|---|---|
`)
	for _, a := range d.Attributes {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", a.Key, a.Type, codeOrDash(a.Unit), a.Meaning, codes(a.Values))
	}
}

func code[S ~string](s S) string { return "`" + string(s) + "`" }

func codeOrDash(s string) string {
	if s == "" {
		return "–"
	}
	return code(s)
}

func codes[S ~string](list []S) string {
	if len(list) == 0 {
		return "–"
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = code(s)
	}
	return strings.Join(quoted, ", ")
}

func numbers(list []float64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprintf("%g", n)
	}
	return strings.Join(words, ", ")
}
