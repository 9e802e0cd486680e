// Package api translates between RPC and the agent: clients of svc-master, svc-scheduler and svc-promise as package peer
// wants them, and the handlers of vow.node.v1, on a local socket and through svc-master's Link.
//
// Invariants: nothing is decided here; every error that leaves a client is a *peer.Error, away or refused; every error that
// leaves a handler has a code.
//
// app imports it, and it alone imports the RPC library.
package api
