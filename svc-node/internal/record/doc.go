// Package record keeps on disk what the agent must know after a restart without asking anybody: per partition the last
// known desired state and how its latest run ended, and how many runs the node made by itself.
//
// Invariants: a record is replaced as a whole (atomicfile). Desired state and counters are synced to the disk, results of
// runs are not: losing the latest after a crash of the machine costs one run. A record that such a crash left empty or
// broken is set aside and told; svc-master tells the desired state again.
//
// internal/agent imports it.
package record
