package api

import (
	"context"
	"sync"
	"time"
)

// recent is a list that is asked for at most once at a time, and not again while it is fresh.
type recent[T any] struct {
	make func(context.Context) (T, error)

	mu    sync.Mutex // never held while anything waits
	kept  T
	at    time.Time
	under *asking[T]
}

// asking is one question under way; what came of it is there when done is closed.
type asking[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

// get is the kept answer when it is fresh, else that of the question under way, which is begun if there is none. Whoever began it may go away: it goes on for the others.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	if !r.at.IsZero() && time.Since(r.at) < fresh {
		defer r.mu.Unlock()
		return r.kept, nil
	}
	under := r.under
	if under == nil {
		under = &asking[T]{done: make(chan struct{})}
		r.under = under
		go r.ask(context.WithoutCancel(ctx), under)
	}
	r.mu.Unlock()
	select {
	case <-under.done:
		return under.answer, under.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (r *recent[T]) ask(ctx context.Context, under *asking[T]) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	under.answer, under.err = r.make(ctx)
	r.mu.Lock()
	r.under = nil
	if under.err == nil {
		r.kept, r.at = under.answer, time.Now()
	}
	r.mu.Unlock()
	close(under.done)
}
