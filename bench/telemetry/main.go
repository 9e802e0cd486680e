package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
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
	name     string
	env      []string // of its services
	binaries string   // where they are
	goal     float64  // percent of the throughput of that
	exports  bool     // to an endpoint
	all      bool     // every trace must arrive
}

// modesOf are the modes of the services in a directory. The first is what the others are compared with.
func modesOf(binaries, prefix string) []mode {
	return []mode{
		{name: prefix + "telemetry off", env: []string{"OTEL_SDK_DISABLED=true"}, binaries: binaries},
		{name: prefix + "no endpoint configured", binaries: binaries, goal: 1},
		{name: prefix + "every bang traced", env: []string{"OTEL_TRACES_SAMPLER=always_on"}, binaries: binaries, goal: 5, exports: true, all: true},
	}
}

// sparse is measured when programs are not compared, which takes long enough.
func sparse(binaries string) mode {
	return mode{name: "1 in 100 bangs traced", env: []string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}, binaries: binaries, goal: 5, exports: true}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == receiving {
		if err := receive(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
	binaries := os.Getenv("BINARIES")
	if binaries == "" {
		if binaries, err = os.MkdirTemp("", "bench-telemetry-"); err != nil {
			return fmt.Errorf("cannot make a folder: %w", err)
		}
		defer os.RemoveAll(binaries) //nolint:errcheck // temporary
		if err := load.Build(ctx, binaries); err != nil {
			return err
		}
	}
	receiver, err := startReceiver(ctx)
	if err != nil {
		return fmt.Errorf("cannot start the receiver: %w", err)
	}
	defer receiver.close()
	r := report.Begin(os.Stdout)
	defer r.End()
	modes := modesOf(binaries, "")
	if before := os.Getenv("BEFORE"); before != "" {
		modes = append(modes, modesOf(before, "before: ")...)
	} else {
		modes = append(modes, sparse(binaries))
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
		if m.exports {
			m.env = append(m.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.endpoint(m.name))
		}
		if planes[i], err = startPlane(ctx, m); err != nil {
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
	for _, p := range planes {
		if p.before, err = p.now(ctx, receiver); err != nil {
			return err
		}
	}
	for n := range s.rounds {
		for _, i := range rand.New(rand.NewPCG(uint64(n), 0)).Perm(len(planes)) { //nolint:gosec // an order, not a secret
			p := planes[i]
			one, err := p.round(ctx, s.each)
			if err != nil {
				return fmt.Errorf("cannot measure the control plane %q: %w", p.mode.name, err)
			}
			p.results = append(p.results, one)
		}
	}
	if err := wait.For(ctx, settling); err != nil {
		return err
	}
	return tell(ctx, r, planes, receiver)
}

var errNoLoad = errors.New("cannot measure: no story ended in a round")

// shape of each fleet: 512 partitions, in trees whose members are on several nodes. With a quarter of them two processors are not busy.
var shape = load.Shape{Nodes: 32, Partitions: 16, Tree: treeSize, Slots: 4}

// treeSize is how many runs a bang is followed by.
const treeSize = 4
