// Command coredns is CoreDNS with what a cluster's names need and no other plugin: make k8s-run runs it in a pod (docs/cluster.md). All of its plugins would be the clients of four clouds.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
