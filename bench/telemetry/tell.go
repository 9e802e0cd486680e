package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
)

// tell writes the figures.
func tell(ctx context.Context, r *report.Report, planes []*plane, receiver *receiver) error {
	for _, p := range planes {
		if err := p.fleet.Failed(); err != nil {
			return fmt.Errorf("a run of %q failed: %w", p.mode.name, err)
		}
		after, err := p.now(ctx, receiver)
		if err != nil {
			return err
		}
		used := after.minus(p.before)
		floor := planes[slices.IndexFunc(planes, func(o *plane) bool { return o.mode.binaries == p.mode.binaries })] // telemetry off
		if p.mode.goal > 0 {
			slower := func(off, other result) float64 { return off.rate() / other.rate() }
			r.AtMost("throughput lost %, "+p.mode.name+", floor: telemetry off", p.lost(floor, slower), 0, p.mode.goal)
		}
		dearer := func(off, other result) float64 { return other.cost() / off.cost() }
		stories := float64(p.stories())
		r.Note("%s: %.0f bangs to converged a second, %.2f processors busy; of processor a bang %.3f ms of the services, %.1f %% more (%s %.3f, %s %.3f); Redis %.3f, the load generator %.3f; allocated %.0f kB in %.0f objects",
			p.mode.name, p.median(result.rate), p.median(result.busy), p.median(result.cost), p.lost(floor, dearer),
			load.Master, p.median(of(load.Master)), load.Scheduler, p.median(of(load.Scheduler)), p.median(of("redis")), p.median(of("the load generator")),
			float64(used.bytes)/1000/stories, float64(used.objects)/stories)
		if p.mode.all {
			r.AtLeast("% of the bangs whose trace arrived, "+p.mode.name, 100*float64(used.got.Bangs)/stories, 0, 99.9)
			r.Note("%s: %d bangs of %d runs each, %.1f spans and %.1f log records a bang, %.0f bytes exported",
				p.mode.name, int(stories), treeSize, float64(used.got.Spans)/stories, float64(used.got.Logs)/stories, float64(used.got.Bytes)/stories)
		}
	}
	r.Note("the receiver has used %.2f s of processor", receiver.used().Seconds())
	return nil
}

// median of a figure of the rounds.
func (p *plane) median(of func(result) float64) float64 {
	all := make([]float64, 0, len(p.results))
	for _, one := range p.results {
		all = append(all, of(one))
	}
	return middle(all)
}

// lost is by how much it is worse than the floor, in percent, as the median of the rounds' own ratios.
func (p *plane) lost(floor *plane, ratio func(floor, this result) float64) float64 {
	all := make([]float64, 0, len(p.results))
	for n := range p.results {
		all = append(all, 100*(ratio(floor.results[n], p.results[n])-1))
	}
	return middle(all)
}

func (p *plane) stories() (all int) {
	for _, one := range p.results {
		all += one.stories
	}
	return all
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}
