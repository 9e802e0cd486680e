// Package storetest gives tests a store: the embedded one, a real Redis that can be killed and started again, a Redis with a replica
// that Sentinels fail over to, and a Redis Cluster of three nodes. Each runs one suite on all of them, so that nothing passes on one and fails on another.
//
// Real servers need redis-server on PATH. Where it is missing, tests are skipped with a word that says so; with
// CI=true in the environment they fail instead.
//
// Invariants: a server listens on loopback only, on an address that is the test process's alone, keeps every acknowledged write (appendonly yes, appendfsync always),
// and is gone when its test ends, however it ends.
//
// Only tests import it.
package storetest
