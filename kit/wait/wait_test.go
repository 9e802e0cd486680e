package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/wait"
)

func TestAWaitEndsWithItsTimeOrWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		began := time.Now()
		if err := wait.For(ctx, time.Second); err != nil || time.Since(began) != time.Second {
			t.Fatalf("a second took %s: %v", time.Since(began), err)
		}
		if err := wait.For(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Fatalf("an hour whose context ends after a minute took %s: %v", time.Since(began), err)
		}
		for _, d := range []time.Duration{-time.Second, 0, time.Second} {
			if err := wait.For(ctx, d); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
				t.Fatalf("a wait of %s after the end took %s: %v", d, time.Since(began)-time.Minute, err)
			}
		}
		if err := wait.For(t.Context(), 0); err != nil {
			t.Fatalf("no wait failed: %v", err)
		}
	})
}
