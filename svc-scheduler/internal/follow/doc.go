// Package follow follows svc-master's feed and tells the owners of computers what concerns them.
//
// The feed is a hint, state is the truth: positions are kept in memory only (docs/decisions/0002). A follower that begins anew, or is
// told to scan a shard again, makes every owner read its computer's allocations; every 30 s it reads the unsettled ones of all trees.
//
//	Follow ─▶ entry ─▶ members of the tree (cached; read anew when the membership's version differs)
//	                    └▶ BANG: fan out, CHANGED, BEGUN, REPORTED ─▶ owner.Deliver, one delivery per computer and batch
//
// After a delivery to a crowd of computers the feed is read on once their orders are handed over, or after 50 ms: sending goes before reading (delivery.go).
//
// Invariants: entries of a shard are handled in order; the position moves after the delivery; what is not owned here is somebody
// else's; a membership that cannot be read is tried again, never skipped.
//
// svc-scheduler's app and api import it.
package follow
