package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

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
