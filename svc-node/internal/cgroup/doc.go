// Package cgroup puts a process and its descendants into a group of their own that the kernel limits and can end as a
// whole: cgroups of version 1, version 2, and the mixture of both.
//
//	Tree   where groups may be made: below the cgroup of this process, per controller
//	Group  the cgroup of one service: limits, members, how often its memory ran out
//
// Invariants: nothing outside of our own cgroup is touched; what is not permitted is a problem in words, never an error
// that keeps a service down; a group is made again as it was by whoever knows its name, so a killed supervisor's
// successor has it back.
//
// It imports no RPC and no telemetry library. It may be imported by internal/supervisor only.
package cgroup
