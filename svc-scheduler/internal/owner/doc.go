// Package owner holds the agendas of the computers whose nodes have their stream of orders at this replica.
//
// One Owner per stream is one goroutine with a mailbox: it drains the mailbox, applies the events to the agenda, saves what changed,
// and only then hands the orders over. What arrives during a save is taken together in the next one, so that a fan-out over many
// partitions of a computer is one script call.
//
//	Deliver, Do ──▶ mailbox ──▶ Owner: Apply ─▶ save (fenced by the session) ─▶ stream of orders ─▶ node
//	                              ▲                                 Reread ─▶ svc-master's allocations
//
// Invariants: an order is handed over after its record is stored, whatever happens in between; a save that fails is tried again
// until it succeeds, the stream ends or a newer session owns the agenda, and nothing is handed over meanwhile; no mutex is held while
// anything waits; a mailbox that is full loses its events and reads the truth anew instead.
//
// svc-scheduler's app, its api and follow packages import it.
package owner
