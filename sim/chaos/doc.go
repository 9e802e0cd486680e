// Package chaos judges what a fleet did while it was killed, paused and cut: a History of what its callers and nodes saw, and rules over it.
//
//	History   who called what when, and what was answered; orders, runs, reports, colours, faults; what was there in the end
//	Rules     one function for each sentence of docs/rules.md, "what must never happen", which returns what broke it
//	Linear    whether requests, bangs and reads of each tree are linearizable (porcupine)
//
// Invariants: it judges only, from what was seen from outside; every time is a duration since the start, by the one monotonic clock of the process
// that recorded; a call without an answer may have had its effect at any later time, or never.
//
// Tests of sim import it, nobody else does.
package chaos
