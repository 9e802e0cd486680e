// Package human writes durations, enum values and long texts as people read them in a terminal.
//
// Invariants: it is pure. vow's commands and what they are made of import it.
package human
