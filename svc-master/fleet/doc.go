// Package fleet is the pure core of svc-master: one instance tree as an aggregate, and every rule of docs/rules.md that concerns a tree.
//
// A [Tree] is one plain value: a header, its instances (what is wanted), the partitions that hold them (what is known) and the open convergence.
// Each event is a plain struct with a method of [Tree] of the same name: (state, event, now) → (answer, effects, error). The answer is what the caller
// gets, now and whenever the same key is sent again; [Effects] say what to write, what to tell the feed, and what ended; an [Error] has a kind, and a
// message that starts with "cannot". [Tree.Step] takes any event, for batches, simulators and fuzzing. [Place] chooses where an instance goes.
//
// An event changes the tree in place, and only when it returns no error. Whoever cannot commit the effects throws the value away and loads the tree again.
//
// Invariants, checked by [Tree.Check] after every step of every test:
//   - generations only grow; nobody settles what was not given to a run of that allocation by BeginRun;
//   - a report is accepted for the run in progress only, by run id and token, or as a local run into history;
//   - one number moves when the tree is banged, not one per member; a joined bang costs the same in a tree of 1 and of 10,000 members;
//   - a convergence is open exactly as long as a bang of it is not satisfied;
//   - children are destroyed before their requesters;
//   - every collection has a bound with a name (limit.go).
//
// What is not here: request ids of manual bangs and requests. They are kept by the store beside the tree ([Effects.Keep]), because at 10,000 manual bangs
// per second they would be the largest field of the aggregate. Keys of promises, processes and runs are here, since the rules look at them.
//
// It imports the pure standard library and kit/backoff: no clock, goroutine, I/O, lock, log, telemetry or randomness. Anything may import it; svc-master
// and the simulators do.
package fleet
