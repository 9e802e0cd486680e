// Package supervise is the pure core of the supervisor: which process should run, which one must be stopped, when a
// dead one is tried again.
//
// A Set holds one Unit per process that is wanted or still there. Step takes a Set, an Event and the time, and returns
// the next Set, the Effects to carry out in order, and the reason in words. A unit's life is one enum and one
// transition function (unit.go). Whoever carries out the effects reports back by events; an event that speaks of an
// earlier incarnation of a unit changes nothing, so reports may come late or twice.
//
// Invariants, each a property test:
//
//   - A key (partition, name) never has two processes: a Launch is asked for only when none is left.
//   - A process is released to run only after the Record that names it (docs/rules.md, "supervisor": a process that
//     nobody remembers would be started a second time by the next supervisor).
//   - A wanted service always runs, is being started, is being stopped to start again, or has a time of its next try:
//     the supervisor never gives up.
//   - Every end of a process gives exactly one Exit; it is Watched if and only if the process is watched and nobody
//     asked for the end.
//   - What is not wanted gets TERM, then KILL after its grace time, then is forgotten.
//
// It imports pure packages of the standard library and kit/backoff only: no clock, goroutine, input or output. The
// machinery that carries out its effects is internal/supervisor; the agent, which may not import that, shares with it
// the words defined here: Process, Key, Unit, Exit.
package supervise
