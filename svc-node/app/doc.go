// Package app is svc-node, the agent of a computer: New, Start, Addr, Stop.
//
// Invariants: it starts whether or not the other services are there; Stop ends all of it by its deadline and leaves the
// processes of the partitions running, which are the supervisor's; everything that touches the machine can be replaced
// through Settings, and then all of it works in a testing/synctest bubble.
//
// cmd/svc-node, the command vow and the simulators import it.
package app
