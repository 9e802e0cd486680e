package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// callers of bangs over RPC.
const callers = 256

// measureRPC bangs one tree of 100 partitions, and then 1,000 trees, through a svc-master process.
func measureRPC(ctx context.Context, short bool, r *report.Report) error {
	took := 10 * time.Second
	if short {
		took = 3 * time.Second
	}
	err := bangsOf(ctx, load.Shape{Nodes: 11, Partitions: 100, Tree: 100, Slots: 4}, 1, took, "one tree of 100 partitions", 3_000, r)
	if err != nil {
		return err
	}
	return bangsOf(ctx, load.Shape{Nodes: 10, Partitions: 100, Tree: 1, Slots: 4}, 1_000, took, "1000 trees", 1_000, r)
}

// bangsOf bangs the first trees of a fleet. No node is connected: what is measured is the acceptance of bangs, not the runs that answer them.
func bangsOf(ctx context.Context, shape load.Shape, trees int, took time.Duration, what string, least float64, r *report.Report) error {
	fleet, end, err := begin(ctx, load.Options{}, shape, load.Watch{})
	if err != nil {
		return err
	}
	defer end()
	used := fleet.Plane.Used()
	rate, late, err := bangs(ctx, fleet, fleet.Trees[:trees], took)
	if err != nil {
		return err
	}
	costs(r, "of a bang on "+what, used, fleet.Plane.Used(), float64(len(late)))
	r.AtLeast("rpc, fsync "+fleet.Plane.Redis.Fsync(ctx)+": bangs a second on "+what+", 256 callers", rate, 0, least)
	r.Note("rpc: p50 %.1f ms, p99 %.1f ms", report.Percentile(late, 50), report.Percentile(late, 99))
	return nil
}

// bangs sends bangs to trees in turn for a time, and returns how many were acknowledged in a second and how long each took.
func bangs(ctx context.Context, f *load.Fleet, trees []string, took time.Duration) (rate float64, late []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, took+time.Minute)
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	began := time.Now()
	for caller := range callers {
		bang := f.Banger(caller)
		all.Go(func() {
			var mine []time.Duration
			for time.Since(began) < took {
				n := next.Add(1)
				at := time.Now()
				if _, err := bang(ctx, trees[int(n)%len(trees)], fmt.Sprint("bench-", n)); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			late = append(late, mine...)
			mu.Unlock()
		})
	}
	all.Wait()
	return float64(len(late)) / time.Since(began).Seconds(), late, failed
}
