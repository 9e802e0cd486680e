package release

import (
	"context"
	"strings"
	"sync"
	"time"
)

// watcher is an Observer that remembers.
type watcher struct {
	mu sync.Mutex
	// steps are those that began; done and total what was told last of each.
	steps       []Step
	done, total []int64
	// at is called with the progress of each step; nil = nothing is.
	at func(step Step, done, total int64)
}

func (w *watcher) Begin(ctx context.Context, step Step) (context.Context, func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps, w.done, w.total = append(w.steps, step), append(w.done, 0), append(w.total, 0)
	return ctx, func(error) {}
}

func (w *watcher) Progress(done, total int64) {
	w.mu.Lock()
	last := len(w.steps) - 1
	step, at := w.steps[last], w.at
	w.done[last], w.total[last] = done, total
	w.mu.Unlock()
	if at != nil {
		at(step, done, total)
	}
}

// String is the steps, in their order.
func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, s := range w.steps {
		names = append(names, string(s))
	}
	return strings.Join(names, " ")
}

// contextWithin is a context of a process that has no test.
func contextWithin(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
