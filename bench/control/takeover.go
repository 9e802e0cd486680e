package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// measureTakeover kills one of two replicas of svc-scheduler and notes when each of its computers has a stream of orders at the other.
func measureTakeover(ctx context.Context, short bool, r *report.Report) error {
	nodes := 1_000
	if short {
		nodes = 300
	}
	var mu sync.Mutex
	var killed time.Time
	lost := map[string]bool{}
	var took []time.Duration
	all := make(chan struct{})
	fleet, end, err := begin(ctx, load.Options{Schedulers: 2}, load.Shape{Nodes: nodes, Partitions: 1, Tree: 10, Slots: 2}, load.Watch{Owned: func(n *load.Node) {
		mu.Lock()
		defer mu.Unlock()
		if !lost[n.Computer] {
			return
		}
		took = append(took, time.Since(killed))
		if delete(lost, n.Computer); len(lost) == 0 {
			close(all)
		}
	}})
	if err != nil {
		return err
	}
	defer end()
	if err := connect(ctx, fleet, 2*time.Millisecond); err != nil {
		return err
	}
	mu.Lock()
	for _, n := range fleet.Nodes {
		if n.Replica() == 0 {
			lost[n.Computer] = true
		}
	}
	computers := len(lost)
	killed = time.Now()
	mu.Unlock()
	fleet.Plane.Of(load.Scheduler)[0].Kill()
	select {
	case <-all:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("a minute after a replica of svc-scheduler died, not all of its computers were owned again")
	}
	r.AtMost(fmt.Sprintf("takeover: half of the %d computers of a dead svc-scheduler are owned again after s", computers), report.Percentile(took, 50)/1000, 0, 3)
	r.AtMost(fmt.Sprintf("takeover: the last of the %d computers of a dead svc-scheduler is owned again after s", computers), report.Percentile(took, 100)/1000, 0, 10)
	return nil
}
