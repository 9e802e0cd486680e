package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// setting is one way to run the peer.
type setting struct {
	name string
	asynq.Config
}

// The peer as its own benchmark runs it, and what its documentation offers for speed. Its default interval of 5 s for tasks of a later time is what
// makes them late; a shorter one costs it a script per queue and interval.
var settings = []setting{
	{"default", asynq.Config{Concurrency: 10}},
	{"64 workers", asynq.Config{Concurrency: 64, TaskCheckInterval: 10 * time.Millisecond, DelayedTaskCheckInterval: 10 * time.Millisecond}},
	{"256 workers", asynq.Config{Concurrency: 256, TaskCheckInterval: time.Millisecond, DelayedTaskCheckInterval: time.Millisecond}},
}

// measureOrders compares with asynq on one Redis: tasks that are due, from the start of the workers until all are acknowledged; and how late tasks of a
// later time begin.
func measureOrders(ctx context.Context, short bool, r *report.Report) error {
	server, err := load.StartRedis(ctx, "always")
	if err != nil {
		return err
	}
	defer server.Close()
	tasks, scheduled, rounds := 20_000, 200, "4x"
	if short {
		tasks, scheduled, rounds = 6_400, 100, "1x"
	}
	ours, err := benchmarks(ctx, "github.com/vow-os/vow/svc-scheduler/internal/owner", "^Benchmark(Orders|Lateness)$", rounds, "VOW_BENCH_REDIS="+server.URL())
	if err != nil {
		return err
	}
	var standard, best, bestLate float64
	for i, s := range settings {
		rate, err := drain(ctx, server.Address, s, tasks)
		if err != nil {
			return err
		}
		late, err := lateness(ctx, server.Address, s, scheduled)
		if err != nil {
			return err
		}
		r.Note("asynq, %s: %.0f tasks a second; lateness p50 %.2f, p99 %.2f ms", s.name, rate, report.Percentile(late, 50), report.Percentile(late, 99))
		if i == 0 {
			standard = rate
		}
		best = max(best, rate)
		if p99 := report.Percentile(late, 99); bestLate == 0 || p99 < bestLate {
			bestLate = p99
		}
	}
	floor, err := server.Written(ctx, 5_000, time.Millisecond)
	if err != nil {
		return err
	}
	fsync := server.Fsync(ctx)
	r.Faster("orders, fsync "+fsync+": claimed and acknowledged a second, 256 in flight, beside asynq's default", ours["Orders orders/s"], standard, 5)
	r.Faster("orders, fsync "+fsync+": claimed and acknowledged a second, 256 in flight, beside asynq's best", ours["Orders orders/s"], best, 5)
	r.Slower("orders, fsync "+fsync+": lateness p99 ms at 1000 a second, beside asynq's best", ours["Lateness p99-ms"], bestLate, 19)
	r.AtMost("orders, fsync "+fsync+": lateness p99 ms at 1000 a second, beside a bare SET at its time", ours["Lateness p99-ms"], report.Percentile(floor, 99), 5)
	r.Note("orders: lateness p50 %.2f ms; of a bare SET %.2f ms", ours["Lateness p50-ms"], report.Percentile(floor, 50))
	disk(ctx, server, r)
	return nil
}

// disk notes what the disk held up: with appendfsync always its slowest fsync bounds every p99 from below.
func disk(ctx context.Context, server *load.Redis, r *report.Report) {
	slowest, err := server.SlowestSync(ctx)
	if err != nil {
		r.Note("cannot tell how long the disk took: %v", err)
		return
	}
	r.Note("the slowest fsync of Redis since it started took %s", slowest)
}

func task(n int) *asynq.Task { return asynq.NewTask("order", fmt.Appendf(nil, `{"data":%d}`, n)) }

// quiet starts a server whose log is silent.
func quiet(address string, c asynq.Config) *asynq.Server {
	c.LogLevel = asynq.FatalLevel
	return asynq.NewServer(asynq.RedisClientOpt{Addr: address}, c)
}

// drain enqueues tasks and returns how many the workers handle in a second.
func drain(ctx context.Context, address string, s setting, tasks int) (float64, error) {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: address})
	defer client.Close() //nolint:errcheck // its server is thrown away
	if err := enqueue(ctx, client, tasks, func(int) []asynq.Option { return nil }); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	var left atomic.Int64
	left.Store(int64(tasks))
	server := quiet(address, s.Config)
	began := time.Now()
	err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	}))
	if err != nil {
		return 0, fmt.Errorf("cannot start asynq: %w", err)
	}
	defer server.Shutdown()
	select {
	case <-done:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(2 * time.Minute):
		return 0, fmt.Errorf("asynq did not handle %d of %d tasks in 2 minutes", left.Load(), tasks)
	}
	return float64(tasks) / time.Since(began).Seconds(), nil
}

// perSecond is how many of the peer's tasks are due at each second: its times are whole seconds, and more than a few at once would wait for each other.
const perSecond = 20

// lateness enqueues tasks of a later time and returns how late each begins.
func lateness(ctx context.Context, address string, s setting, tasks int) ([]time.Duration, error) {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: address})
	defer client.Close() //nolint:errcheck // its server is thrown away
	// The last of them is enqueued before the first is due.
	first := time.Now().Add(3 * time.Second).Truncate(time.Second)
	at := func(n int) time.Time { return first.Add(time.Duration(n/perSecond) * time.Second) }
	if err := enqueue(ctx, client, tasks, func(n int) []asynq.Option { return []asynq.Option{asynq.ProcessAt(at(n))} }); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var late []time.Duration
	done := make(chan struct{})
	server := quiet(address, s.Config)
	err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		now := time.Now()
		var n int
		if _, err := fmt.Sscanf(string(t.Payload()), `{"data":%d}`, &n); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if late = append(late, now.Sub(at(n))); len(late) == tasks {
			close(done)
		}
		return nil
	}))
	if err != nil {
		return nil, fmt.Errorf("cannot start asynq: %w", err)
	}
	defer server.Shutdown()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(2 * time.Minute):
		return nil, fmt.Errorf("asynq did not handle %d tasks in 2 minutes", tasks)
	}
	return late, nil
}

// enqueue enqueues tasks with 64 callers.
func enqueue(ctx context.Context, client *asynq.Client, tasks int, options func(n int) []asynq.Option) error {
	var next atomic.Int64
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for range 64 {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < tasks; n = int(next.Add(1)) - 1 {
				if _, err := client.EnqueueContext(ctx, task(n), options(n)...); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("cannot enqueue for asynq: %w", *err)
	}
	return nil
}
