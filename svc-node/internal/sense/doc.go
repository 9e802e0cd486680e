// Package sense senses the promises of a node: each by its own periodicity, all of a partition for a run, and brings the
// groups to svc-promise.
//
//	schedule ─┐                             ┌─▶ log (numbered, on disk) ─▶ replay when svc-promise asks
//	          ├─ budget ─▶ Sensor ─▶ group ─┤
//	run ──────┘                             ├─▶ outbox ─▶ Sense stream ─▶ acknowledged
//	                                        └─▶ svc-promise away: evaluated here, an anomaly bangs from here
//
// Invariants: at most (slots) sensors are executed at once; groups of a promise are numbered and queued in one order;
// a group is kept until svc-promise acknowledged it or until the node itself evaluated it; the outbox is bounded, the
// oldest give way and are counted (the log still has them).
//
// internal/agent imports it.
package sense
