// Package converge is the pure core of the agent: when a partition runs, which step of a run comes next, when promises
// are sensed again, and how a run ends.
//
// Three small machines, each (state, event, now) → (state, effects, reason):
//
//	Node     desired state, orders, links and deadlines of all partitions ─▶ StartRun, Store, Forget   (node.go, partition.go)
//	Run      one run: release ─▶ profile ─▶ services ─▶ promises ─▶ report, with what is skipped       (run.go)
//	Sensing  the promises step: which promises are sensed, again until when, then evaluated            (sensing.go)
//
// Invariants, each a property test:
//
//   - A partition never has two runs; a node never more than its slots.
//   - An older generation of an allocation never replaces a newer one, whatever the order of arrival.
//   - An order whose run is in hand or done starts nothing; one for another allocation never runs this one.
//   - A partition that holds something always has a run in hand or a time of its next one: nothing waits for ever,
//     also when svc-scheduler and svc-master never come back.
//
// It imports pure packages of the standard library and kit/backoff only. The machinery that carries out the effects is
// internal/agent; app and its tests may import it too.
package converge
