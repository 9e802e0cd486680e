package main

import (
	"context"
	"os"

	"github.com/vow-os/vow/svc-node/app/supervisor"
	"github.com/vow-os/vow/vow/internal/command"
)

func main() {
	supervisor.Stub() // a process that the supervisor creates becomes something else here
	os.Exit(command.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
