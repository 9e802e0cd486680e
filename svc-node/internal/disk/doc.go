// Package disk watches whether the disks of a node take what is written.
//
//	statfs every few seconds ─┐
//	a write that failed ──────┴─▶ look ─▶ bad: told at once ─▶ good again for long enough: told
//
// Invariants: that a disk is bad is told once, with the folder and the reason, and that it is good again once; a disk that goes
// bad again and again is called good ever later, up to an hour, so that it wakes nobody all the time; nothing is written to a disk
// unless a write failed there.
//
// internal/agent and internal/run import it.
package disk
