// Package api translates the RPCs of vow.master.v1 into events of the core and back. Handlers decide nothing: the rules of
// a tree are in fleet, what spans trees and computers is in internal/placement.
//
// Invariants: input that is refused changed nothing; an answer is sent after the commit; a call that names a registered
// computer counts as its contact; a stream ends when its caller is too slow, and never holds back others.
//
// app imports it; nothing else does.
package api
