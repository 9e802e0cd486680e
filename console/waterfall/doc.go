// Package waterfall draws a convergence as text: what was noticed, the bang, and for each partition when it was due, ordered, begun, each step, and its report.
//
// Invariants: it is pure (a convergence and a time in, text out), and draws what is stored, never more: what has not happened yet is drawn as pending.
// vow's commands and the console import it.
package waterfall
