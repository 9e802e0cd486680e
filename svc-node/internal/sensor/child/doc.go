// Package child executes one process for a sensor and ends it with all that it started.
//
//	start ─▶ output, lifeline ─▶ exit ─────────────────────────▶ group ended ─▶ lifeline closed? ── yes ──▶ done
//	             │                                                                   │ no: it left processes that
//	             └─ time-out, or ctx ends ─▶ group killed ─▶ exit ─▶ group ended     └─▶ found by marker, killed, named
//
// Invariants: Run returns within the time-out and a moment; the output is bounded; when Run returns, no process of the
// child's group lives, and none that holds its lifeline (an inherited descriptor) and carries its marker (an environment
// variable). A process that left the group, closed the descriptor and kept the marker is ended by the next Sweep; one that
// cleared its environment too cannot be told from a stranger's and lives on.
//
// internal/sensor and the built-in sensors that execute commands import it.
package child
