// Package window keeps the windows of every promise that svc-promise has heard of, in memory: they are rebuilt by replay from the nodes after a restart.
//
// Invariants: what a group means is decided by verdict alone; memory is bounded by named limits; an allocation that was not heard of for longer than any promise may stay silent is
// forgotten. Safe for concurrent use; nothing waits inside. internal/api and app import it.
package window
