package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// measureRestart kills every service under a connected fleet in which each partition runs once a minute, and compares the orders and the store's
// writes of the time in which the nodes come back with those before.
func measureRestart(ctx context.Context, short bool, r *report.Report) error {
	nodes, watched := 5_000, time.Minute
	if short {
		nodes = 1_000
	}
	var orders atomic.Int64
	// 5,000 nodes are advised a minute (docs/scale.md); fewer are told to take as long.
	fleet, end, err := begin(ctx, load.Options{ReconnectWindow: watched}, load.Shape{Nodes: nodes, Partitions: 1, Tree: 10, Slots: 2, Period: time.Minute}, load.Watch{
		Ordered: func(*load.Node, *schedulerv1.Order) { orders.Add(1) },
	})
	if err != nil {
		return err
	}
	defer end()
	plane := fleet.Plane
	if err := connect(ctx, fleet, 2*time.Millisecond); err != nil {
		return err
	}
	used, reports := plane.Used(), fleet.Reports()
	steady, err := watch(ctx, plane, &orders, watched)
	if err != nil {
		return err
	}
	costs(r, fmt.Sprintf("of a periodic run with %d nodes connected, contacts and pings included", nodes), used, plane.Used(), float64(fleet.Reports()-reports))
	redBefore, err := red(ctx, fleet)
	if err != nil {
		return err
	}
	for _, s := range plane.Services {
		s.Kill()
	}
	for _, s := range plane.Services {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	returning := time.Now()
	back, err := watch(ctx, plane, &orders, watched)
	if err != nil {
		return err
	}
	apart := fleet.Apart()
	for fleet.Apart() > 0 { // on a busy machine they take longer, and those minutes count too
		more, err := watch(ctx, plane, &orders, watched)
		if err != nil {
			return err
		}
		back.orders, back.writes = max(back.orders, more.orders), max(back.writes, more.writes)
		back.mostOrders, back.mostWrites = max(back.mostOrders, more.mostOrders), max(back.mostWrites, more.mostWrites)
	}
	took := time.Since(returning)
	redAfter, err := red(ctx, fleet)
	if err != nil {
		return err
	}
	fsync := plane.Redis.Fsync(ctx)
	r.AtMost(fmt.Sprintf("restart, fsync %s: orders a second while %d nodes come back within %s", fsync, nodes, watched), back.orders, steady.orders, 1.5*steady.orders)
	r.AtMost(fmt.Sprintf("restart, fsync %s: store writes a second while %d nodes come back within %s", fsync, nodes, watched), back.writes, steady.writes, 1.5*steady.writes)
	r.AtMost(fmt.Sprintf("restart: partitions of %d newly Red", nodes), float64(max(redAfter-redBefore, 0)), 0, 0)
	r.Note("restart: the busiest second had %.0f orders (%.0f before) and %.0f writes (%.0f before); %d nodes were not back at the end of the window; the last was after %.0f s", back.mostOrders, steady.mostOrders, back.mostWrites, steady.mostWrites, apart, took.Seconds())
	return nil
}

// flow is what happened in a second: on average, and most.
type flow struct{ orders, writes, mostOrders, mostWrites float64 }

func watch(ctx context.Context, p *load.Plane, orders *atomic.Int64, d time.Duration) (flow, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var f flow
	began, firstOrders := time.Now(), orders.Load()
	firstWrites, err := p.Redis.Writes(ctx)
	if err != nil {
		return f, err
	}
	lastOrders, lastWrites := firstOrders, firstWrites
	for time.Since(began) < d {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return f, ctx.Err()
		}
		writes, err := p.Redis.Writes(ctx)
		if err != nil {
			return f, err
		}
		now := orders.Load()
		f.mostOrders, f.mostWrites = max(f.mostOrders, float64(now-lastOrders)), max(f.mostWrites, float64(writes-lastWrites))
		lastOrders, lastWrites = now, writes
	}
	took := time.Since(began).Seconds()
	f.orders, f.writes = float64(lastOrders-firstOrders)/took, float64(lastWrites-firstWrites)/took
	return f, nil
}

// red counts the partitions that are Red for sure.
func red(ctx context.Context, f *load.Fleet) (int, error) {
	all := 0
	for _, treeID := range f.Trees {
		n, err := f.Red(ctx, treeID)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}
