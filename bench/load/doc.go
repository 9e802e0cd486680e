// Package load makes a control plane of real processes and puts load on it: what a benchmark needs beside its stopwatch (docs/control-bench.md).
//
//	Redis   a redis-server of our own, with appendonly and a mode of fsync
//	Plane   svc-master, svc-scheduler and svc-promise as processes, built from this repository, which can be killed and started again
//	Node    a hollow node: the connections and streams of a real agent, runs without content
//	Fleet   hollow nodes and the trees on them
//	Floor   how long a message takes to as many bare streams
//
// Invariants: everything listens on loopback and ends with its Close; nothing of it is left on disk.
//
// The programs of bench import it, nobody else.
package load
