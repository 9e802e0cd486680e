// Package redisstore keeps agendas in Redis: one hash per computer, `{c:<computer>}agenda`, with a record per partition
// (vow.store.v1.AgendaRecord), the head (`#head`, vow.store.v1.AgendaHead) and the session (`#session`) that fences writers.
//
// Two scripts change it. open.lua raises the session and returns what is stored with the server's TIME, from which the replica takes
// the offset of its own clock: timers run on the replica's monotonic clock, due times that are stored mean the server's. save.lua writes
// entries if the session is still the caller's; both may run twice, as a Cluster client may send them twice: raising twice skips a
// number, writing twice writes the same.
//
// Invariants: a script touches one slot and at most MaxItems fields; what is written by an older session changes nothing; field
// names of partitions never begin with '#', which the contract's pattern of partition names excludes. A set of the computers
// (`{agendas}computers`) serves lists and is not needed for anything else.
//
// app and owner import it, and internal/api, whose messages share parts with the records.
package redisstore
