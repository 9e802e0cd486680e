// Package atomicfile writes a file so that a reader, or the next process after a crash, sees the old content or the new
// one and nothing between.
//
// Invariants: a file is complete under its name or not there; with Synced it is on the disk when the call returns.
//
// The packages of the agent that keep something on disk import it, the console's notifier and vow's commands. It imports nothing of the project.
package atomicfile
