// Package trail is what svc-master's decisions leave behind in telemetry: the spans `bang`, `begin run`, `report run` and
// `converge`, the events and the metrics that docs/telemetry.md declares.
//
// Invariants: it decides nothing and stores nothing; ids go on spans, never on metrics; `converge` is emitted once, by
// whoever committed the end, with an id derived from the convergence, so that emitting it again gives the same span.
//
// internal/api, internal/census and app import it; nothing else does.
package trail
