// Package script executes the one-shot programs of a partition: commands of its profile, its hooks, its report scripts.
//
// Invariants: a program runs as the partition's user, in its directory, with its environment and nothing of the agent's own;
// when its context ends, its whole process group is killed; of its output only the end is held; it is one span.
//
// internal/run and internal/usage import it.
package script
