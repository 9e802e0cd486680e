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
		{converge.Started, converge.Reporting, "release profile services promises", converge.Success},
		{converge.Stopped, converge.Reporting, "release profile services", converge.Success},
		{converge.Destroyed, converge.Reporting, "services", converge.Success},
		{converge.Started, converge.AtRelease, "release", converge.Failure},
		{converge.Started, converge.AtProfile, "release profile", converge.Failure},
		{converge.Started, converge.AtServices, "release profile services", converge.Failure},
		{converge.Started, converge.AtPromises, "release profile services promises", converge.Failure},
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
