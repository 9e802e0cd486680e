package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/wait"
)

const (
	// floodFactor is how much more than what was answered before is asked for, on top of it.
	floodFactor = 3
	// flooders are clients with a connection and a retry budget of their own; a connection carries 1,000 calls at once, and svc-master holds 5,120.
	flooders = 16
	// floodPatience is how long a caller of the flood waits for its answer.
	floodPatience = 10 * time.Second
	// floodMost bounds the calls of the flood that wait, for the memory of this process: it would ask for more than that only where a second of work takes ten.
	floodMost = 40_000
	// recovered is how long after the flood the goodput is compared, over as long as before it.
	recovered = 10 * time.Second
)

// measureOverload bangs 1,000 trees from 256 callers, each as soon as its last bang was answered, before, during and after a flood of three times what was answered: calls that come at their times, whatever becomes of those before them.
func measureOverload(ctx context.Context, short bool, r *report.Report) error {
	before, flooded := 10*time.Second, 30*time.Second
	if short {
		before, flooded = 5*time.Second, 10*time.Second
	}
	fleet, end, err := begin(ctx, load.Options{}, load.Shape{Nodes: 10, Partitions: 100, Tree: 1, Slots: 4}, load.Watch{})
	if err != nil {
		return err
	}
	defer end()

	var answered, flood, refused, late atomic.Int64
	calling, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for caller := range callers {
		bang := fleet.Banger(caller)
		all.Go(func() {
			for n := 0; calling.Err() == nil; n++ {
				if _, err := bang(calling, fleet.Trees[(caller+n*callers)%len(fleet.Trees)], fmt.Sprintf("steady-%d-%d", caller, n)); err == nil {
					answered.Add(1)
				}
			}
		})
	}
	goodput := func(length time.Duration) (float64, error) {
		from, began := answered.Load(), time.Now()
		err := wait.For(ctx, length)
		return float64(answered.Load()-from) / time.Since(began).Seconds(), err
	}
	if _, err := goodput(before / 2); err != nil { // warm
		return err
	}
	steady, err := goodput(before)
	if err != nil {
		return err
	}

	var bangs []load.Banger
	for range flooders {
		client, err := fleet.Plane.Client(load.Master)
		if err != nil {
			return err
		}
		defer client.Close()
		bangs = append(bangs, load.NewBanger(client))
	}
	began, offered := time.Now(), 0
	from := answered.Load()
	var waiting sync.WaitGroup
	var outstanding atomic.Int64
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for since := time.Duration(0); since < flooded; since = time.Since(began) {
		for ; offered < int(since.Seconds()*steady*floodFactor) && outstanding.Load() < floodMost; offered++ {
			n := offered
			outstanding.Add(1)
			waiting.Go(func() {
				defer outstanding.Add(-1)
				ctx, done := context.WithTimeout(calling, floodPatience)
				defer done()
				switch _, err := bangs[n%flooders](ctx, fleet.Trees[n%len(fleet.Trees)], fmt.Sprint("flood-", n)); {
				case err == nil:
					flood.Add(1)
				case rpc.Reason(err) == rpc.ReasonOverloaded:
					refused.Add(1)
				default:
					late.Add(1)
				}
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	took := time.Since(began).Seconds()
	during := float64(answered.Load()-from+flood.Load()) / took
	r.Note("overload: %.0f calls a second were answered to %d callers; for %.0f s %.0f a second came on top (%.1f times as many): %.0f a second were answered to all, %d of the flood refused, %d not answered in %s",
		steady, callers, took, float64(offered)/took, float64(offered)/took/steady, during, refused.Load(), late.Load(), floodPatience)

	ended := time.Now()
	back := time.Duration(-1)
	for second := 1; time.Since(ended) < recovered; second++ {
		rate, err := goodput(time.Second)
		if err != nil {
			return err
		}
		if rate >= 0.95*steady && back < 0 {
			back = time.Since(ended)
		}
	}
	waiting.Wait()
	after, err := goodput(before)
	if err != nil {
		return err
	}
	if back >= 0 {
		r.Note("overload: the first second with 95 %% of the goodput of before ended %.1f s after the flood", back.Seconds())
	} else {
		r.Note("overload: no second of the first %s after the flood had 95 %% of the goodput of before", recovered)
	}
	r.AtLeast("overload, fsync "+fleet.Plane.Redis.Fsync(ctx)+": goodput from 10 s after a flood of 3 times the capacity on, % of before", 100*after/steady, 0, 95)
	return nil
}
