// Package link holds the links of nodes that this replica has open, and the operators' calls under way on each.
//
// Invariants: everything is bounded (calls of a link, bytes of a streamed answer that its caller has not taken); a link sends
// one message at a time, and none after Close returned; a call ends with its answer, its context or its link, and the node is
// told when nobody waits for it any more. It knows no RPC: messages go out through the function that Open was given.
//
// internal/api imports it.
package link
