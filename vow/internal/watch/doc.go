// Package watch is the view of `vow watch`: what the watch streams of svc-master told so far, which of it is news, and the lines that show it.
//
//	messages ─▶ Board ─┬▶ Change: a line, or an object, for each thing that turned
//	                   └▶ Draw: all of it, as the lines of a screen
//
// Invariants: it is pure: no clock, no stream, no terminal. What a stream says anew after it was lost is no news. Nothing that a service or a release said reaches a terminal as a control
// character. The commands of `vow` import it, nobody else.
package watch
