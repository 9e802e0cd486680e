package main

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

func boards() []board { return []board{fleet(), tree(), convergence(), controlPlane()} }

// equals is a tag of a search at Jaeger.
func equals(key attribute.Key, value string) string { return fmt.Sprintf("%s=%s", key, value) }

func fleet() board {
	const good = `1 - vow:convergence_slow:ratio_rate1h`
	return board{
		uid: "vow-fleet", title: "fleet", description: "Is everything kept? Objectives, colours, bangs, runs, promises, nodes.",
		rows: []row{
			{4, []panel{
				stat("Convergences within a second, last hour", "percentunit", good),
				stat("Partitions Green, last hour", "percentunit", "1 - vow:partition_red:ratio_avg1h"),
				stat("Computers", "short", fmt.Sprintf("sum(max by (%s) (%s))", label(conv.Colour), name(conv.ComputerCount.Metric))),
				stat("Runs in progress", "short", sum(name(conv.RunActive.Metric), nil)),
			}},
			{8, []panel{census("Partitions", conv.PartitionCount.Metric, conv.Colour, conv.ColourReason), census("Computers", conv.ComputerCount.Metric, conv.Colour)}},
			{8, []panel{quantiles("From a bang to convergence", "s", conv.ConvergenceDuration.Metric), heatmap("All convergences", conv.ConvergenceDuration.Metric)}},
			{8, []panel{
				rate("Bangs", conv.BangRequests.Metric, conv.BangOrigin, conv.BangOutcome), rate("Bangs that were folded", conv.BangFolded.Metric),
				counted("Convergences", conv.ConvergenceDuration.Metric, conv.BangOrigin, conv.ConvergenceResult),
			}},
			{8, []panel{
				counted("Runs", conv.RunDuration.Metric, conv.RunCause, conv.RunResult), slowest("Runs, 95 of 100 are shorter", name(conv.RunDuration.Metric), label(conv.RunCause)),
				slowest("From due to begun, 95 of 100 are shorter", name(conv.RunDelay.Metric), label(conv.RunCause)),
			}},
			{8, []panel{
				gauge("Promises", conv.PromiseCount.Metric, conv.PromiseKind, conv.Verdict), rate("Verdicts that changed", conv.PromiseTransitions.Metric, conv.Verdict),
				slowest("Sensors, 95 of 100 are shorter", name(conv.SensorDuration.Metric), label(conv.SensorKind)),
			}},
			{8, []panel{
				rate("Exits of services", conv.ProcessExits.Metric, conv.ProcessReason), census("Monitoring crimes", conv.CrimeCount.Metric, conv.CrimeName),
				census("Releases with monitoring crimes", conv.CrimeReleases.Metric, conv.CrimeName),
			}},
			{8, []panel{
				gauge("What nodes could not deliver yet", conv.SpoolSize.Metric, conv.SpoolKind), counted("Installations of releases", conv.InstallDuration.Metric, conv.RunResult),
				slowest("Steps of installations, 95 of 100 are shorter", name(conv.InstallStepDuration.Metric), label(conv.ReleaseStep)),
			}},
		},
	}
}

func tree() board {
	of := equals(conv.TreeID, "$tree")
	return board{
		uid: "vow-tree", title: "one tree", description: "The bangs, convergences and runs of one tree. Metrics have no ids: what happened to one tree is in its traces.",
		inputs: []input{{"tree", "Tree (vow tree NAME has its id)"}},
		rows: []row{
			{10, []panel{traces("Bangs", "svc-master", conv.SpanBang, of), traces("Convergences", "svc-master", conv.SpanConverge, of)}},
			{10, []panel{traces("Runs", "svc-node", conv.SpanRun, of), traces("Runs that failed", "svc-node", conv.SpanRun, of+" "+equals(conv.RunResult, conv.ResultFailure))}},
			{8, []panel{quantiles("All trees: from a bang to convergence", "s", conv.ConvergenceDuration.Metric), quantiles("All trees: partitions that a bang makes run", "short", conv.BangFanout.Metric)}},
		},
	}
}

