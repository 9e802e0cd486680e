package converge

import (
	"slices"
	"strings"
	"time"
)

// Sensing in a run (docs/rules.md, sensing in a run).
const (
	// Settling is how long after a service start failed promises are sensed again.
	Settling = 10 * time.Second
	// Again is the time between two sensings of a failed promise within that.
	Again = 50 * time.Millisecond
)

// Sensing is the promises step of a run.
type Sensing struct {
	// Until is when failed promises are no longer sensed again.
	Until time.Time
	// Names are the promises to sense next; empty = go on to evaluate.
	Names []string
	// At is when to sense them.
	At time.Time
}

// NewSensing begins with all promises at once. started is the newest start of a service in the partition; zero = none.
func NewSensing(promises []string, started, now time.Time) Sensing {
	s := Sensing{Names: slices.Clone(promises), At: now}
	if !started.IsZero() {
		s.Until = started.Add(Settling)
	}
	return s
}

// Sensed takes which of the sensed promises failed. Only the last group of each is evaluated and reported.
func (s Sensing) Sensed(failed []string, now time.Time) (Sensing, string) {
	s.Names, s.At = nil, time.Time{}
	switch {
	case len(failed) == 0:
		return s, "all passed"
	case !now.Add(Again).Before(s.Until):
		return s, "failed, and no service started within 10 s"
	}
	s.Names, s.At = slices.Clone(failed), now.Add(Again)
	return s, "failed soon after a service start: sensed again"
}

// Tested is the verdict of one promise.
type Tested struct {
	Promise string
	Failed  bool
	Message string
}

// Verdict is how the promises step ends: all must pass, and every failure is told, in the order of their names.
func Verdict(tested []Tested) (Result, string) {
	sorted := slices.Clone(tested)
	slices.SortFunc(sorted, func(a, b Tested) int { return strings.Compare(a.Promise, b.Promise) })
	var failures []string
	for _, t := range sorted {
		if t.Failed {
			failures = append(failures, "promise "+t.Promise+" failed: "+t.Message)
		}
	}
	if len(failures) == 0 {
		return Success, ""
	}
	return Failure, strings.Join(failures, "\n")
}
