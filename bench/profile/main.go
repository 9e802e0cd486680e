package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/vow-os/vow/bench/report"
)

// size is how often each is measured.
type size struct{ ours, peer int }

func main() {
	s := size{ours: 400, peer: 20}
	if os.Getenv("BENCH_SHORT") != "" {
		s = size{ours: 100, peer: 5}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s size) error {
	dir, err := os.MkdirTemp("", "bench-profile")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	r := report.Begin(os.Stdout)
	defer r.End()

	o, err := newOurs(filepath.Join(dir, "ours"))
	if err != nil {
		return err
	}
	first, err := timed(func() error { return o.install(ctx, true) })
	if err != nil {
		return err
	}
	p, err := newPeer(filepath.Join(dir, "peer"))
	if err != nil && !errors.Is(err, errNoPeer) {
		return err
	}
	var firstPeer time.Duration
	if p != nil {
		if firstPeer, err = timed(func() error { return p.install(ctx) }); err != nil {
			return err
		}
		if err := equal(o.dir, p.dir); err != nil {
			return err
		}
	} else {
		r.Note("%v", err)
	}

	// A few of ours between any two of the peer's, so that both see the same machine.
	var ours, cold, peers []time.Duration
	for range s.peer {
		for range s.ours / s.peer {
			took, err := timed(func() error { return o.install(ctx, false) })
			if err != nil {
				return err
			}
			ours = append(ours, took)
			o.forget()
			if took, err = timed(func() error { return o.install(ctx, false) }); err != nil {
				return err
			}
			cold = append(cold, took)
		}
		if p == nil {
			continue
		}
		took, err := timed(func() error { return p.install(ctx) })
		if err != nil {
			return err
		}
		peers = append(peers, took)
	}
	name := fmt.Sprintf("nothing to change, %d parts, ", Parts)
	r.AtMost(name+"p50 ms", report.Percentile(ours, 50), 0, 5)
	r.AtMost(name+"p99 ms", report.Percentile(ours, 99), 0, 5)
	r.Slower(name+"p50 ms, peer: zc.buildout", report.Percentile(ours, 50), report.Percentile(peers, 50), 100)
	r.Slower(name+"without a cache, p50 ms, peer: zc.buildout", report.Percentile(cold, 50), report.Percentile(peers, 50), 100)
	r.Note("first run: %.0f ms, zc.buildout %.0f ms", milliseconds(first), milliseconds(firstPeer))
	return nil
}

func timed(do func() error) (time.Duration, error) {
	began := time.Now()
	err := do()
	return time.Since(began), err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
