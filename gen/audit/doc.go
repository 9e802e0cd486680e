// Package audit does what a person asked of a service once svc-master has written it down (docs/audit.md).
//
// Invariants: what cannot be written down is not done; what failed although it was written down is written down as failed.
//
// The internal/api packages of services import it. It imports nothing that the generated code does not: who called comes as a function, as kit/rpc.Caller is,
// since neither of the leaf modules gen and kit may import the other.
package audit
