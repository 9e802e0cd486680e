// Package client makes the generated clients of all services, from addresses.
//
// Invariants: connecting is lazy, an unreachable service is told with its address and what to do. Only vow's commands import it.
package client
