// Package agent is the machine around package converge: it turns streams, clocks and ends of runs into events, carries
// the effects out, and keeps what svc-master must hear until it heard it.
//
//	Orders, WatchDesired, ends of runs, timer ─▶ loop ─▶ converge.Node ─▶ runs, records
//	supervisor's exits ─▶ watchdog ─▶ Bang            (or spool ─▶ replay when svc-master is back)
//	supplied releases ─▶ software ─▶ install, one at a time
//
// Invariants: one goroutine owns the state of converge and carries its effects out in order; nothing it calls waits for a
// network; each stream is lost and found alone; an exit is acknowledged to the supervisor only when its bang is
// acknowledged by svc-master or spooled; all goroutines end with Stop.
//
// app imports it.
package agent
