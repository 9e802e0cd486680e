// Package onenode runs a whole Kubernetes of one node on this machine, as root, so that the manifests of tilt/k8s run for real where neither a cluster nor a registry can be had: etcd, API server,
// controllers, scheduler, kubelet, proxy and DNS, with containerd and runc, and images from files.
//
// Invariants: it runs in a mount, network, process, host name, IPC and cgroup namespace of its own, whose first process is ours: when that ends, or whoever started it, the kernel ends all of it, and nothing of the
// machine was changed. Nothing is pulled. What stands in for an image of others, and what has no image, is said.
//
// Only cmd/kubernetes imports it.
package onenode
