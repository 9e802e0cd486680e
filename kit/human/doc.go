// Package human writes durations, enum values and long texts for people.
//
// Invariants: it is pure and knows no domain; what it writes fits on one line. Any module may import it.
package human
