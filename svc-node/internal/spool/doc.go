// Package spool keeps messages on disk until they can be sent: reports and bangs of a node whose svc-master is away.
//
// Invariants: what Put accepted is on the disk, also after a crash of the machine; messages leave in the order in which
// they came; a spool never holds more than its limit, the oldest gives way and is counted; of one key it holds one
// message, the first.
//
// internal/agent imports it.
package spool
