// Command telemetry measures what telemetry costs the control plane under full load: `make bench-telemetry`.
//
//	story.go      the load: trees of a fleet of hollow nodes, each banged again as soon as its convergence has closed
//	receiver.go   an OTLP endpoint that counts spans and drops them
//
// Three control planes of real processes run side by side, each on a Redis of its own, with the same fleet:
//
//	off           no telemetry at all (OTEL_SDK_DISABLED=true): no ids, no metrics, no spans
//	no endpoint   as somebody starts it: ids, metrics for Prometheus, spans that do not record
//	traced        an OTLP endpoint for traces, metrics and logs, and every story sampled
//
// They are put under load in turn, a round each, there and back, so that what the machine does meanwhile happens to all; a figure is
// the median over the rounds of traced (or no endpoint) divided by off of the same round. Logs are written by all three. Redis synchronises every second, so that
// processors are what is short and not the disk: with appendfsync always the services wait, and telemetry costs nothing of what is measured.
//
// Besides the throughput, which the load generator and the receiver on the same machine have a share in, it tells the
// processor time of the services alone for each story.
//
// Each line of its output has six columns, separated by tabs: name, ours, floor (off), ratio, goal, ok or short. BENCH_SHORT=1 measures less.
// PROFILE=<directory> keeps profiles (processors, allocations) of svc-master and svc-scheduler of each plane. It is a main package: nobody imports it.
package main
