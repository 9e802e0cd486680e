package report

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
)

// Measure is one comparison of a program: it writes its lines into the report. short asks for less of it.
type Measure struct {
	Name string
	Run  func(ctx context.Context, short bool, r *Report) error
}

// Main carries out, in their order and each alone on the machine, the measures that the command line names; without names, all. BENCH_SHORT makes them
// short. A measure that fails does not keep the others from being printed; then the program ends with 1.
func Main(measures ...Measure) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := carryOut(ctx, measures, os.Args[1:], os.Getenv("BENCH_SHORT") != "")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func carryOut(ctx context.Context, measures []Measure, names []string, short bool) error {
	for _, name := range names {
		if !slices.ContainsFunc(measures, func(m Measure) bool { return m.Name == name }) {
			return fmt.Errorf("cannot measure %q: there is no such measure", name)
		}
	}
	r := Begin(os.Stdout)
	defer r.End()
	var failed error
	for _, m := range measures {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		if err := m.Run(ctx, short, r); err != nil {
			r.Note("%s: %v", m.Name, err)
			failed = errors.Join(failed, fmt.Errorf("cannot measure %s: %w", m.Name, err))
		}
	}
	return failed
}
