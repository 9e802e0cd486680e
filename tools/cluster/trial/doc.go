// Package trial looks whether the objects of tilt/k8s keep their promises on a running Kubernetes: pods come up confined, the smoke test passes, a process that is killed, a pod that is deleted, a service that is rolled and
// a Redis that dies lose no bang, disruption budgets and probes do what they are for.
//
// Invariants: it changes the cluster only through the API server and by signals to processes of pods, which it sees because the node is this machine; every check is bounded and says what it saw; a check that cannot be made is
// listed as not made, never as passed.
//
// Only cmd/kubernetes imports it.
package trial
