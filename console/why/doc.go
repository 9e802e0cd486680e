// Package why says why a tree, an instance, a partition or a computer has its colour: the cause in one line, then what supports it, what was tried, and what comes next.
//
// Invariants: it is pure (what the services answered and a time in, a Story out). The cause is what a person has to mend: of several red members the
// deepest, so one that waits for another never hides what it waits for. What a service did not answer is told as not known, never left out.
// vow's commands and the console import it.
package why
