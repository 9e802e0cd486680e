package fleet

import (
	"strings"
	"testing"
	"time"
)

// A destroyed instance whose content is kept is there, shown with its time, until a run says that nothing is kept.
func TestADestroyedInstanceIsThereUntilNothingOfItIsKept(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	tree := New("t", "default", 1)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	request := Request{Title: "db", Release: "file:///r", Retention: 72 * time.Hour}
	_, _, err := tree.Request(request, now)
	must(err)
	request.Retention = time.Hour
	_, _, err = tree.Request(request, now)
	must(err)
	if got := tree.Instances["t.i1"].Retention; got != 72*time.Hour {
		t.Errorf("a later request made the retention %s", got)
	}
	_, _, err = tree.Allocate(Allocate{InstanceID: "t.i1", Computer: "c", Partition: "p0"}, now)
	must(err)
	_, _, err = tree.SetState(SetState{InstanceID: "t.i1", State: Destroyed}, now)
	must(err)
	run := func(id string, kept time.Time) Effects {
		t.Helper()
		begun, _, err := tree.BeginRun(BeginRun{AllocationID: "t.a1", RunID: id, Cause: CauseChanged}, now)
		must(err)
		_, fx, err := tree.ReportRun(ReportRun{AllocationID: "t.a1", RunID: id, Token: begun.Token, Result: Success, RetainedUntil: kept}, now)
		must(err)
		return fx
	}
	kept := now.Add(72 * time.Hour)
	if fx := run("run-1", kept); fx.Gone || len(fx.Freed) != 0 {
		t.Errorf("a kept instance is gone: %+v", fx)
	}
	if p := tree.Partitions["t.i1"]; p == nil || !p.RetainedUntil.Equal(kept) || tree.Unsettled() {
		t.Errorf("the partition is %+v, unsettled %t", p, tree.Unsettled())
	}
	if _, _, err := tree.Request(request, now); err == nil || !strings.Contains(err.Error(), "kept until 2026-03-07T12:00:00Z") {
		t.Errorf("a request of it says %v", err)
	}
	if fx := run("run-2", time.Time{}); !fx.Gone || len(fx.Freed) != 1 {
		t.Errorf("nothing is kept and it is there: %+v", fx)
	}
	if _, _, err := New("u", "default", 1).Request(Request{Title: "x", Release: "file:///r", Retention: MaxRetention + 1}, now); err == nil {
		t.Error("a retention beyond the bound is taken")
	}
}
