// Package agenda is the pure core of svc-scheduler: when each partition of one computer runs next, and why.
//
// One computer is one aggregate, Agenda: an Entry per allocated partition. It takes events (a stream opened or closed, what
// svc-master's reading says, wanted, begun, reported, run now, pause, time passed) and returns an Outcome: orders to hand
// over, records to store, when to wake. There is no clock, goroutine, I/O or randomness: the same events at the same times
// give the same orders with the same run ids, in svc-scheduler as in the simulators.
//
//	events, now ──▶ Agenda.Apply ──▶ Outcome{Orders, Stored, Removed, Wake, Reason}
//
// The caller stores what the outcome names before it hands over the orders: an order that was stored and not handed over is
// handed over again with the same run id; one that was handed over is always known.
//
// Invariants (Check):
//   - an entry that waits is due at some time, and one whose wanted generation is not settled is due for more than its period;
//   - at most Slots orders are handed over and not yet reported, and none without a stream or while paused;
//   - a run id stands for one occasion: it changes only after the run began, was reported, or its allocation went;
//   - what began cleared exactly what it answers: a bang or change of a later generation stays due (the dirty mark).
//
// Anyone may import it (svc-scheduler, the simulators). It imports the standard library's pure packages and kit/backoff.
package agenda
