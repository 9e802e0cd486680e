package fleet

import (
	"fmt"
	"testing"
	"time"
)

// storm plays a day of a source that is never well: it bangs a second after each run, and each second as long as it may. Runs happen when they are due.
// It returns the number of runs that began.
func storm(t *testing.T, origin Origin) int {
	tree := grown(t, 3)
	limit := uint32(0)
	if _, _, err := tree.SetQuota(SetQuota{Limit: &limit}, noon); err != nil {
		t.Fatal(err)
	}
	count, due := 0, time.Time{}
	for now := noon; now.Before(noon.Add(24 * time.Hour)); now = now.Add(time.Second) {
		e := Bang{AllocationID: "t0.a2", Origin: origin, Source: "never", Up: time.Second, ExitSequence: uint64(now.Unix()), LastSuccessRunID: tree.Partitions["t0.i2"].LastSuccessRunID}
		a, _, err := tree.Bang(e, now)
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome.Wakes() {
			due = now.Add(a.Delay)
		}
		if due.IsZero() || now.Before(due) {
			continue
		}
		due = time.Time{}
		count++
		for n := range 3 {
			allocation, run := fmt.Sprintf("t0.a%d", n+1), fmt.Sprintf("run%d-%d", count, n)
			begun, _, err := tree.BeginRun(BeginRun{AllocationID: allocation, RunID: run}, now)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := tree.ReportRun(ReportRun{AllocationID: allocation, RunID: run, Token: begun.Token, Result: Success}, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	if told := tree.Conditions(noon.Add(24 * time.Hour)); len(told) != 1 {
		t.Errorf("the tree says %q", told)
	}
	return count
}

func TestASourceThatIsNeverWellCausesAtMostSixtyRunsADay(t *testing.T) {
	for _, origin := range []Origin{OriginPromise, OriginProcess} {
		if runs := storm(t, origin); runs > 60 || runs < 24 {
			t.Errorf("a %s caused %d runs", origin, runs)
		}
	}
}

func TestAStormDelaysOnlyItsOwnBangs(t *testing.T) {
	tree := grown(t, 1)
	p := tree.Partitions["t0.i1"]
	bang := func(source string) BangAnswer {
		a, _, err := tree.Bang(Bang{AllocationID: "t0.a1", Origin: OriginPromise, Source: source, LastSuccessRunID: p.LastSuccessRunID}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for n := range FutileFrom {
		bang("http")
		runs(t, tree, "t0.a1", fmt.Sprintf("run%d", n))
	}
	delayed := bang("http")
	if mark, ok := tree.Unanswered(p); !ok || mark.Delay == 0 || mark.Delay != delayed.Delay {
		t.Errorf("the bang of the storm is told as %+v", mark)
	}
	if sent := bang("disk"); sent.Delay != 0 || sent.Outcome != Joined {
		t.Errorf("another source got %+v", sent)
	}
	if mark, _ := tree.Unanswered(p); mark.Delay != 0 {
		t.Errorf("a bang that does not wait is told as %+v", mark)
	}
	// The run is due at once also when the storm bangs last.
	tree = reload(t, tree)
	p = tree.Partitions["t0.i1"]
	tree.Banged.Delay, tree.Banged.Generation = time.Hour, tree.next()
	if mark, _ := tree.Unanswered(p); mark.Delay != 0 {
		t.Errorf("a bang behind one that does not wait is told as %+v", mark)
	}
}
