package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report writes the lines.
type report struct{ out io.Writer }

func newReport(out io.Writer) *report {
	fmt.Fprintln(out, "name\tours\tpeer or floor\tratio\tgoal\tresult")
	return &report{out}
}

// note is a line about the run itself.
func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.out, "# %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", ""))
}

// atMost is a figure with an upper bound; beside = 0 has nothing to compare with.
func (r *report) atMost(name string, ours, beside, goal float64) {
	r.line(name, ours, beside, fmt.Sprintf("at most %g", goal), ours <= goal)
}

// atLeast is a figure with a lower bound; beside = 0 has nothing to compare with.
func (r *report) atLeast(name string, ours, beside, goal float64) {
	r.line(name, ours, beside, fmt.Sprintf("at least %g", goal), ours >= goal)
}

// faster wants ours, a rate, to be a multiple of the peer's.
func (r *report) faster(name string, ours, peer, times float64) {
	r.line(name, ours, peer, fmt.Sprintf("%g times faster", times), ours >= times*peer)
}

// nearFloor wants the floor, a rate, to be at most a multiple of ours.
func (r *report) nearFloor(name string, ours, floor, times float64) {
	r.line(name, ours, floor, fmt.Sprintf("floor at most %g times faster", times), floor <= times*ours)
}

func (r *report) line(name string, ours, beside float64, goal string, ok bool) {
	other, ratio, result := "-", "-", "short"
	if beside > 0 {
		other, ratio = fmt.Sprintf("%.2f", beside), fmt.Sprintf("%.2f", ours/beside)
	}
	if ok {
		result = "ok"
	}
	fmt.Fprintf(r.out, "%s\t%.2f\t%s\t%s\t%s\t%s\n", name, ours, other, ratio, goal, result)
}

// at is a percentile in milliseconds; 0 of nothing.
func at(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)].Microseconds()) / 1000
}
