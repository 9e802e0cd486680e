package converge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/converge"
)

// steps carries a run out in which the named step fails, and returns the steps taken.
func steps(requested converge.Requested, failing converge.Stage) (string, converge.Run) {
	run, _ := converge.Run{}.Step(converge.StepEnded{Stage: converge.Beginning, Result: converge.Success, Requested: requested})
	var taken []string
	for run.Stage != converge.Reporting {
		taken = append(taken, run.Stage.String())
		e := converge.StepEnded{Stage: run.Stage, Result: converge.Success, Changed: run.Stage == converge.AtProfile}
		if run.Stage == failing {
			e.Result, e.Error, e.ErrorType = converge.Failure, "broken", run.Stage.String()
		}
		run, _ = run.Step(e)
	}
	return strings.Join(taken, " "), run
}

func TestTheStepsOfARun(t *testing.T) {
	for _, c := range []struct {
		requested converge.Requested
		failing   converge.Stage
		want      string
		result    converge.Result
	}{
		{converge.Started, converge.Reporting, "release prepare profile services promises", converge.Success},
		{converge.Stopped, converge.Reporting, "release prepare profile services", converge.Success},
		{converge.Stopped, converge.AtRelease, "release services", converge.Failure},
		{converge.Stopped, converge.AtProfile, "release prepare profile services", converge.Failure},
		{converge.Destroyed, converge.Reporting, "services retention prerm destroy", converge.Success},
		{converge.Destroyed, converge.AtPrerm, "services retention prerm", converge.Failure},
		{converge.Destroyed, converge.AtDestroy, "services retention prerm destroy", converge.Failure},
		{converge.Started, converge.AtRelease, "release", converge.Failure},
		{converge.Started, converge.AtProfile, "release prepare profile", converge.Failure},
		{converge.Started, converge.AtServices, "release prepare profile services", converge.Failure},
		{converge.Started, converge.AtPromises, "release prepare profile services promises", converge.Failure},
		{converge.Destroyed, converge.AtServices, "services", converge.Failure},
	} {
		taken, run := steps(c.requested, c.failing)
		if taken != c.want || run.Result != c.result {
			t.Errorf("%s with %s failing: %q, %s; want %q, %s", c.requested, c.failing, taken, run.Result, c.want, c.result)
		}
		if failed := c.result != converge.Success; failed != (run.Error == "broken") || failed && run.ErrorType != c.failing.String() {
			t.Errorf("%s with %s failing says %q of type %q", c.requested, c.failing, run.Error, run.ErrorType)
		}
		if run.Changed != strings.Contains(taken, "profile") {
			t.Errorf("%s: changed is %t after %q", c.requested, run.Changed, taken)
		}
	}
}

func TestARunThatKeepsTheContentEndsThereASuccess(t *testing.T) {
	run := converge.Run{Stage: converge.AtRetention, Requested: converge.Destroyed}
	if run, _ = run.Step(converge.StepEnded{Stage: converge.AtRetention, Result: converge.Success, Kept: true}); run.Stage != converge.Reporting || run.Result != converge.Success {
		t.Errorf("the run is at %s: %s", run.Stage, run.Result)
	}
}

func TestThePartitionRunsWhenItsContentIsKeptNoLonger(t *testing.T) {
	kept := epoch.Add(36 * time.Hour)
	node := converge.NewNode("c1", "boot-1", 1, 0, epoch)
	for _, link := range []converge.Link{converge.Orders, converge.Master} {
		node, _, _ = node.Step(converge.LinkChanged{Link: link, Up: true}, epoch)
	}
	node, _, _ = node.Step(converge.Wanted{Items: []converge.Desired{{Partition: "p0", AllocationID: "t.a1", Requested: converge.Destroyed, Period: 24 * time.Hour}}}, epoch)
	node, _, _ = node.Step(converge.Ordered{Order: converge.Order{RunID: "run-1", Partition: "p0", AllocationID: "t.a1", Cause: converge.Changed}}, epoch)
	end := func(run string, until time.Time, now time.Time) (effects []converge.Effect) {
		node, effects, _ = node.Step(converge.Ended{Partition: "p0", RunID: run, Outcome: converge.Done, Result: converge.Success, RetainedUntil: until}, now)
		return effects
	}
	end("run-1", kept, epoch.Add(time.Second))
	node, _, _ = node.Step(converge.Ordered{Order: converge.Order{RunID: "run-2", Partition: "p0", AllocationID: "t.a1", Cause: converge.Periodicity}}, epoch.Add(23*time.Hour))
	end("run-2", kept, epoch.Add(23*time.Hour))
	if at, ok := node.Due(); !ok || !at.Equal(kept) {
		t.Fatalf("it runs at %s, kept until %s", at, kept)
	}
	node, effects, _ := node.Step(converge.Tick{}, kept)
	if len(effects) != 2 {
		t.Fatalf("at that time: %v", effects)
	}
	if run := effects[1].(converge.StartRun).Run; run.Local || !run.Own {
		t.Errorf("the run is %+v", run)
	}
}

func TestAStepThatIsNotInHandChangesNothing(t *testing.T) {
	run, _ := converge.Run{}.Step(converge.StepEnded{Stage: converge.Beginning, Result: converge.Success, Requested: converge.Started})
	if after, _ := run.Step(converge.StepEnded{Stage: converge.AtPromises, Result: converge.Failure}); after != run {
		t.Errorf("run is %v", after)
	}
}

func TestFailedPromisesAreSensedAgainEvery50msWithin10sOfAStart(t *testing.T) {
	started := epoch
	now := epoch.Add(2 * time.Second)
	s := converge.NewSensing([]string{"a", "b"}, started, now)
	rounds := 0
	for len(s.Names) > 0 {
		now = s.At
		rounds++
		s, _ = s.Sensed([]string{"b"}, now)
		if len(s.Names) > 0 && (!slices.Equal(s.Names, []string{"b"}) || s.At.Sub(now) != 50*time.Millisecond) {
			t.Fatalf("sensed next are %v at %s", s.Names, s.At.Sub(epoch))
		}
	}
	if now.Sub(started) >= 10*time.Second || now.Sub(started) < 9900*time.Millisecond || rounds != 160 {
		t.Errorf("the last of %d rounds was %s after the start", rounds, now.Sub(started))
	}
	for _, c := range []struct {
		name    string
		started time.Time
		failed  []string
	}{{"no service started", time.Time{}, []string{"a"}}, {"it started long ago", epoch.Add(-time.Minute), []string{"a"}}, {"all pass", epoch, nil}} {
		if s, _ := converge.NewSensing([]string{"a"}, c.started, epoch).Sensed(c.failed, epoch); len(s.Names) > 0 {
			t.Errorf("sensed again although %s", c.name)
		}
	}
}

func TestTheVerdictTellsEveryFailureInOrder(t *testing.T) {
	result, text := converge.Verdict([]converge.Tested{
		{Promise: "z", Failed: true, Message: "exit 1"}, {Promise: "ok"}, {Promise: "a", Failed: true, Message: "exit 2"},
	})
	if result != converge.Failure || text != "promise a failed: exit 2\npromise z failed: exit 1" {
		t.Errorf("verdict is %s: %s", result, text)
	}
	if result, text := converge.Verdict(nil); result != converge.Success || text != "" {
		t.Errorf("verdict of no promises is %s: %s", result, text)
	}
}
