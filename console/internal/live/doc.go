// Package live wakes whoever shows something when it may have changed.
//
//	WatchTreeColours, WatchComputerColours ─▶ source "fleet" ─▶ subscriptions ─▶ streams of pages
//	WatchConvergence of one                ─▶ source of it   ─▶
//
// Invariants: a wake-up is a hint and carries nothing: it is coalesced, never dropped. A source is followed once however many subscribe, and only while somebody does; one that is
// lost is opened again with a growing delay, and wakes all when it is back. Only console's packages import it.
package live