func convergence() board {
	return board{
		uid: "vow-convergence", title: "one convergence", description: "The waterfall of one bang, and how long each part of the way takes elsewhere. vow trace BANG draws the same.",
		inputs: []input{{"trace", "Trace id (an exemplar leads to it)"}, {"bang", "Bang"}},
		rows: []row{
			{16, []panel{trace("The trace", "$trace")}},
			{8, []panel{traces("Traces of this bang", "svc-master", conv.SpanBang, equals(conv.BangID, "$bang")), traces("Runs that answered it", "svc-node", conv.SpanRun, equals(conv.BangID, "$bang"))}},
			{8, []panel{heatmap("All convergences: pick an exemplar", conv.ConvergenceDuration.Metric), quantiles("From due to begun", "s", conv.RunDelay.Metric)}},
			{8, []panel{
				slowest("Steps, 95 of 100 are shorter", name(conv.StepDuration.Metric), label(conv.StepName)), counted("Steps", conv.StepDuration.Metric, conv.StepName, conv.RunResult),
				quantiles("Runs", "s", conv.RunDuration.Metric),
			}},
		},
	}
}

func controlPlane() board {
	const (
		job    = "job"
		method = "rpc_method"
		server = "rpc_server_call_duration_seconds"
		client = "rpc_client_call_duration_seconds"
		redis  = "db_client_operation_duration_seconds"
	)
	by := func(what, expr string) string { return fmt.Sprintf("sum by (%s) (%s)", what, expr) }
	return board{
		uid: "vow-control-plane", title: "control plane", description: "The services themselves: feed, agenda, RPCs, Redis, processes.",
		rows: []row{
			{8, []panel{
				graph("Services that answer", "short", query{text: "sum by (job) (up)", legend: "{{job}}"}), gauge("Feed lag", conv.FeedLag.Metric, conv.FeedFollower),
				rate("Limits", conv.LimitHits.Metric, conv.LimitName).orZero(),
			}},
			{8, []panel{gauge("Due", conv.AgendaDue.Metric), gauge("Overdue", conv.AgendaOverdue.Metric), quantiles("Partitions that a bang makes run", "short", conv.BangFanout.Metric)}},
			{8, []panel{
				slowest("RPCs served, 95 of 100 are shorter", server, job, method),
				graph("RPCs served", "ops", query{text: by("job, rpc_method", "rate("+server+"_count[$__rate_interval])"), legend: "{{job}} {{rpc_method}}"}),
				graph("RPCs that failed", "ops", query{text: by("job, rpc_method, error_type", "rate("+server+`_count{error_type!=""}[$__rate_interval])`), legend: "{{job}} {{rpc_method}} {{error_type}}"}),
			}},
			{8, []panel{
				slowest("RPCs called, 95 of 100 are shorter", client, job, method),
				slowest("Redis, 95 of 100 are shorter", redis, job, "db_operation_name"),
				graph("Redis commands and pipelines", "ops", query{text: by("job, error_type", "rate("+redis+"_count[$__rate_interval])"), legend: "{{job}} {{error_type}}"}),
			}},
			{8, []panel{
				graph("Connections to Redis", "short", query{text: by("job, db_client_connection_state", "db_client_connection_count"), legend: "{{job}} {{db_client_connection_state}}"}),
				graph("Waiting for a connection", "short", query{text: by("job", "db_client_connection_pending_requests"), legend: "{{job}}"}),
				graph("Connections that were waited for in vain", "ops", query{text: by("job", "rate(db_client_connection_timeouts_total[$__rate_interval])"), legend: "{{job}}"}),
			}},
			{8, []panel{
				graph("Memory", "bytes", query{text: by("job, instance", "go_memory_used_bytes"), legend: "{{job}} {{instance}}"}),
				graph("Allocations", "Bps", query{text: by("job, instance", "rate(go_memory_allocated_bytes_total[$__rate_interval])"), legend: "{{job}} {{instance}}"}),
				graph("Goroutines", "short", query{text: by("job, instance", "go_goroutine_count"), legend: "{{job}} {{instance}}"}),
			}},
		},
	}
}
