package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report writes the lines.
type Report struct {
	out    io.Writer
	began  time.Time
	stolen time.Duration
}

// Begin writes the head and the load of the machine.
func Begin(out io.Writer) *Report {
	r := &Report{out: out, began: time.Now(), stolen: stolen()}
	fmt.Fprintln(out, "name\tours\tpeer or floor\tratio\tgoal\tresult")
	r.Note("load at the start: %s", load())
	return r
}

// End writes the load of the machine and what was stolen from it.
func (r *Report) End() {
	r.Note("load at the end: %s", load())
	r.Note("in %.0f s the host took %.1f s of this machine's processors for others", time.Since(r.began).Seconds(), (stolen() - r.stolen).Seconds())
}

// Note is a line about the run itself.
func (r *Report) Note(format string, args ...any) {
	fmt.Fprintf(r.out, "# %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// AtMost is a figure with an upper bound; beside = 0 has nothing to compare with.
func (r *Report) AtMost(name string, ours, beside, goal float64) {
	r.line(name, ours, beside, fmt.Sprintf("at most %g", goal), ours <= goal)
}

// AtLeast is a figure with a lower bound; beside = 0 has nothing to compare with.
func (r *Report) AtLeast(name string, ours, beside, goal float64) {
	r.line(name, ours, beside, fmt.Sprintf("at least %g", goal), ours >= goal)
}

// Slower wants the peer to take a multiple of our time. A missing peer (0) is short.
func (r *Report) Slower(name string, ours, peer, times float64) {
	r.line(name, ours, peer, fmt.Sprintf("peer %g times slower", times), peer >= times*ours)
}

// Faster wants our rate to be a multiple of the peer's. A missing peer (0) is short.
func (r *Report) Faster(name string, ours, peer, times float64) {
	r.line(name, ours, peer, fmt.Sprintf("%g times the peer", times), peer > 0 && ours >= times*peer)
}

// Near wants the floor's rate to be at most a multiple of ours.
func (r *Report) Near(name string, ours, floor, times float64) {
	r.line(name, ours, floor, fmt.Sprintf("floor at most %g times faster", times), floor <= times*ours)
}

// line writes the ratio as how often the smaller number is in the larger one.
func (r *Report) line(name string, ours, beside float64, goal string, ok bool) {
	other, ratio, result := "-", "-", "short"
	if beside > 0 && ours > 0 {
		other, ratio = fmt.Sprintf("%.2f", beside), fmt.Sprintf("%.1f", max(ours/beside, beside/ours))
	}
	if ok {
		result = "ok"
	}
	fmt.Fprintf(r.out, "%s\t%.2f\t%s\t%s\t%s\t%s\n", name, ours, other, ratio, goal, result)
}

// Percentile of durations, in milliseconds; 0 of nothing.
func Percentile(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)].Microseconds()) / 1000
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}

// stolen is the eighth number of the first line of /proc/stat (proc_stat(5)), in ticks of 10 ms.
func stolen() time.Duration {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[8], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
