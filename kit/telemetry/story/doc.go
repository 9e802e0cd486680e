// Package story assembles the spans that services emitted into the trees that docs/telemetry.md draws, for tests and simulators: RPC and Redis client and server spans are contracted away, orphans are found.
//
//	OTLP over HTTP ─▶ Receiver ─┐
//	in-memory exporter ─────────┴▶ []Span ─▶ Assemble ─▶ Trace ─▶ Draw
//
// Invariants: spans are never changed; a span whose parent was not seen is an orphan of its trace and is told, never dropped. Tests and simulators import it, services never.
package story
