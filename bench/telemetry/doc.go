// Command telemetry measures what telemetry costs the control plane under full load: `make bench-telemetry`.
//
//	story.go      the load: trees of a fleet of hollow nodes, each banged again as soon as its convergence has closed
//	receiver.go   an OTLP endpoint, in a process of its own, that counts spans and drops them
//	tell.go       the figures
//
// Control planes of real processes run side by side, each on a Redis of its own, with the same fleet:
//
//	telemetry off            none at all (OTEL_SDK_DISABLED=true): no ids, no metrics, no spans
//	no endpoint configured   as somebody starts it: ids, metrics for Prometheus, spans that do not record
//	1 in 100 bangs traced    an OTLP endpoint for traces, metrics and logs; what is not sampled does not record
//	every bang traced        the same, and every story is sampled
//
// They are put under load in turn, a round each, in another order in each round, so that what the machine does meanwhile happens to all; a figure is
// the median over the rounds of a plane divided by off of the same round. Logs are written by all. Redis synchronises every second, so that
// processors are what is short and not the disk: with appendfsync always the services wait, and telemetry costs nothing of what is measured.
//
// Besides the throughput, which the load generator and the receiver on the same machine have a share in, it tells for each story the
// processor time of each service, which hardly depends on what else the machine does, and what the services allocate, which does not at all: two
// programs are compared by these first.
//
// Each line of its output has six columns, separated by tabs: name, ours, floor (off), ratio, goal, ok or short. BENCH_SHORT=1 measures less.
// BINARIES=<directory> measures the services that are there instead of building them, BEFORE=<directory> those there too, in the same run, and none with 1 in 100.
// PROFILE=<directory> keeps profiles (processors, allocations) of svc-master and svc-scheduler of each plane. It is a main package: nobody imports it.
package main
