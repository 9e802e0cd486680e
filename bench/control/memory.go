package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/bench/report"
	"github.com/vow-os/vow/kit/wait"
)

// maxPerNode is the bound of a service's memory for each connected node, in kB of 1,000 bytes.
const maxPerNode = 45

// measureMemory compares the resident memory of each service with and without connected nodes, each with one partition that ran.
func measureMemory(ctx context.Context, short bool, r *report.Report) error {
	nodes := 5_000
	if short {
		nodes = 1_500
	}
	fleet, end, err := begin(ctx, load.Options{}, load.Shape{Nodes: nodes, Partitions: 1, Tree: 10, Slots: 2}, load.Watch{})
	if err != nil {
		return err
	}
	defer end()
	// The making of a fleet fills caches and heaps: what is compared with is the same services after a restart, which know of the fleet and have no node.
	before, err := resident(ctx, fleet.Plane, true)
	if err != nil {
		return err
	}
	if err := connect(ctx, fleet, 2*time.Millisecond); err != nil {
		return err
	}
	after, err := resident(ctx, fleet.Plane, false)
	if err != nil {
		return err
	}
	floor, err := measureFloor(ctx, nodes)
	if err != nil {
		return err
	}
	r.Note("floor: a bare server of one stream to each node has %.1f kB for each", floor/1000)
	for _, s := range fleet.Plane.Services {
		stats, err := s.Heap(ctx)
		if err != nil {
			return err
		}
		const mega = 1e6
		r.Note("%s: objects %.1f MB, heap in use %.1f MB, idle and not given back %.1f MB, stacks %.1f MB, next collection at %.1f MB", s.Name, float64(stats["HeapAlloc"])/mega,
			float64(stats["HeapInuse"])/mega, float64(stats["HeapIdle"]-stats["HeapReleased"])/mega, float64(stats["Stack"])/mega, float64(stats["NextGC"])/mega)
		if dir := os.Getenv("BENCH_PROFILE"); dir != "" {
			for _, what := range []string{"heap", "goroutine"} {
				if err := s.Profile(ctx, what, filepath.Join(dir, s.Name+"."+what)); err != nil {
					return err
				}
			}
		}
		r.AtMost(fmt.Sprintf("memory, %d nodes: %s, resident kB for each connected node", nodes, s.Name), float64(after[s.Name]-before[s.Name])/1000/float64(nodes), floor/1000, maxPerNode)
		r.Note("%s: %.1f MB without nodes, %.1f MB with %d", s.Name, float64(before[s.Name])/1e6, float64(after[s.Name])/1e6, nodes)
	}
	return nil
}

// resident is the memory of each service, once it has been idle for a while.
func resident(ctx context.Context, p *load.Plane, restart bool) (map[string]int64, error) {
	if restart {
		for _, s := range p.Services {
			s.Kill()
		}
		for _, s := range p.Services {
			if err := s.Start(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := wait.For(ctx, soon); err != nil {
		return nil, err
	}
	now := map[string]int64{}
	for _, s := range p.Services {
		bytes, err := s.Resident()
		if err != nil {
			return nil, err
		}
		now[s.Name] = bytes
	}
	return now, nil
}

// soon is when memory is read first: what a burst allocated partly goes back to the system within seconds.
const soon = 5 * time.Second
