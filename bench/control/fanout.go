package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// measureFanOut bangs trees that spread over many nodes.
func measureFanOut(ctx context.Context, short bool, r *report.Report) error {
	times := 200
	sizes := []int{1_000, 5_000}
	if short {
		times = 40
	}
	if only, err := strconv.Atoi(os.Getenv("BENCH_NODES")); err == nil {
		sizes = slices.DeleteFunc(sizes, func(n int) bool { return n != only })
	} else if err := satisfied(ctx, times, r); err != nil {
		return err
	}
	var failed error // a size that this machine does not do leaves the others to be printed
	for i, nodes := range sizes {
		if short && (i > 0 || nodes > 1_000) {
			times = 15
		}
		goal := map[int]float64{1_000: 40, 5_000: 150}[nodes]
		if err := lastOrder(ctx, nodes, times, goal, r); err != nil {
			failed = errors.Join(failed, fmt.Errorf("cannot fan out to %d nodes: %w", nodes, err))
		}
	}
	return failed
}

// round follows one bang: when each partition got its order, and when its convergence closed.
type round struct {
	mu      sync.Mutex
	pending map[string]bool // computers that have no order of this bang yet
	ordered chan struct{}   // closed when all have one
	closed  chan struct{}   // closed when the convergence is
}

func (r *round) begin(nodes []*load.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = make(map[string]bool, len(nodes))
	for _, n := range nodes {
		r.pending[n.Computer] = true
	}
	r.ordered, r.closed = make(chan struct{}), make(chan struct{})
}

// left is how many computers have no order yet.
func (r *round) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}

// one of the computers that have no order yet; empty = there is none.
func (r *round) one() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for computer := range r.pending {
		return computer
	}
	return ""
}

func (r *round) order(n *load.Node, o *schedulerv1.Order) {
	if len(o.GetBangs()) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[n.Computer] {
		if delete(r.pending, n.Computer); len(r.pending) == 0 {
			close(r.ordered)
		}
	}
}

func (r *round) reported(_ *load.Node, closed string) {
	if closed == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed != nil {
		close(r.closed)
		r.closed = nil
	}
}

// lastOrder measures from the call of Bang until the last of the nodes has its order. Nodes begin their runs at once; the next bang comes when all are satisfied.
func lastOrder(ctx context.Context, nodes, times int, goal float64, r *report.Report) error {
	took, whole, fsync, err := rounds(ctx, load.Shape{Nodes: nodes, Partitions: 1, Tree: nodes, Slots: 2}, times, r)
	if err != nil {
		return err
	}
	floor, err := load.Floor(ctx, nodes, times)
	if err != nil {
		return err
	}
	r.AtMost(fmt.Sprintf("fan-out, fsync %s: a bang until the last of %d nodes has its order, p99 ms", fsync, nodes), report.Percentile(took, 99), report.Percentile(floor, 99), goal)
	r.Note("floor of %d nodes: a message from one bare process to %d bare HTTP/2 streams of another, p50 %.1f, p99 %.1f ms", nodes, nodes, report.Percentile(floor, 50), report.Percentile(floor, 99))
	r.Note("fan-out to %d nodes: %d bangs, p50 %.1f ms; until satisfied p50 %.1f, p99 %.1f ms", nodes, len(took), report.Percentile(took, 50), report.Percentile(whole, 50), report.Percentile(whole, 99))
	return nil
}

// satisfied measures from the call of Bang until the last report that closes the convergence, of 100 partitions on 10 nodes, whose runs take 10 ms.
func satisfied(ctx context.Context, times int, r *report.Report) error {
	_, whole, fsync, err := rounds(ctx, load.Shape{Nodes: 10, Partitions: 10, Tree: 100, Slots: 4, Run: 10 * time.Millisecond}, times, r)
	if err != nil {
		return err
	}
	r.AtMost("fan-out, fsync "+fsync+": bang to satisfied of 100 partitions on 10 nodes of 4 slots, p50 ms", report.Percentile(whole, 50), 0, 300)
	r.AtMost("fan-out, fsync "+fsync+": bang to satisfied of 100 partitions on 10 nodes of 4 slots, p99 ms", report.Percentile(whole, 99), 0, 1000)
	return nil
}

// rounds bangs the tree of a fleet again and again.
func rounds(ctx context.Context, shape load.Shape, times int, r *report.Report) (ordered, whole []time.Duration, fsync string, err error) {
	now := &round{}
	fleet, end, err := begin(ctx, load.Options{}, shape, load.Watch{Ordered: now.order, Reported: now.reported})
	if err != nil {
		return nil, nil, "", err
	}
	defer end()
	plane := fleet.Plane
	if err := connect(ctx, fleet, time.Millisecond); err != nil {
		return nil, nil, "", err
	}
	bang := fleet.Banger(0)
	used, reports := plane.Used(), fleet.Reports()
	profiled, err := profile(plane)
	if err != nil {
		return nil, nil, "", err
	}
	defer profiled()
	toLast := map[string]time.Duration{}
	defer func() {
		costs(r, "of an order, until the last is received", nil, toLast, float64(len(ordered)*shape.Tree))
		costs(r, "of a run, from its order to its report", used, plane.Used(), float64(fleet.Reports()-reports))
	}()
	overtaken := 0
	for n := range times {
		now.begin(fleet.Nodes)
		orders, closed := now.ordered, now.closed
		before := plane.Used()
		began := time.Now()
		if _, err := bang(ctx, fleet.Trees[0], fmt.Sprint("round-", n)); err != nil {
			return nil, nil, "", err
		}
		timer := time.NewTimer(time.Minute)
		for orders != nil || closed != nil {
			select {
			case <-orders:
				ordered, orders = append(ordered, time.Since(began)), nil
				for name, used := range plane.Used() {
					toLast[name] += used - before[name]
				}
			case <-closed:
				if whole, closed = append(whole, time.Since(began)), nil; orders != nil && now.left() > 0 {
					// A run that was ordered before the bang and began after it answers it: that node gets no other order. Its time is the whole.
					ordered, orders = append(ordered, time.Since(began)), nil
					overtaken++
				}
			case <-timer.C:
				left := now.left()
				err := fmt.Errorf("waited a minute in vain for bang %d: %d nodes have no order of it, %d not all their streams, %d of %d runs are reported",
					n, left, fleet.Apart(), fleet.Reports()-reports, (n+1)*shape.Tree)
				if left > 0 {
					err = errors.Join(err, plane.Agenda(ctx, now.one(), "slappart0"))
				}
				return nil, nil, "", errors.Join(err, fleet.Failed())
			case <-ctx.Done():
				return nil, nil, "", ctx.Err()
			}
		}
		timer.Stop()
	}
	if overtaken > 0 {
		r.Note("fan-out to %d nodes: %d bangs were answered by a run that had been ordered before them; they count until satisfied", shape.Nodes, overtaken)
	}
	disk(ctx, plane.Redis, r)
	return ordered, whole, plane.Redis.Fsync(ctx), nil
}
