// Package notify decides what people are told: what was observed, the rules and now in, messages out (docs/notifications.md).
//
//	Observe ─▶ State.Things ─▶ Step: held, silenced, told before? ─▶ Message ─▶ State.Outbox ─▶ Deliveries
//
// Invariants: it is pure: no clock, no file, no network. What is told follows from what is the case, not from what happened: whoever observes it anew, or again, or was away, gets the same messages. A thing is told only when it
// differs from what was told last. Everything is bounded. console/internal/notifier imports it, nobody else.
package notify
