// Package telemetry sets up what a service emits: traces, metrics, logs and profiles.
//
// It is configured by the standard OTEL_* environment, with nothing of our own where that suffices, and by
// PYROSCOPE_SERVER_ADDRESS. Every service has its own Telemetry; there is nothing global, because several services
// live in one process in `vow up` and in the simulator.
//
// With no trace exporter configured, spans are made by a provider of ours that costs one context and one id: ids
// exist, are logged and passed on, and the sampled flag is decided by the same sampler as ever, so that a service
// further on that does export sees the whole of a story. The SDK's provider with a sampler that says no would lose
// the flag, and one that says yes would record spans for nobody.
//
// Invariants: ids made here are valid; a Carrier survives storage and restarts; Shutdown is bounded by its context
// and may be called twice; what is logged carries trace_id, span_id, vow.bang.id and vow.run.id of its context.
//
// Anything but a pure core, and the supervisor, may import it.
package telemetry
