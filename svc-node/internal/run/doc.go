// Package run carries out one run of one partition: lock, BeginRun, the steps that package converge puts in order, and
// ReportRun.
//
//	Engine.Run ─ lock ─ begin ─▶ stepper: release ─▶ profile ─▶ services ─▶ promises ─▶ report (or spool)
//
// Invariants: the partition's lock is held from before BeginRun until after the report; every step is idempotent; the
// stepper alone times, traces, counts and logs steps, and steps contain no telemetry; a run always ends, with its own
// time-out, and every run that began is reported or spooled.
//
// internal/agent imports it.
package run
