// Package policy turns NetworkPolicies into the rules of one machine for nftables, so that what tilt/k8s says of who may call whom holds on a cluster that is made here: of those who enforce them, none can be had from where we
// build (decision 79).
//
// Invariants: it is a function of objects, without clock and I/O; what it does not know of a policy is an error and not left out; a pod that is not known yet gets no calls.
//
// Only kube imports it.
package policy
