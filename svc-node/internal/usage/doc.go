// Package usage measures what partitions consume: CPU, memory and processes from /proc, disk by a walk that is never long, and
// what their own scripts in etc/report say; it writes SlapOS's tioxml journal of it.
//
//	Machine.Read ─▶ Meter.Add ─▶ Meter.Samples ─▶ (spooled, sent) ─▶ Meter.Taken
//	                        └─▶ Day ─▶ WriteJournal
//	Scripts ─▶ Files ─▶ (spooled) ─▶ Remove
//
// Invariants: a reading costs a bounded time, whatever a partition holds (MaxEntries, MaxWalk); what is not taken is measured on,
// so that nothing is lost when it cannot be spooled, and nothing is counted twice; nothing is followed out of a partition.
//
// internal/agent and app import it.
package usage
