// Package recorder brings points of groups to the store: behind the groups' own way, in batches, every two seconds, and once more when it is stopped.
//
// Invariants: what could not be written waits and is merged again (the store knows a sequence, so nothing is counted twice); while the store is away points
// wait up to window.MaxPending, and sensing, verdicts and bangs go on. What a crash loses is filled by the nodes' replay, as far as their logs reach.
//
// app imports it.
package recorder
