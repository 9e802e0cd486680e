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

	before  totals // when the rounds began
	results []result

	mu     sync.Mutex
	closed map[string]chan struct{} // by tree: told when its convergence closes
}

// result is one round.
type result struct {
	stories int
	took    time.Duration
	used    map[string]time.Duration // processor time, by process
}

func (r result) rate() float64 { return float64(r.stories) / r.took.Seconds() }

// of is the processor time of a process for a story, in milliseconds.
func of(name string) func(result) float64 {
	return func(r result) float64 { return 1000 * r.used[name].Seconds() / float64(r.stories) }
}

// busy is how many processors all of them kept busy, without the receiver.
func (r result) busy() (all float64) {
	for _, used := range r.used {
		all += used.Seconds() / r.took.Seconds()
	}
	return all
}

// cost is that of all services.
func (r result) cost() float64 {
	return of(load.Master)(r) + of(load.Scheduler)(r) + of(load.Promise)(r)
}

func startPlane(ctx context.Context, m mode) (p *plane, err error) {
	p = &plane{mode: m, closed: map[string]chan struct{}{}}
	defer func() {
		if err != nil {
			p.close()
			p = nil
		}
	}()
	if p.plane, err = load.StartPlane(ctx, load.Options{Fsync: "everysec", Binaries: m.binaries, Env: m.env}); err != nil {
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
	used, began := p.plane.Used(), time.Now()
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
	r := result{stories: int(stories.Load()), took: time.Since(began), used: p.plane.Used()}
	for name := range r.used {
		r.used[name] -= used[name]
	}
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

// totals is what was allocated by the services, and received from them, so far.
type totals struct {
	bytes, objects int64
	got            counts
}

func (p *plane) now(ctx context.Context, r *receiver) (t totals, err error) {
	for _, s := range p.plane.Services {
		heap, err := s.Heap(ctx)
		if err != nil {
			return t, err
		}
		t.bytes, t.objects = t.bytes+heap["TotalAlloc"], t.objects+heap["Mallocs"]
	}
	t.got, err = r.counted(ctx, p.mode.name)
	return t, err
}

func (t totals) minus(o totals) totals {
	return totals{t.bytes - o.bytes, t.objects - o.objects, counts{t.got.Spans - o.got.Spans, t.got.Bangs - o.got.Bangs, t.got.Logs - o.got.Logs, t.got.Bytes - o.got.Bytes}}
}
