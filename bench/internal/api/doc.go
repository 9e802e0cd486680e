// Package api is what the benchmarks need of the RPC library itself, which here alone they may import: the floor of what a connected node costs.
//
// Invariants: the floor does nothing that a service would do beyond the library: no interceptors, no validation, no store.
//
// The programs of bench import it; nothing else does.
package api
