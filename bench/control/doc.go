// Command control measures the control plane beside its peers and floors, on one machine in one run: `make bench-control` (docs/control-bench.md).
//
//	fleet.go    how a measure begins: a control plane of its own, with a fleet
//	store.go    the store's API: Go benchmarks of svc-master, run by go test
//	orders.go   orders claimed and acknowledged, and their lateness, beside asynq on the same Redis
//	rpc.go      bangs over Connect
//	fanout.go   a bang until the last of many nodes has its order, and until it is satisfied
//	memory.go   resident memory per connected node, beside floor.go: a bare server of one stream
//	takeover.go a replica of svc-scheduler killed under its nodes
//	restart.go  the whole control plane killed under a connected fleet
//
// BENCH_SHORT=1 measures less. It is a main package: nobody imports it.
package main
