// Package memnet is a network in memory, for tests and the simulators: listeners, dialling, latency, and links that
// can be cut.
//
// Its connections are buffered: a write never waits for the reader, as with the kernel's sockets, where net.Pipe
// deadlocks two peers that write at once. Everything that waits does so on a channel, so that goroutines are durably
// blocked in a testing/synctest bubble and virtual time goes on; mutexes are held for a few instructions only.
//
// Invariants: bytes arrive in order, exactly once, or the connection ends with an error; deadlines are honoured; a cut
// link either holds bytes until it heals or loses them, and then the connections that lost some are reset when it
// heals, as TCP's are; after Close of both ends nothing remains, no goroutine least of all: the package starts none.
//
// A Network made inside a bubble must be used inside it only. Tests, sim and the embedded store import it.
package memnet
