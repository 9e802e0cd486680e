// Package placement gives instances partitions and takes them back: what spans a tree and a computer, which are in
// different slots (docs/architecture.md, svc-master).
//
//	reserve ── the partition on the computer, with the instance's id, by compare-and-swap
//	commit  ── the allocation in the tree
//	reconcile ─ a reservation whose tree has no such allocation is released; an instance without a place is tried again
//	           when a computer changes; an allocation whose reservation was lost with its server's last seconds is reserved again; a tree that
//	           is gone is buried
//
// Invariants: a partition has one reservation; an allocation is committed only under a reservation that is younger than
// CommitWithin, and an orphan is released only after it was seen for OrphanAfter, by this process's own monotonic clock, so
// that no commit under way loses its partition.
//
// internal/api and app import it; nothing else does.
package placement
