package telemetry

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The signals, as the OTEL_* variables spell them.
const (
	signalTraces  = "TRACES"
	signalMetrics = "METRICS"
	signalLogs    = "LOGS"
)

// disabled tells whether the environment wants no telemetry at all but the log: the specification's no-op.
func disabled() bool {
	off, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED"))
	return off
}

// exporting tells whether the environment asks for an exporter of a signal: a named one, or an OTLP endpoint. The
// specification's default, OTLP to localhost, is not taken: a laptop without a collector would log an error a minute.
func exporting(signal string) bool {
	if disabled() {
		return false
	}
	switch strings.TrimSpace(os.Getenv("OTEL_" + signal + "_EXPORTER")) {
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	case "none":
		return false
	case "prometheus":
		return false // always there, on the admin port; the SDK's would open one of its own
	default:
		return true
	}
}

// exporterError names the variables that are to blame.
func exporterError(signal string, err error) error {
	name := "OTEL_" + signal + "_EXPORTER"
	return fmt.Errorf("cannot use %s=%q and OTEL_EXPORTER_OTLP_*: %w", name, os.Getenv(name), err)
}

// samplerFromEnv is what OTEL_TRACES_SAMPLER and its argument ask for; nil when unset.
func samplerFromEnv() (sdktrace.Sampler, error) {
	name := strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")))
	name, parentBased := strings.CutPrefix(name, "parentbased_")
	var root sdktrace.Sampler
	switch name {
	case "":
		return nil, nil
	case "always_on":
		root = sdktrace.AlwaysSample()
	case "always_off":
		root = sdktrace.NeverSample()
	case "traceidratio":
		ratio := 1.0
		if arg := os.Getenv("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
			var err error
			if ratio, err = strconv.ParseFloat(arg, 64); err != nil || ratio < 0 || ratio > 1 {
				return nil, fmt.Errorf("cannot use OTEL_TRACES_SAMPLER_ARG=%q: want a number from 0 to 1", arg)
			}
		}
		root = sdktrace.TraceIDRatioBased(ratio)
	default:
		return nil, fmt.Errorf("cannot use OTEL_TRACES_SAMPLER=%q: not a sampler known here", os.Getenv("OTEL_TRACES_SAMPLER"))
	}
	if parentBased {
		return sdktrace.ParentBased(root), nil
	}
	return root, nil
}
