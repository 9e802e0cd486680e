package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vow-os/vow/bench/report"
	node "github.com/vow-os/vow/svc-node/app"
)

// measureExecutable senses `#!/bin/sh exit 0` beside what cannot be less: fork, exec, a pipe for the output and a process
// group, by as many loops at once. They take turns, since the machine's speed changes.
func measureExecutable(ctx context.Context, short bool, r *report.Report) error {
	dir, err := os.MkdirTemp("", "bench-promise")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	path := filepath.Join(dir, "etc", "promise", "p")
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o750); err != nil { //nolint:gosec // it is to be executed
		return err
	}
	sensors, err := sensorsIn(dir)
	if err != nil {
		return err
	}
	defer sensors.Stop(ctx) //nolint:errcheck // it has nothing to lose
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
	request := node.Sensing{Partition: "slappart0", Directory: dir, Env: env, Promise: sensors.promises[0]}
	ours := func() error {
		g := sensors.Sense(ctx, request)
		if g.GetError() != "" || len(g.GetEntries()) != 1 {
			return fmt.Errorf("a sensor says %v", g)
		}
		return nil
	}
	turns, each := 6, 2*time.Second
	if short {
		turns, each = 2, time.Second
	}
	var own, floor float64
	for range turns {
		rate, err := atOnce(runtime.NumCPU(), each, func() error { return bare(path, dir, env) })
		if err != nil {
			return err
		}
		floor += rate / float64(turns)
		if rate, err = atOnce(runtime.NumCPU(), each, ours); err != nil {
			return err
		}
		own += rate / float64(turns)
	}
	r.Near("executables a second, #!/bin/sh exit 0, floor: fork, exec, pipe and group", own, floor, 1.5)
	r.AtLeast("executables a second", own, 0, 1900)
	return nil
}

// bare is the floor: system calls, no library of processes, no time-out.
func bare(path, dir string, env []string) error {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	output := uintptr(pipe[1]) //nolint:gosec // a descriptor
	pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{0, output, output}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	_ = syscall.Close(pipe[1])
	if err == nil {
		var b [512]byte
		for n := 1; n > 0; {
			n, _ = syscall.Read(pipe[0], b[:])
		}
		var status syscall.WaitStatus
		if _, err = syscall.Wait4(pid, &status, 0, nil); err == nil && status.ExitStatus() != 0 {
			err = errors.New("the child failed")
		}
	}
	_ = syscall.Close(pipe[0])
	return err
}

// atOnce calls do in as many loops at once for a while and tells how often a second.
func atOnce(loops int, each time.Duration, do func() error) (float64, error) {
	var count atomic.Int64
	var failed atomic.Value
	var all sync.WaitGroup
	began := time.Now()
	for range loops {
		all.Go(func() {
			for time.Since(began) < each && failed.Load() == nil {
				if err := do(); err != nil {
					failed.Store(err)
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	if err, ok := failed.Load().(error); ok {
		return 0, err
	}
	return float64(count.Load()) / time.Since(began).Seconds(), nil
}

// sensing is the sensors of svc-node and the promises of a directory.
type sensing struct {
	*node.Sensors
	promises []node.Promise
}

func sensorsIn(dir string) (sensing, error) {
	promises, err := node.Promises(dir)
	if err != nil || len(promises) == 0 {
		return sensing{}, fmt.Errorf("no promises in %s: %w", dir, err)
	}
	return sensing{node.NewSensors(filepath.Join(dir, "python"), nil), promises}, nil
}
