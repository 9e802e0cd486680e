package wait

import (
	"context"
	"time"
)

// For lets d pass; nil when it has. If ctx ends first, or has ended already, it returns the error of ctx. A d of zero or less does not wait.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
