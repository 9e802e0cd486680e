// Package real runs the suite as real processes on loopback: built executables, a real Redis with appendfsync always, a real supervisor and agent, killed with -9.
//
// Invariants: every executable is built from this repository for the test, every port is free, everything is stopped at the end; loads and times are bounded. It has tests only: what
// docs/rules.md says must never happen by kill -9, pauses and cuts (docs/faults.md); what the chaos test (build tag soak) saw is judged by sim/chaos. Nobody imports it.
package real
