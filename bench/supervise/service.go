package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/wait"
)

// birth is a service that says that it runs.
type birth struct {
	name string
	pid  int
	at   time.Time
}

// nursery hears of the births of all services of one supervisor.
type nursery struct {
	pipe   string
	file   *os.File
	births chan birth

	mu  sync.Mutex
	now map[string]birth
}

// newNursery makes the pipe that services write to.
func newNursery(dir string) (*nursery, error) {
	n := &nursery{pipe: filepath.Join(dir, "births"), births: make(chan birth, 4096), now: map[string]birth{}}
	if err := syscall.Mkfifo(n.pipe, 0o600); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	var err error
	if n.file, err = os.OpenFile(n.pipe, os.O_RDWR, 0); err != nil { // for writing too, so that it never ends
		return nil, fmt.Errorf("cannot open the pipe: %w", err)
	}
	go func() {
		lines := bufio.NewScanner(n.file)
		for lines.Scan() {
			b := birth{at: time.Now()}
			if _, err := fmt.Sscan(lines.Text(), &b.name, &b.pid); err != nil {
				continue
			}
			n.mu.Lock()
			n.now[b.name] = b
			n.mu.Unlock()
			n.births <- b
		}
	}()
	return n, nil
}

func (n *nursery) close() { _ = n.file.Close() }

// script is the command line of a service.
func (n *nursery) script(name string) []string {
	return []string{"/bin/sh", "-c", "echo " + name + " $$ >" + n.pipe + "; exec sleep 100000"}
}

// wait waits until so many services have been born.
func (n *nursery) wait(ctx context.Context, number int) error {
	for range number {
		select {
		case <-n.births:
		case <-ctx.Done():
			return fmt.Errorf("cannot start %d services: %w", number, ctx.Err())
		}
	}
	return nil
}

func (n *nursery) of(name string) birth {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now[name]
}

// kill kills a service and waits for its replacement.
func (n *nursery) kill(ctx context.Context, name string, pid func(int, time.Time)) (time.Duration, error) {
	victim := n.of(name)
	began := time.Now()
	if pid != nil {
		pid(victim.pid, began)
	}
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("cannot kill %s: %w", name, err)
	}
	for {
		select {
		case b := <-n.births:
			if b.name == name {
				return b.at.Sub(began), nil
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("cannot see the replacement of %s: %w", name, ctx.Err())
		}
	}
}

// round kills each service once, spread over the time, and no sooner than a healthy time after its last start: deaths of
// their own accord do not come in a row either, and what a supervisor prepares after one is no part of the next.
func (n *nursery) round(ctx context.Context, names []string, healthy time.Duration, pid func(int, time.Time)) ([]time.Duration, error) {
	var took []time.Duration
	apart := healthy / time.Duration(len(names))
	for _, name := range names {
		next := max(apart, time.Until(n.of(name).at.Add(healthy)))
		if err := wait.For(ctx, next); err != nil {
			return nil, err
		}
		d, err := n.kill(ctx, name, pid)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// floor measures the start of a service by fork and exec alone.
func floor(ctx context.Context, n *nursery, times int) ([]time.Duration, error) {
	var took []time.Duration
	for range times {
		argv := n.script("floor")
		began := time.Now()
		c := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if err := c.Start(); err != nil {
			return nil, fmt.Errorf("cannot start a service: %w", err)
		}
		b := <-n.births
		took = append(took, b.at.Sub(began))
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	return took, nil
}
