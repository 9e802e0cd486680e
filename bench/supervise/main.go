package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/vow-os/vow/bench/report"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/supervise"
)

// size is how much is measured.
type size struct{ services, rounds, peerKills, idle, bangs int }

func main() {
	s := size{services: 100, rounds: 10, peerKills: 100, idle: 300, bangs: 200}
	if os.Getenv("BENCH_SHORT") != "" {
		s.rounds, s.peerKills, s.bangs = 3, 20, 50
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s size) error {
	dir, err := os.MkdirTemp("", "bench-supervise")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	r := report.Begin(os.Stdout)
	defer r.End()
	r.Note("%d kills of %d services", s.services*s.rounds, s.services)

	theirs, err := measurePeer(ctx, filepath.Join(dir, "peer"), s)
	if err != nil && !errors.Is(err, errNoPeer) {
		return err
	}
	if err != nil {
		r.Note("%v", err)
	}
	if err := measureOurs(ctx, filepath.Join(dir, "ours"), s, theirs, r); err != nil {
		return err
	}
	return measureBang(ctx, s, r)
}

func services(number int) []string {
	var names []string
	for i := range number {
		names = append(names, fmt.Sprintf("s%03d", i))
	}
	return names
}

// measurePeer kills services of supervisord, which takes about a second for each.
func measurePeer(ctx context.Context, dir string, s size) (took []time.Duration, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	names := services(s.services)
	p, err := startPeer(ctx, dir, names)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	return p.round(ctx, names[:s.peerKills], supervise.Healthy, nil)
}

func measureOurs(ctx context.Context, dir string, s size, theirs []time.Duration, r *report.Report) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	o, err := startOurs(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stop()) }()
	least, err := floor(ctx, o.nursery, 200)
	if err != nil {
		return err
	}
	names := services(s.services)
	if err := o.define(ctx, "p0", names); err != nil {
		return err
	}
	var all []time.Duration
	for range s.rounds {
		took, err := o.round(ctx, names, supervise.Healthy+500*time.Millisecond, o.killed)
		if err != nil {
			return err
		}
		all = append(all, took...)
	}
	r.AtMost("restart p50 ms, floor: start alone", report.Percentile(all, 50), report.Percentile(least, 50), 10)
	r.AtMost("restart p99 ms, floor: start alone", report.Percentile(all, 99), report.Percentile(least, 99), 10)
	r.Slower("restart p50 ms, peer: supervisord", report.Percentile(all, 50), report.Percentile(theirs, 50), 100)
	r.Slower("restart p99 ms, peer: supervisord", report.Percentile(all, 99), report.Percentile(theirs, 99), 100)
	r.AtMost("kill until the client hears p99 ms", report.Percentile(o.notices(), 99), 0, 10)

	more := services(s.idle)[s.services:]
	for i := 0; i < len(more); i += 100 {
		if err := o.define(ctx, "p"+strconv.Itoa(1+i/100), more[i:min(i+100, len(more))]); err != nil {
			return err
		}
	}
	if err := wait.For(ctx, 5*time.Second); err != nil { // until the journal is synchronised and the heap is collected
		return err
	}
	_, before, err := usage(o.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := wait.For(ctx, 10*time.Second); err != nil {
		return err
	}
	memory, after, err := usage(o.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r.AtMost(fmt.Sprintf("resident MB with %d services", s.idle), float64(memory)/1e6, 0, 12)
	r.AtMost(fmt.Sprintf("CPU ticks in 10 s with %d services", s.idle), float64(after-before), 0, 0)
	return nil
}

// measureBang asks the benchmark of the agent, which needs its fake control plane: from the kill of a service under a
// real supervisor until Bang arrives at svc-master's side of the network.
func measureBang(ctx context.Context, s size, r *report.Report) error {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkBang$", "-benchtime", strconv.Itoa(s.bangs)+"x", "github.com/vow-os/vow/svc-node/app")
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot measure the bang: %w\n%s", err, out)
	}
	found := regexp.MustCompile(`([0-9.]+) bang-p99-ms`).FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("cannot read the benchmark of the bang:\n%s", out)
	}
	p99, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return fmt.Errorf("cannot read the benchmark of the bang: %w", err)
	}
	r.AtMost("kill until the bang arrives p99 ms", p99, 0, 10)
	return nil
}
