package app_test

import (
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// An order of a large fan-out tells how long its run is held back; no order holds one back for longer than a second, and one whose stream ends meanwhile is left to
// the next stream.
func TestAnOrderIsBegunWhenItMayBe(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		begun := func() int { return count(n, func() []*masterv1.BeginRunRequest { return n.begun }) }
		at := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			if got := begun(); got != want {
				t.Errorf("%d runs began, want %d", got, want)
			}
		}
		n.orderAfter(300*time.Millisecond, "slappart0", "t1.a1", 1)
		at(250*time.Millisecond, 1)
		at(100*time.Millisecond, 2)
		n.orderAfter(time.Hour, "slappart0", "t1.a1", 2)
		at(950*time.Millisecond, 2)
		at(100*time.Millisecond, 3)
		n.orderAfter(500*time.Millisecond, "slappart0", "t1.a1", 3)
		time.Sleep(100 * time.Millisecond)
		n.cut("scheduler")
		at(time.Minute, 3)
		n.heal("scheduler")
		time.Sleep(time.Minute)
		n.orderAfter(0, "slappart0", "t1.a1", 3)
		at(time.Second, 4)
	})
}
