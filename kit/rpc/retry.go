package rpc

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/wait"
)

// Limits of Retry.
const (
	// RetryAttempts is how often a call is made at most: with RetryFirst doubled this spans about 3 s, enough for a
	// peer that restarts, after which the caller's own growing delay takes over.
	RetryAttempts = 6
	// RetryFirst and RetryMax are the growing delay between attempts.
	RetryFirst = 100 * time.Millisecond
	RetryMax   = 2 * time.Second
	// DefaultRetryBudget is how many retries may be ahead of successes: when a peer is down for all callers, they stop
	// multiplying its load. A success gives a tenth of a retry back.
	DefaultRetryBudget = 20
	budgetPerSuccess   = 0.1
)

// Retry calls fn until it succeeds, fails with a code that is not retryable, was called RetryAttempts times, the budget
// of the client is used up, or ctx ends; it returns the last error. Only calls that are idempotent may be retried: a
// call that timed out may have had its effect.
//
// name spreads the delays of different callers: pass an id, not a method.
func (c *Client) Retry(ctx context.Context, name string, fn func(context.Context) error) error {
	return retry(ctx, name, fn, c.budget, c.log)
}

// Retry is Client.Retry without a budget, for a single caller.
func Retry(ctx context.Context, name string, fn func(context.Context) error) error {
	return retry(ctx, name, fn, nil, slog.New(slog.DiscardHandler))
}

func retry(ctx context.Context, name string, fn func(context.Context) error, b *budget, log *slog.Logger) error {
	for attempt := 1; ; attempt++ {
		err := fn(ctx)
		if err == nil {
			b.succeeded()
			return nil
		}
		if ctx.Err() != nil || !IsRetryable(err) || attempt >= RetryAttempts || !b.take() {
			return err
		}
		delay := backoff.Delay(attempt, name, RetryFirst, RetryMax)
		if after, ok := RetryAfter(err); ok {
			delay = max(delay, after)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < delay {
			return err // the answer would come too late
		}
		log.DebugContext(ctx, "trying again", "call", name, "attempt", attempt, "delay", delay.String(), "error", Message(err))
		if wait.For(ctx, delay) != nil {
			return err
		}
	}
}

// budget counts retries against successes; a nil one is unlimited.
type budget struct {
	limit float64

	mu   sync.Mutex
	left float64
}

func newBudget(limit int) *budget { return &budget{limit: float64(limit), left: float64(limit)} }

func (b *budget) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (b *budget) succeeded() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.limit, b.left+budgetPerSuccess)
}
