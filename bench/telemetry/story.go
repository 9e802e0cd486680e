package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/bench/load"
)

// plane is a control plane with a fleet, in one mode.
type plane struct {
	mode  mode
	plane *load.Plane
	fleet *load.Fleet
	next  atomic.Int64 // request ids

	mu     sync.Mutex
	closed map[string]chan struct{} // by tree: told when its convergence closes
}

// result is one round.
type result struct {
	stories int
	took    time.Duration
	used    time.Duration // processor time of the services
}

func (r result) rate() float64 { return float64(r.stories) / r.took.Seconds() }
func (r result) cost() float64 { return 1000 * r.used.Seconds() / float64(r.stories) }

func startPlane(ctx context.Context, binaries string, m mode) (p *plane, err error) {
	p = &plane{mode: m, closed: map[string]chan struct{}{}}
	defer func() {
		if err != nil {
			p.close()
			p = nil
		}
	}()
	if p.plane, err = load.StartPlane(ctx, load.Options{Fsync: "everysec", Binaries: binaries, Env: m.env}); err != nil {
		return p, err
	}
	if p.fleet, err = load.Make(ctx, p.plane, shape, load.Watch{Reported: p.reported}); err != nil {
		return p, err
	}
	for _, tree := range p.fleet.Trees {
		p.closed[tree] = make(chan struct{}, 1)
	}
	if err := p.fleet.Connect(ctx, time.Second); err != nil {
		return p, err
	}
	return p, p.fleet.Settle(ctx)
}

func (p *plane) close() {
	if p.fleet != nil {
		p.fleet.Close()
	}
	if p.plane != nil {
		p.plane.Close()
	}
}

// reported is told the convergence that a report closed: <tree>.c<n>.
func (p *plane) reported(_ *load.Node, convergence string) {
	tree, _, ok := strings.Cut(convergence, ".c")
	if !ok {
		return
	}
	p.mu.Lock()
	closed := p.closed[tree]
	p.mu.Unlock()
	select {
	case closed <- struct{}{}:
	default: // closed before the round, or nil
	}
}

// round bangs every tree, and again whenever its convergence has closed, for a time.
func (p *plane) round(ctx context.Context, during time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, during+time.Minute)
	defer cancel()
	var stories atomic.Int64
	var callers sync.WaitGroup
	failed := make([]error, len(p.fleet.Trees))
	used, began := p.used(), time.Now()
	for i, tree := range p.fleet.Trees {
		bang, closed := p.fleet.Banger(i), p.closed[tree]
		callers.Go(func() {
			for time.Since(began) < during {
				if _, err := bang(ctx, tree, fmt.Sprint("story-", p.next.Add(1))); err != nil {
					failed[i] = err
					return
				}
				select {
				case <-closed:
					stories.Add(1)
				case <-ctx.Done():
					failed[i] = fmt.Errorf("waited in vain until the convergence of %s closes: %w", tree, errors.Join(ctx.Err(), p.fleet.Failed()))
					return
				}
			}
		})
	}
	callers.Wait()
	r := result{stories: int(stories.Load()), took: time.Since(began), used: p.used() - used}
	for _, err := range failed {
		if err != nil {
			return r, err // one of many that say the same
		}
	}
	if r.stories == 0 {
		return r, errNoLoad
	}
	return r, nil
}

// used is the processor time of the services so far.
func (p *plane) used() (all time.Duration) {
	for _, s := range p.plane.Services {
		all += s.Used()
	}
	return all
}
