// Package backoff derives times and places from ids: how long to wait before attempt n, at which phase of its period
// something periodic runs, which shard something lives in.
//
// Everything is a pure function of its arguments. There is no clock and no randomness: jitter comes from a hash of
// the id, so that a simulator replays exactly and two replicas of a service agree without talking to each other.
// docs/rules.md, "hashes", "growing delay" and "periodicity" are the rules implemented here.
//
// Invariants: Hash never changes (shards of stored trees depend on it); Delay never leaves ±20 % around its nominal
// value; NextInGrid is strictly after now and at most one grid after it.
//
// Anything may import this package; it is the only one outside the standard library that a pure core imports.
package backoff
