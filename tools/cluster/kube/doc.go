// Package kube runs a whole Kubernetes on this machine, as root, so that the manifests of tilt/k8s run for real where neither a cluster nor a registry can be had: etcd, API server, controllers and scheduler, and one machine or
// several with containerd, runc, kubelet, proxy and who enforces NetworkPolicies, and images from files, or from whoever imports them (Containerd).
//
// Invariants: it runs in mount, network, process, host name, IPC and cgroup namespaces of its own, and each machine in such namespaces below. When their first process ends, the kernel ends all that is in them: of a machine, as a
// loss of its power does; of all, or whoever started it, without a trace, since nothing of the machine that it runs on was changed. Nothing is pulled. What stands in for an image of others, and what has no image, is said.
//
// Only cmd/kubernetes imports it.
package kube
