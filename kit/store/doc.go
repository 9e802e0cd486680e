// Package store is the connection to Redis, or to the embedded store that stands in for it: the same commands and the
// same scripts run on a single server, behind Sentinel, on a Cluster, and in process.
//
// Open waits for the server, refuses one that may evict state, and says in words how durable it is. Scripts run by
// their hash and are loaded when the server does not know them; every key of a script must be in one slot.
//
// The embedded store is miniredis with a snapshot of our own, saved every second when something changed and at stop.
// Its times to live pass once a second.
// After a crash the last second may be gone: RunID then changes, as it does when a Redis server restarts, and
// svc-master moves the epochs (docs/rules.md, "what must never happen").
//
// Invariants: the client never retries by itself, since a script whose answer was lost has run; a context's deadline
// bounds every command; Stop leaves no goroutine; a snapshot is replaced as a whole or not at all, and one that
// cannot be read stops the start and is kept.
//
// Services' app and internal/redisstore packages import it; nothing is known here of what the keys mean.
package store
