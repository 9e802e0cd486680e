// Package rpc is how services here talk: one server for Connect, gRPC, gRPC-Web, health and reflection on one port,
// one client per target, and errors with codes. Besides the internal/api packages that translate, it is the only
// place that imports the RPC library.
//
// A server has an admin port with /metrics, pprof, /healthz and /readyz, binds loopback only unless it is told to be
// insecure, bounds the size and time of requests, validates them by their declared rules, turns panics into errors,
// and ends streams before connections when it stops. Unary calls are traced; health, reflection and streams, which
// live for days, are not.
//
// A server that is asked for more than it can do takes what keeps promises first and refuses the rest at once, with a
// delay that clients obey within a budget (admission.go, patience.go; docs/faults.md).
//
// It pings quiet HTTP/2 connections and remembers when bytes were last read on each (ConnLastRead): that is what
// "contact" means in docs/rules.md, "computer colour".
//
// A client keeps one connection to its target, speaks HTTP/2 with prior knowledge, pings too, gives every unary call
// a deadline, and repeats by itself only what was refused unheard: Retry does the rest, for calls that are idempotent,
// within a budget.
//
// Invariants: Stop is bounded by its context and leaves no goroutine; nothing blocks on a real clock, so that all of
// it works in a testing/synctest bubble over memnet.
//
// Services' app and internal/api packages import it, and clients such as the command line; pure cores and the
// supervisor never.
package rpc
