// Command node measures the agent beside its goals, with the real services, a real supervisor and real processes, as `vow up`
// runs them: a run that changes nothing, memory and CPU of an idle agent with 100 partitions, and how a restart spreads their runs.
//
//	make bench-node                  4 minutes
//	BENCH_SHORT=1 make bench-node    2 minutes
//
// Lines are separated by tabs: name, ours, floor, ratio, goal, ok or short.
//
// Nothing imports it.
package main
