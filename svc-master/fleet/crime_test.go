package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// paceOf begins and reports runs of the second member, each taking so long, with a pause before each.
func paceOf(t *testing.T, tree *Tree, from time.Time, count int, took, pause time.Duration) (now time.Time) {
	t.Helper()
	for now = from; count > 0; count-- {
		now = now.Add(pause)
		id := fmt.Sprintf("run-%d-%d", now.UnixMilli(), count)
		begun, _, err := tree.BeginRun(BeginRun{AllocationID: "t0.a2", RunID: id}, now)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(took)
		if _, _, err := tree.ReportRun(ReportRun{AllocationID: "t0.a2", RunID: id, Token: begun.Token, Result: Success, Duration: took}, now); err != nil {
			t.Fatal(err)
		}
	}
	return now
}

func TestAPartitionThatRunsWithoutEverSleepingIsTold(t *testing.T) {
	tree := grown(t, 3)
	now := paceOf(t, tree, noon, SleeplessRow-1, time.Second, time.Second)
	before := tree.Conditions(now)
	now = paceOf(t, tree, now, 2, time.Second, time.Second)
	told := tree.Conditions(now)
	if len(before) != 0 || len(told) != 1 || !strings.HasPrefix(told[0], crimePrefix) || !strings.Contains(told[0], "without ever sleeping: 12 runs in a row") {
		t.Fatalf("before %q, then %q", before, told)
	}
	crimes := tree.Crimes(now)
	if len(crimes) != 1 || crimes[0].Kind != CrimeSleepless || crimes[0].Runs != 12 || crimes[0].Partition.AllocationID != "t0.a2" || !crimes[0].Seen.Equal(now) || crimePrefix+crimes[0].Evidence != told[0] {
		t.Errorf("crimes are %+v", crimes)
	}
	if want := now.Add(-11 * 2 * time.Second); !crimes[0].Since.Equal(want) {
		t.Errorf("it is sleepless since %s, want %s: the end of the run before the row", crimes[0].Since, want)
	}
	if told := tree.Conditions(now.Add(Sleep)); len(told) != 0 {
		t.Errorf("it sleeps, and the tree says %q", told)
	}
	now = paceOf(t, tree, now, 1, time.Second, Sleep)
	if told := tree.Conditions(now); len(told) != 0 {
		t.Errorf("it slept, and the tree says %q", told)
	}
}

func TestARunLongerThanAMinuteIsToldWhileItLastsAndUntilTheNextOneIsShort(t *testing.T) {
	tree := grown(t, 3)
	now := noon
	if _, _, err := tree.BeginRun(BeginRun{AllocationID: "t0.a2", RunID: "long"}, now); err != nil {
		t.Fatal(err)
	}
	if told := tree.Conditions(now.Add(LongRun)); len(told) != 0 {
		t.Errorf("after a minute the tree says %q", told)
	}
	if told := tree.Conditions(now.Add(2 * LongRun)); len(told) != 1 || !strings.Contains(told[0], "run long began 2m0s ago") {
		t.Errorf("after two minutes the tree says %q", told)
	}
	if crimes := tree.Crimes(now.Add(2 * LongRun)); len(crimes) != 1 || crimes[0].Kind != CrimeLongRun || crimes[0].RunID != "long" || crimes[0].Took != 2*LongRun || !crimes[0].Since.Equal(now) {
		t.Errorf("after two minutes the crimes are %+v", crimes)
	}
	now = paceOf(t, tree, now.Add(2*LongRun), 1, 90*time.Second, time.Minute)
	if told := tree.Conditions(now.Add(time.Hour)); len(told) != 1 || !strings.Contains(told[0], "took 1m30s") {
		t.Errorf("after a run of 90 s the tree says %q", told)
	}
	now = paceOf(t, tree, now, 1, time.Second, time.Minute)
	if told := tree.Conditions(now); len(told) != 0 {
		t.Errorf("after a short run the tree says %q", told)
	}
}

func TestACrimeIsAConditionOfItsReleaseToldByItsOldest(t *testing.T) {
	crime := func(release string, kind CrimeKind, since time.Time, evidence string) Crime {
		return Crime{Kind: kind, Instance: &Instance{Release: release}, Since: since, Evidence: evidence}
	}
	got := ReleaseCrimes([]Crime{
		crime("b", CrimeLongRun, noon, "b long"), crime("a", CrimeLongRun, noon.Add(time.Minute), "a long"), crime("a", CrimeLongRun, noon, "a longer"), crime("a", CrimeSleepless, noon, "a awake"),
	})
	want := []ReleaseCrime{
		{"a", CrimeSleepless, 1, noon, "a awake"}, {"a", CrimeLongRun, 2, noon, "a longer"}, {"b", CrimeLongRun, 1, noon, "b long"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("conditions are %v, want %v", got, want)
	}
}
