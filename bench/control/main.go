package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/bench/report"
)

// measure is one comparison: it writes its lines into the report.
type measure struct {
	name string
	run  func(ctx context.Context, short bool, r *report.Report) error
}

// measures are carried out in this order, each alone on the machine.
var measures = []measure{
	{"store", measureStore},
	{"orders", measureOrders},
	{"rpc", measureRPC},
	{"fanout", measureFanOut},
	{"memory", measureMemory},
	{"takeover", measureTakeover},
	{"restart", measureRestart},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv("BENCH_SHORT") != "", os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run carries out the measures with the given names; without names, all. A measure that fails does not keep the others from being printed.
func run(ctx context.Context, short bool, names []string) error {
	r := report.Begin(os.Stdout)
	defer r.End()
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var failed error
	for _, m := range measures {
		if len(names) > 0 && !wanted[m.name] {
			continue
		}
		delete(wanted, m.name)
		if err := m.run(ctx, short, r); err != nil {
			r.Note("%s: %v", m.name, err)
			failed = fmt.Errorf("cannot measure %s: %w", m.name, err)
		}
	}
	for name := range wanted {
		return fmt.Errorf("cannot measure %q: there is no such measure", name)
	}
	return failed
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
