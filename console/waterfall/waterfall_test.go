package waterfall

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/golden"
)

var zero = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) *timestamppb.Timestamp {
	return timestamppb.New(zero.Add(time.Duration(ms) * time.Millisecond))
}

// story is a convergence of two members: the first settled, the second with a failed run and another on its way.
func story() *masterv1.Convergence {
	entry := func(ms int, m masterv1.Moment, instance, run string) *masterv1.TimelineEntry {
		return &masterv1.TimelineEntry{At: at(ms), Moment: m, InstanceId: instance, RunId: run}
	}
	step := func(ms int, instance, name string, took float64, result typev1.RunResult) *masterv1.TimelineEntry {
		e := entry(ms, masterv1.Moment_MOMENT_STEP, instance, "")
		e.Name, e.DurationSeconds, e.Result = name, took, result
		return e
	}
	reported := func(ms int, instance string, result typev1.RunResult, text string) *masterv1.TimelineEntry {
		e := entry(ms, masterv1.Moment_MOMENT_REPORTED, instance, "")
		e.Result, e.Text = result, text
		return e
	}
	noticed := entry(0, masterv1.Moment_MOMENT_NOTICED, "t1.i1", "")
	noticed.Name, noticed.Text = "web", "killed by SIGKILL"
	return &masterv1.Convergence{
		ConvergenceId: "t1.c1", TreeId: "t1", Title: "hello", BangId: "t1.b1", Joined: 36, TraceId: "0af7651916cd43dd8448eb211c80319c",
		State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, OpenedAt: at(4), DurationSeconds: 0.2,
		Members: []*masterv1.ConvergenceMember{
			{InstanceId: "t1.i1", Title: "hello", Partition: "slappart0", Settled: true},
			{InstanceId: "t1.i2", Title: "store", Partition: "slappart1", Blocker: "last run failed: promise"},
		},
		NotWaitedFor: []string{"extra: not allocated"},
		Timeline: []*masterv1.TimelineEntry{
			noticed, entry(4, masterv1.Moment_MOMENT_BANGED, "", ""),
			entry(6, masterv1.Moment_MOMENT_DUE, "t1.i1", "r1"), entry(8, masterv1.Moment_MOMENT_ORDERED, "t1.i1", "r1"), entry(12, masterv1.Moment_MOMENT_BEGUN, "t1.i1", "r1"),
			entry(6, masterv1.Moment_MOMENT_DUE, "t1.i2", "r2"), entry(9, masterv1.Moment_MOMENT_ORDERED, "t1.i2", "r2"), entry(13, masterv1.Moment_MOMENT_BEGUN, "t1.i2", "r2"),
			step(40, "t1.i1", "profile", 0.02, typev1.RunResult_RUN_RESULT_SUCCESS), step(90, "t1.i1", "promises", 0.05, typev1.RunResult_RUN_RESULT_SUCCESS),
			reported(95, "t1.i1", typev1.RunResult_RUN_RESULT_SUCCESS, ""),
			step(120, "t1.i2", "promises", 0.1, typev1.RunResult_RUN_RESULT_FAILURE), reported(124, "t1.i2", typev1.RunResult_RUN_RESULT_FAILURE, "listening failed:\nconnection refused"),
		},
	}
}

func TestAWaterfallDrawsWhatHappenedAndWhatIsPending(t *testing.T) {
	var got strings.Builder
	if err := Draw(&got, story(), zero.Add(204*time.Millisecond), 100); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/story.txt", got.String())
}

func TestNoMomentFallsOutsideTheBars(t *testing.T) {
	c := story()
	c.Timeline[0].At = at(-3_600_000) // a clock of a node that is an hour behind
	for _, r := range Rows(c, zero) {
		for _, n := range []int{1, 20, 200} {
			if got := len([]rune(bar(r, r.To, n))); got != n {
				t.Errorf("%q in %d columns is %d wide", r.Label, n, got)
			}
		}
	}
}

// The parts of the critical path begin at the first moment, follow each other without gaps, and end with the convergence.
func TestThePartsOfTheCriticalPathSumToTheWhole(t *testing.T) {
	open, closed := story(), story()
	closed.State, closed.ClosedAt = masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, at(230)
	for _, m := range closed.GetMembers() {
		m.Settled = true
	}
	for _, c := range []*masterv1.Convergence{open, closed} {
		whole := 204 * time.Millisecond
		if c == closed {
			whole = 230 * time.Millisecond
		}
		var sum, cursor time.Duration
		parts := Path(c, zero.Add(204*time.Millisecond))
		for _, p := range parts {
			if p.From != cursor || p.To <= p.From {
				t.Errorf("part %q goes from %v to %v, the one before ended at %v", p.Label, p.From, p.To, cursor)
			}
			cursor, sum = p.To, sum+p.To-p.From
		}
		if sum != whole {
			t.Errorf("the parts sum to %v, want %v", sum, whole)
		}
		critical := 0
		for _, r := range Rows(c, zero.Add(204*time.Millisecond)) {
			if r.Critical != (r.InstanceID == "t1.i2") {
				t.Errorf("row %q of %q: critical %v", r.Label, r.InstanceID, r.Critical)
			}
			if r.Critical {
				critical++
			}
		}
		if critical == 0 {
			t.Error("no row is marked, want those of store, which ran last")
		}
	}
	if got := Path(open, zero.Add(204*time.Millisecond)); got[len(got)-1].Label != "pending" {
		t.Errorf("the path of an open convergence ends with %q", got[len(got)-1].Label)
	}
}
