// Package rpctest gives tests a server of fakes.
//
// Invariants: a server listens before its function returns, and stops when its test ends.
//
// Only tests import it.
package rpctest
