// Package record keeps on disk what the agent must know after a restart without asking anybody: per partition the last
// known desired state and how its latest run ended, and how many runs the node made by itself.
//
// Invariants: a record is replaced as a whole (atomicfile); a record that cannot be read is an error that names its file,
// never a missing one. Desired state and counters are synced to the disk, results of runs are not: losing the latest
// after a crash of the machine costs one run.
//
// internal/agent imports it.
package record
