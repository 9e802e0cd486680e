package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/vow-os/vow/bench/internal/api"
	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/kit/wait"
)

// floorAddress in the environment makes this program the floor of the measure of memory.
const floorAddress = "BENCH_FLOOR_ADDRESS"

// measureFloor is what an idle stream costs a bare server of the same libraries: resident bytes for each connection, after as long a wait as the services get.
func measureFloor(ctx context.Context, connections int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	address, err := load.FreeAddress()
	if err != nil {
		return 0, err
	}
	server := exec.CommandContext(ctx, self) //nolint:gosec // our own
	server.Env = append(os.Environ(), floorAddress+"="+address)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	if err := load.Until(ctx, "the floor serves", func() bool { return api.OpenFloor(ctx, address) == nil }); err != nil {
		return 0, err
	}
	if err := wait.For(ctx, soon); err != nil {
		return 0, err
	}
	before, err := load.Resident(server.Process.Pid)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	opened := make(chan error, connections)
	for range connections {
		all.Go(func() { opened <- api.OpenFloor(ctx, address) })
		if err := wait.For(ctx, 2*time.Millisecond); err != nil { // as the nodes come
			return 0, err
		}
	}
	all.Wait()
	for range connections {
		if err := <-opened; err != nil {
			return 0, fmt.Errorf("cannot connect to the floor: %w", err)
		}
	}
	if err := wait.For(ctx, soon); err != nil {
		return 0, err
	}
	after, err := load.Resident(server.Process.Pid)
	return float64(after-before) / float64(connections), err
}
