// Package verdict is the pure core of svc-promise: windows of sense groups, the test and the anomaly detector over them, and which group bangs.
//
//	group ─▶ Promise.Step ─▶ window (ordered by sequence) ─▶ test, anomaly ─▶ effects: bang, verdict changed
//
// Invariants: a group is known by its sequence; one that was seen, or is older than the window, changes nothing. A verdict depends only on the groups in the window and the rules, never on the order of
// arrival. Only the newest group can bang, and only one that no run asked for and that is not replayed; a late group may complete its window. A group that is missing ends the window:
// what is older does not count until it comes. At most one bang leaves for one state of the partition's runs.
//
// No clock, goroutine, I/O: time comes with the groups. svc-promise uses it, svc-node evaluates with it when svc-promise does not answer, and the simulators run it.
package verdict
