// Command pause is the first process of every pod of make k8s-run: it holds the pod's namespaces open until it is told to go. Kubernetes has one in C; what a registry would give cannot be had here.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
