// Package redisstore keeps what svc-master owns in Redis: trees, computers, the index of roots and the feed.
//
//	Store ── trees      load, decide (the core), commit; one script, lua/commit.lua, changes a tree
//	      ├─ computers  one hash per computer, compare-and-swap by version (lua/swap.lua), contacts (lua/contact.lua)
//	      ├─ roots      (account, title) → tree id, reserved before the tree is committed
//	      ├─ epochs     each shard's epoch moves when the server may have lost data (lua/epoch.lua)
//	      └─ Hub        follows the shards' feeds and fans them out in this process
//
// Invariants: a script touches one slot. What is atomic is in one script; what spans slots is reserved, committed and
// reconciled. Every mutating script may run twice: it checks a request id or a version. Nothing correct depends on a TTL.
// No lock is held while anything waits. Everything kept in memory is a copy that is checked before it decides.
//
// internal/api and app import it; nothing else does.
package redisstore
