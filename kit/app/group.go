package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
)

// ErrStopped is the cause of the context of a Group that was stopped from outside.
var ErrStopped = errors.New("stopped")

// Group runs goroutines with names. The first that returns an error or panics stops all others, by their context;
// returning nil just ends that goroutine.
type Group struct {
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex // never held while anything waits
	running map[string]int
	count   int
	err     error
	closed  bool
	empty   chan struct{} // closed when stopping and the last goroutine ended
}

var _ Failing = (*Group)(nil)

// NewGroup makes a group whose goroutines end with ctx at the latest; log may be nil. Values of ctx (a trace, for
// example) are seen by the goroutines.
func NewGroup(ctx context.Context, log *slog.Logger) *Group {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := &Group{log: log, running: map[string]int{}, empty: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	context.AfterFunc(g.ctx, g.close)
	return g
}

// Context ends when the group stops; context.Cause tells why.
func (g *Group) Context() context.Context { return g.ctx }

// Done is closed when the group stops, by Stop, by an error, or with the context it was made with.
func (g *Group) Done() <-chan struct{} { return g.ctx.Done() }

// Err is the first error of a goroutine, with its name; nil after an ordinary Stop.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Go runs fn under a name, which need not be unique. After the group stopped it does nothing and returns false.
//
// fn ends when its context does; an error that only says so is not a failure.
func (g *Group) Go(name string, fn func(ctx context.Context) error) bool {
	g.mu.Lock()
	if g.closed || g.ctx.Err() != nil {
		g.mu.Unlock()
		return false
	}
	g.running[name]++
	g.count++
	g.mu.Unlock()
	go g.run(name, fn)
	return true
}

func (g *Group) run(name string, fn func(ctx context.Context) error) {
	var err error
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		g.ended(name, err)
	}()
	err = fn(g.ctx)
}

func (g *Group) ended(name string, err error) {
	stopping := g.ctx.Err() != nil
	if err != nil && stopping && errors.Is(err, context.Canceled) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		g.log.ErrorContext(g.ctx, "a goroutine failed", "goroutine", name, "error", err)
	}
	g.mu.Lock()
	if err != nil && g.err == nil {
		g.err = err
	}
	g.count--
	if g.running[name]--; g.running[name] == 0 {
		delete(g.running, name)
	}
	last := g.closed && g.count == 0
	g.mu.Unlock()
	if err != nil {
		g.cancel(err)
	}
	if last {
		close(g.empty)
	}
}

// close runs once, when the context ends.
func (g *Group) close() {
	g.mu.Lock()
	g.closed = true
	last := g.count == 0
	g.mu.Unlock()
	if last {
		close(g.empty)
	}
}

// Stop ends the context of all goroutines and waits for them, by the deadline of ctx; past it the error names those
// that still run. It returns the first error of a goroutine.
func (g *Group) Stop(ctx context.Context) error {
	g.cancel(ErrStopped)
	select {
	case <-g.empty:
		return g.Err()
	case <-ctx.Done():
		// Both may be ready, and an ended group must not be called running.
		select {
		case <-g.empty:
			return g.Err()
		default:
		}
		if err := g.Err(); err != nil {
			return err
		}
		return fmt.Errorf("cannot stop %s: %w", strings.Join(g.Running(), ", "), ctx.Err())
	}
}

// Running lists the names of the goroutines that have not ended, sorted.
func (g *Group) Running() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.running))
	for name := range g.running {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
