// Package app wires svc-master: the store, the feed's reader, the API and what runs beside it.
//
// Invariants: nothing starts before New returned, Start waits for Redis, Stop is bounded by its context and leaves no
// goroutine. Ready means that the store answers and the feed is read.
//
// cmd/svc-master, the command vow and the simulators import it.
package app
