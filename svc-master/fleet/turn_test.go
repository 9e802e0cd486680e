package fleet

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Between two moments that Turns tells, a colour does not change by itself; and right after such a moment it has.
func TestTimeTurnsColoursWhenItIsToldTo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		second := func(name string, most int64) time.Duration {
			return time.Duration(rapid.Int64Range(0, most).Draw(rt, name)) * time.Second
		}
		now := noon
		start := now.Add(-second("start", 7200))
		contact := now.Add(-second("contact", 7200))
		tree := New("t0", "default", 1)
		if _, _, err := tree.Request(Request{Title: "web", Release: "r"}, now); err != nil {
			rt.Fatal(err)
		}
		if _, _, err := tree.Allocate(Allocate{InstanceID: "t0.i1", Computer: "c", Partition: "p", ComputerPeriod: second("period", 7200)}, now); err != nil {
			rt.Fatal(err)
		}
		begun, _, err := tree.BeginRun(BeginRun{AllocationID: "t0.a1", RunID: "run"}, now)
		if err != nil {
			rt.Fatal(err)
		}
		if _, _, err := tree.ReportRun(ReportRun{AllocationID: "t0.a1", RunID: "run", Token: begun.Token, Result: Success}, now.Add(-second("report", 7200))); err != nil {
			rt.Fatal(err)
		}
		type colour struct {
			Colour
			bool
		}
		for what, of := range map[string]struct {
			colour func(at time.Time) Status
			turns  func(at time.Time) time.Time
		}{
			"computer": {func(at time.Time) Status { return ComputerColour(contact, at, start) }, func(at time.Time) time.Time { return ComputerTurns(contact, at, start) }},
			"tree":     {func(at time.Time) Status { return tree.TreeColour(at, start) }, func(at time.Time) time.Time { return tree.Turns(at, start) }},
		} {
			at := now
			for range 5 {
				shown, next := of.colour(at), of.turns(at)
				until := next
				if next.IsZero() {
					until = at.Add(48 * time.Hour)
				}
				between := at.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(at))).Draw(rt, "between")))
				if s := of.colour(between); between.Before(until) && (colour{s.Colour, s.Unconfirmed} != colour{shown.Colour, shown.Unconfirmed}) {
					rt.Fatalf("%s is %v at %s and %v at %s, and should turn at %s only", what, shown, at, s, between, next)
				}
				if next.IsZero() {
					break
				}
				at = next.Add(time.Nanosecond)
			}
		}
	})
}
