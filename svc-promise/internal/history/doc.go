// Package history is what becomes of groups over time: points for some hours, then buckets of ten minutes, an hour and a day; counts, state since when, the
// last messages, and the monitoring crimes that they show. It is pure: a Stored and points give a Stored and the names of the fields that changed.
//
// Invariants: a group is counted once, whatever the order in which groups come and however often (its sequence is known); every level is bounded, and what
// falls out of it is named for removal; nothing here reads a clock.
//
// redisstore, recorder, window and api import it.
package history
