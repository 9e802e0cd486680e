// Package terminaltest makes pseudo-terminals.
//
// Invariants: both ends are closed with the test. Tests of `vow` import it, nobody else.
package terminaltest
