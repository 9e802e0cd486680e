package api

import (
	"context"
	"sync"
	"time"
)

// recent is a list that is asked for by one at a time, and not again while it is fresh and nothing is known to have changed.
type recent[T any] struct {
	make func(context.Context) (T, error)

	mu      sync.Mutex // never held while anything waits
	kept    *asking[T] // the newest that was answered
	under   *asking[T] // the newest under way
	changed time.Time  // what was asked for before is old
}

// asking is one question; what came of it is there when done is closed.
type asking[T any] struct {
	began  time.Time
	done   chan struct{}
	answer T
	err    error
}

// forget makes what was asked for so far old.
func (r *recent[T]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = time.Now()
}

// get is the kept answer when it will do, else that of the question under way, which is begun if there is none. Whoever began it may go away: it goes on for the others.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	var none T
	r.mu.Lock()
	now := time.Now()
	if r.kept != nil && now.Sub(r.kept.began) < fresh && r.kept.began.After(r.changed) {
		defer r.mu.Unlock()
		return r.kept.answer, nil
	}
	under := r.under
	if under == nil || !under.began.After(r.changed) {
		// Hints may come a hundred times a second: what they ask for anew does not.
		wait := time.Duration(0)
		if under != nil {
			wait = spacing - now.Sub(under.began)
		} else if r.kept != nil {
			wait = spacing - now.Sub(r.kept.began)
		}
		wait = max(0, wait)
		under = &asking[T]{began: now.Add(wait), done: make(chan struct{})}
		r.under = under
		go r.ask(context.WithoutCancel(ctx), under, wait)
	}
	r.mu.Unlock()
	select {
	case <-under.done:
		return under.answer, under.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (r *recent[T]) ask(ctx context.Context, q *asking[T], wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout+wait)
	defer cancel()
	<-time.After(wait) // a quarter of a second at most
	q.answer, q.err = r.make(ctx)
	r.mu.Lock()
	if r.under == q {
		r.under = nil
	}
	if q.err == nil && (r.kept == nil || r.kept.began.Before(q.began)) {
		r.kept = q
	}
	r.mu.Unlock()
	close(q.done)
}
