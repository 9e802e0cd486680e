package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/bench/internal/api"
	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// longest bounds each measure: what does not happen within it is said, and the next one is measured.
const longest = 20 * time.Minute

func bounded(name string, run func(context.Context, bool, *report.Report) error) report.Measure {
	return report.Measure{Name: name, Run: func(ctx context.Context, short bool, r *report.Report) error {
		ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it took more than %s", longest))
		defer cancel()
		err := run(ctx, short, r)
		if err != nil && ctx.Err() != nil {
			err = errors.Join(err, context.Cause(ctx))
		}
		return err
	}}
}

func main() {
	if load.ServeFloor() {
		return
	}
	if address := os.Getenv(floorAddress); address != "" {
		fmt.Fprintln(os.Stderr, api.ServeFloor(context.Background(), address))
		os.Exit(1)
	}
	report.Main(
		bounded("store", measureStore),
		bounded("orders", measureOrders),
		bounded("rpc", measureRPC),
		bounded("overload", measureOverload),
		bounded("fanout", measureFanOut),
		bounded("memory", measureMemory),
		bounded("takeover", measureTakeover),
		bounded("restart", measureRestart),
	)
}

// profileSeconds is how long the processors are profiled.
const profileSeconds = 10

// profile writes CPU profiles of the services and of the load generator into the directory BENCH_PROFILE, if there is one; the returned function waits for them.
func profile(plane *load.Plane) (wait func(), err error) {
	dir := os.Getenv("BENCH_PROFILE")
	if dir == "" {
		return func() {}, nil
	}
	own, err := os.Create(filepath.Join(dir, "load.profile")) //nolint:gosec // named by whoever measures
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(own); err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	for _, s := range plane.Services {
		all.Go(func() {
			if err := s.Profile(context.Background(), fmt.Sprintf("profile?seconds=%d", profileSeconds), filepath.Join(dir, s.Name+".profile")); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	return func() {
		all.Wait()
		pprof.StopCPUProfile()
		_ = own.Close()
	}, nil
}

// costs notes the processor time of each service for each of a number of things: it hardly depends on what else the machine does, which rates do.
func costs(r *report.Report, what string, before, after map[string]time.Duration, times float64) {
	var each []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if used := after[name] - before[name]; used > 0 && times > 0 {
			each = append(each, fmt.Sprintf("%s %.0f µs", name, used.Seconds()*1e6/times))
		}
	}
	r.Note("processor time %s: %s", what, strings.Join(each, ", "))
}
