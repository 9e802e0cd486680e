// Package trial looks whether the objects of tilt/k8s keep their promises on a running Kubernetes: what tilt ci does is green, pods come up confined, NetworkPolicies let in whom they should and nobody else, the smoke test passes, a process that is killed,
// a pod that is deleted, a service that is rolled, a Redis that dies and a machine that is lost lose no bang, disruption budgets and probes do what they are for.
//
// Invariants: it changes the cluster only through the API server, its machines, and signals to processes of pods, which it sees because the machines are namespaces below its own; every check is bounded and says what it saw; a
// check that cannot be made is listed as not made, never as passed.
//
// Only cmd/kubernetes imports it.
package trial
