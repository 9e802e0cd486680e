package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/svc-node/app/supervisor"
	"github.com/vow-os/vow/svc-node/supervise"
)

// ours is a vow-supervisor in a folder of its own.
type ours struct {
	dir    string
	cmd    *exec.Cmd
	said   bytes.Buffer
	client *supervisor.Client
	*nursery

	mu    sync.Mutex
	kills map[int]time.Time
	heard []time.Duration
}

// startOurs builds and starts vow-supervisor.
func startOurs(ctx context.Context, dir string) (*ours, error) {
	program := filepath.Join(dir, "vow-supervisor")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/vow-os/vow/svc-node/cmd/vow-supervisor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build vow-supervisor: %w\n%s", err, out)
	}
	n, err := newNursery(dir)
	if err != nil {
		return nil, err
	}
	o := &ours{dir: filepath.Join(dir, "state"), nursery: n, kills: map[int]time.Time{}}
	o.cmd = exec.CommandContext(ctx, program, "--dir", o.dir)
	o.cmd.Cancel = func() error { return o.cmd.Process.Signal(os.Interrupt) } // it stops its services
	o.cmd.Stderr = &o.said
	if err := o.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start vow-supervisor: %w", err)
	}
	if _, err := supervisor.WaitReady(ctx, o.dir); err != nil {
		return nil, err
	}
	o.client = supervisor.NewClient(o.dir)
	exits, err := o.client.Subscribe(ctx, 0)
	if err != nil {
		return nil, err
	}
	go func() {
		for e := range exits {
			now := time.Now()
			o.mu.Lock()
			if began, ok := o.kills[e.PID]; ok {
				o.heard = append(o.heard, now.Sub(began))
			}
			o.mu.Unlock()
		}
	}()
	return o, nil
}

// killed remembers a kill, to be compared with the exit that is heard of.
func (o *ours) killed(pid int, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kills[pid] = at
}

func (o *ours) notices() []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]time.Duration(nil), o.heard...)
}

// define makes these the services.
func (o *ours) define(ctx context.Context, partition string, names []string) error {
	var all []supervise.Process
	for _, name := range names {
		argv := o.script(name)
		all = append(all, supervise.Process{
			Key: supervise.Key{Partition: partition, Name: name}, Kind: supervise.Service, Watched: true, Path: argv[0], Argv: argv, Dir: "/",
			Env: []string{"PATH=/usr/bin:/bin"}, Log: supervise.Log{Path: filepath.Join(filepath.Dir(o.dir), name+".log"), MaxBytes: 1 << 20},
		})
	}
	if err := o.client.Apply(ctx, partition, all); err != nil {
		return err
	}
	return o.wait(ctx, len(names))
}

// stop stops everything.
func (o *ours) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer o.close()
	if err := o.client.Shutdown(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, o.said.String())
	}
	return o.cmd.Wait()
}

// usage is the resident memory in bytes and the processor time in ticks of 10 ms of a process.
func usage(pid int) (memory, ticks int64, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read what process %d uses: %w", pid, err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	number := func(field int) int64 { // as proc_pid_stat(5) counts
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	return number(24) * int64(os.Getpagesize()), number(14) + number(15), nil
}
