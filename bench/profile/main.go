package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
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
	fmt.Println("name\tours\tpeer\tratio\tgoal\tresult")
	load("start")

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
		fmt.Printf("# %v\n", err)
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
	line(name+"p50 ms", at(ours, 50), 0, 5, 0)
	line(name+"p99 ms", at(ours, 99), 0, 5, 0)
	line(name+"p50 ms, peer: zc.buildout", at(ours, 50), at(peers, 50), 0, 100)
	line(name+"without a cache, p50 ms, peer: zc.buildout", at(cold, 50), at(peers, 50), 0, 100)
	line("first run, ms, peer: zc.buildout", milliseconds(first), milliseconds(firstPeer), 0, 0)
	load("end")
	return nil
}

// load tells how busy the machine is: the figures are to be read with it.
func load(when string) {
	content, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("# load at the %s: %s\n", when, strings.TrimSpace(string(content)))
}

func timed(do func() error) (time.Duration, error) {
	began := time.Now()
	err := do()
	return time.Since(began), err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// at is a percentile in milliseconds; 0 of nothing.
func at(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return milliseconds(sorted[min(len(sorted)-1, len(sorted)*percent/100)])
}

// line prints one figure. atMost is a goal in its own unit, times how often the peer has to be slower; 0 = no such goal.
func line(name string, ours, peer, atMost, times float64) {
	beside, ratio, goal, result := "-", "-", "-", "ok"
	if peer > 0 {
		beside, ratio = fmt.Sprintf("%.2f", peer), fmt.Sprintf("%.0f", peer/ours)
	}
	switch {
	case atMost > 0:
		goal = fmt.Sprintf("at most %g", atMost)
		if ours > atMost {
			result = "short"
		}
	case times > 0:
		goal = fmt.Sprintf("%g times slower", times)
		if peer < times*ours {
			result = "short"
		}
	}
	fmt.Printf("%s\t%.2f\t%s\t%s\t%s\t%s\n", name, ours, beside, ratio, goal, result)
}
