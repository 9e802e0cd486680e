package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
	"github.com/vow-os/vow/kit/wait"
)

// size is how much is measured: rounds there and back, and how long each plane has in a round.
type size struct {
	rounds int
	each   time.Duration
}

// mode is a control plane and what its telemetry does.
type mode struct {
	name string
	env  []string // of its services
}

const (
	off = iota
	noEndpoint
	traced
)

func main() {
	s := size{rounds: 20, each: 3 * time.Second}
	if os.Getenv("BENCH_SHORT") != "" {
		s = size{rounds: 10, each: 1500 * time.Millisecond}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s size) (err error) {
	binaries, err := os.MkdirTemp("", "bench-telemetry-")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(binaries) //nolint:errcheck // temporary
	if err := load.Build(ctx, binaries); err != nil {
		return err
	}
	receiver, err := newReceiver(ctx)
	if err != nil {
		return err
	}
	defer receiver.close()
	r := report.Begin(os.Stdout)
	defer r.End()
	modes := []mode{
		off:        {"off", []string{"OTEL_SDK_DISABLED=true"}},
		noEndpoint: {"no endpoint", nil},
		traced:     {"traced", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.url, "OTEL_TRACES_SAMPLER=always_on"}},
	}
	planes := make([]*plane, len(modes))
	defer func() {
		for _, p := range planes {
			if p != nil {
				p.close()
			}
		}
	}()
	for i, m := range modes {
		if planes[i], err = startPlane(ctx, binaries, m); err != nil {
			return fmt.Errorf("cannot start the control plane %q: %w", m.name, err)
		}
	}
	for _, p := range planes { // everything is compiled, connected and grown
		if _, err := p.round(ctx, s.each); err != nil {
			return err
		}
	}
	if err := profile(ctx, planes); err != nil {
		return err
	}
	before := receiver.counted()
	results := make([][]result, len(planes))
	for n := range s.rounds {
		for i := range planes {
			if n%2 == 1 {
				i = len(planes) - 1 - i
			}
			one, err := planes[i].round(ctx, s.each)
			if err != nil {
				return fmt.Errorf("cannot measure the control plane %q: %w", planes[i].mode.name, err)
			}
			results[i] = append(results[i], one)
		}
	}
	return tell(ctx, r, planes, results, receiver, before)
}

// tell writes the figures. Spans still wait in the services for some seconds after the last round.
func tell(ctx context.Context, r *report.Report, planes []*plane, results [][]result, receiver *receiver, before counts) error {
	median := func(of func(result) float64, i int) float64 {
		all := make([]float64, 0, len(results[i]))
		for _, one := range results[i] {
			all = append(all, of(one))
		}
		return middle(all)
	}
	// lost is by how much a mode is worse than off, in percent, as the median of the rounds' own ratios.
	lost := func(i int, ratio func(off, other result) float64) float64 {
		all := make([]float64, 0, len(results[i]))
		for n := range results[i] {
			all = append(all, 100*(ratio(results[off][n], results[i][n])-1))
		}
		return middle(all)
	}
	slower := func(off, other result) float64 { return off.rate() / other.rate() }
	dearer := func(off, other result) float64 { return other.cost() / off.cost() }
	for _, m := range []struct {
		mode int
		name string
		goal float64
	}{{traced, "every bang traced", 5}, {noEndpoint, "no endpoint configured", 1}} {
		r.AtMost("throughput lost %, "+m.name+", floor: telemetry off", lost(m.mode, slower), 0, m.goal)
		r.Note("%s: %.0f bangs to converged a second, off %.0f", m.name, median(result.rate, m.mode), median(result.rate, off))
		r.Note("%s: %.2f ms of processor of the services a bang, off %.2f: %.1f %% more", m.name, median(result.cost, m.mode), median(result.cost, off), lost(m.mode, dearer))
	}
	told := 0
	for _, one := range results[traced] {
		told += one.stories
	}
	if err := wait.For(ctx, settling); err != nil {
		return err
	}
	got := receiver.counted().minus(before)
	r.AtLeast("% of the bangs whose trace arrived", 100*float64(got.bangs)/float64(told), 0, 99.9)
	r.Note("%d bangs, %d spans (%.1f a bang), %d metrics and log exports; %d runs a bang", told, got.spans, float64(got.spans)/float64(max(told, 1)), got.others, treeSize)
	for _, p := range planes {
		if err := p.fleet.Failed(); err != nil {
			return fmt.Errorf("a run of %q failed: %w", p.mode.name, err)
		}
	}
	return nil
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}

var errNoLoad = errors.New("cannot measure: no story ended in a round")

// shape of each fleet: 128 partitions, in trees whose members are on several nodes.
var shape = load.Shape{Nodes: 16, Partitions: 8, Tree: treeSize, Slots: 4}

// treeSize is how many runs a bang is followed by.
const treeSize = 4
