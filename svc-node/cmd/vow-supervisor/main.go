// Command vow-supervisor keeps the processes of a computer running. See svc-node/internal/supervisor.
package main

import (
	"os"

	"github.com/vow-os/vow/svc-node/app/supervisor"
)

func main() {
	supervisor.Stub()
	os.Exit(supervisor.Main(os.Args[1:], os.Stderr))
}
