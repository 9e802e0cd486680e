// Package format makes a machine a computer: partitions with directories, users and addresses.
//
//	Wish (flags, file, what was formatted before) ─┐
//	                                               ├─ Plan: pure ─▶ changes ─▶ Machine.Apply ─▶ Layout in .vow-format.json
//	Seen (what the machine has) ───────────────────┘
//
// Invariants: declarative and idempotent, so that the plan of what was just carried out is empty; nothing is changed
// before the whole plan is known to be possible; a partition with content is never removed, nor is an address of it, nor
// ever a user; the layout is written last, as a whole, and is what the agent goes by. As root each partition has a user
// and a group of its own, and so do the software releases; unprivileged all belong to oneself. Owners are given without
// following a link, and a folder after what is in it.
//
// app imports it, for the agent and for the command line.
package format
