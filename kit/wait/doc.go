// Package wait lets time pass, unless something ends first.
//
// Invariants: a wait ends with its context; none leaves a timer behind. In a testing/synctest bubble it passes virtual time.
//
// Whatever is not a pure core may import it; it imports nothing of the project.
package wait
