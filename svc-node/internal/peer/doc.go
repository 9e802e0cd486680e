// Package peer is what the agent asks of the other services, in the words of the contract, and the two ways in which they
// do not give it: away, and refused.
//
// Invariants: an error of any method here is Away or Refused; Away may be tried again with the same key, Refused may not.
//
// internal/api implements it over RPC; internal/agent, run and sense import it.
package peer
