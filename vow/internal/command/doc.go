// Package command is the command line of vow: one file per command, each a client of the generated code, except `up` and `demo`, which run the fleet of one machine.
//
// Invariants: every command takes -o text|json, writes its result to stdout and everything else to stderr, and returns 0, 1 (it failed) or 2 (it was called wrongly). An error
// says what to do next. main imports it, nobody else.
package command
