package api

import (
	"testing"
	"time"
)

// A fleet is told a window that grows with it: never less than the user asked for, and never so long that a computer that comes back last loses its colour.
func TestTheWindowOfReturnGrowsWithTheFleet(t *testing.T) {
	for _, c := range []struct {
		least     time.Duration
		computers int64
		window    time.Duration
	}{
		{5 * time.Second, 0, 5 * time.Second},
		{5 * time.Second, 100, 5 * time.Second},
		{0, 100, 1200 * time.Millisecond},
		{5 * time.Second, 5_000, time.Minute},
		{5 * time.Second, 1_000_000, reconnectMost},
		{10 * time.Minute, 1_000_000, 10 * time.Minute},
	} {
		if got := reconnectWindow(c.least, c.computers); got != c.window {
			t.Errorf("%d computers, at least %s: %s, want %s", c.computers, c.least, got, c.window)
		}
	}
}
