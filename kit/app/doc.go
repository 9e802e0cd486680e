// Package app is the life cycle of a process and of the parts inside it: ordered start, reverse bounded idempotent
// stop, signals, and a main that fits on a screen.
//
//	Main ── parses flags and VOW_* environment, builds the service, waits for a signal
//	  └ Service      what a service exports: Start, Stop
//	      ├ Sequence parts that start in order and stop in reverse
//	      └ Group    goroutines with names; the first that fails stops all
//
// Invariants: Stop may be called at any time, any number of times and before Start; it returns by the deadline of its
// context; the first error wins and names the part it came from. Nothing here reads a clock except through contexts,
// so that all of it works in a testing/synctest bubble.
//
// Main, in package main, is its only user besides the app packages of services; pure cores never import it. It
// imports no RPC and no telemetry library, because the supervisor uses it.
package app
