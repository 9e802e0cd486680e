// Package starter writes the starting point of a promise with its test: `vow promise new`.
//
// Invariants: nothing that exists is overwritten; the test passes as it is written; a name that would not be the promise's
// title, or is another's in that directory, is refused.
//
// internal/command imports it.
package starter
