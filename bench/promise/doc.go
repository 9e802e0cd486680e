// Command promise measures promises beside what they are compared with, on the same machine in the same run: `make bench-promise`.
//
//	verdict.go      windows evaluated on one core
//	stream.go       groups in batches over a real stream into svc-promise, with a real Redis behind it
//	bang.go         from a failing group that was recorded until its bang is at svc-master
//	executable.go, python.go, builtin.go   sensors of svc-node, beside a bare loop, a process per promise, a bare dial
//
// Each line of its output has six columns, separated by tabs: name, ours, peer or floor, ratio, goal, ok or short. Lines that begin with # are about the run.
// BENCH_SHORT=1 measures less. It is a main package: nobody imports it.
package main
