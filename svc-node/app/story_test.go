package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
)

func masterSoftware(url string) *masterv1.Software {
	return &masterv1.Software{SoftwareRelease: url, Computer: computer, Requested: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}
}

// story runs a test in virtual time.
func story(t *testing.T, tell func(t *testing.T, n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, newNode(t)) })
}

// settled starts the node with one instance that ran once.
func (n *node) settled() {
	n.t.Helper()
	n.allocate("slappart0", "t1.a1", 1, n.release)
	n.start()
	time.Sleep(time.Second) // virtual: streams open, the release is copied
	n.order("slappart0", "t1.a1", 0)
	time.Sleep(time.Second)
	if r := n.report(0); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		n.t.Fatalf("the first run is no success: %v", r)
	}
}

// report is the report number i.
func (n *node) report(i int) *masterv1.ReportRunRequest {
	n.t.Helper()
	all := look(n.control, func() []*masterv1.ReportRunRequest { return n.reports })
	if len(all) <= i {
		n.t.Fatalf("%d reports came, want %d", len(all), i+1)
	}
	return all[i]
}

func count[T any](n *node, of func() []T) int {
	return look(n.control, func() int { return len(of()) })
}

func TestAnOrderInstallsStartsTestsAndReports(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		r := n.report(0)
		var steps []string
		for _, s := range r.GetSteps() {
			steps = append(steps, s.GetName())
		}
		if got := strings.Join(steps, " "); got != "release prepare profile services promises" {
			t.Errorf("steps are %q", got)
		}
		if r.GetToken() != 1 || !r.GetChanged() || r.GetEvaluatedLocally() || len(r.GetVerdicts()) != 1 {
			t.Errorf("report is %v", r)
		}
		if units := n.processes.look("slappart0"); len(units) != 1 || !units[0].Process.Watched || units[0].Process.Env[0] != "HOME="+filepath.Join(n.dir, "instance", "slappart0") {
			t.Errorf("processes are %v", units)
		}
		states := look(n.control, func() (s []string) {
			for _, one := range n.states {
				s = append(s, one.GetState().String())
			}
			return s
		})
		if strings.Join(states, " ") != "SOFTWARE_STATE_BUILDING SOFTWARE_STATE_AVAILABLE" {
			t.Errorf("release states are %v", states)
		}
		if count(n, func() []*masterv1.RegisterComputerRequest { return n.registered }) != 1 {
			t.Error("the computer was not registered once")
		}
	})
}

func TestARunThatChangesNothingAppliesNothing(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		before, _ := n.processes.state()
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Second)
		if r := n.report(1); r.GetChanged() || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("report is %v", r)
		}
		if after, _ := n.processes.state(); after != before {
			t.Error("processes were applied again")
		}
	})
}

func TestAnExitBangsWithinTenMilliseconds(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		time.Sleep(time.Minute)
		killed := time.Now()
		n.processes.kill("slappart0", "web")
		time.Sleep(time.Second)
		bangs := look(n.control, func() []*masterv1.BangRequest { return n.bangs })
		if len(bangs) != 1 {
			t.Fatalf("%d bangs came", len(bangs))
		}
		b := bangs[0]
		if b.GetOrigin() != typev1.BangOrigin_BANG_ORIGIN_PROCESS || b.GetSource() != "web" || b.GetAllocationId() != "t1.a1" ||
			b.GetLastSuccessRunId() != "run-of-the-test-0000" || b.GetExitSequence() != 1 || b.GetUpSeconds() < 60 {
			t.Errorf("bang is %v", b)
		}
		if late := look(n.control, func() time.Duration { return n.bangTimes[0].Sub(killed) }); late > 10*time.Millisecond {
			t.Errorf("the bang came after %s", late)
		}
		if _, acked := n.processes.state(); acked != 1 {
			t.Error("the exit is not acknowledged to the supervisor")
		}
	})
}

func TestALateOrderForAnotherAllocationIsIgnored(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.order("slappart0", "t1.a0", 1)
		time.Sleep(time.Minute)
		if got := count(n, func() []*masterv1.BeginRunRequest { return n.begun }); got != 1 {
			t.Errorf("%d runs began, want 1", got)
		}
	})
}

func TestAnOrderThatOvertakesItsAllocationWaitsForIt(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.start()
		time.Sleep(time.Second)
		n.order("slappart1", "t1.a2", 1)
		time.Sleep(100 * time.Millisecond)
		n.allocate("slappart1", "t1.a2", 1, n.release)
		time.Sleep(time.Second)
		if r := n.report(0); r.GetPartition() != "slappart1" || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("report is %v", r)
		}
	})
}

func TestAnOrderThatComesAgainStartsNothing(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.order("slappart0", "t1.a1", 0)
		time.Sleep(time.Minute)
		if got := count(n, func() []*masterv1.BeginRunRequest { return n.begun }); got != 1 {
			t.Errorf("%d runs began, want 1", got)
		}
	})
}

func TestFailedPromisesAreSensedAgainForTenSecondsAfterAStart(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		time.Sleep(30 * time.Second)
		n.sensors.set("answers", "connection refused")
		n.processes.kill("slappart0", "web")
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(3 * time.Second)
		n.sensors.set("answers", "")
		time.Sleep(time.Second)
		r := n.report(1)
		if r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || r.GetDurationSeconds() < 2.9 || r.GetDurationSeconds() > 3.2 {
			t.Errorf("report is %v", r)
		}
		last := look(n.control, func() int {
			own := 0
			for _, g := range n.evaluated[1].GetGroups() { // the others are those before the run, for the window
				if g.GetRunId() == n.evaluated[1].GetRunId() {
					own++
				}
			}
			return own
		})
		if last != 1 {
			t.Errorf("%d groups of the run were evaluated, want the last one only", last)
		}

		n.sensors.set("answers", "connection refused")
		n.order("slappart0", "t1.a1", 2)
		time.Sleep(20 * time.Second)
		r = n.report(2)
		if r.GetResult() != typev1.RunResult_RUN_RESULT_FAILURE || r.GetErrorType() != "promise" || !strings.Contains(r.GetError(), "answers failed: connection refused") {
			t.Errorf("report is %v", r)
		}
		if r.GetDurationSeconds() > 10 {
			t.Errorf("the run took %v s", r.GetDurationSeconds())
		}
	})
}

func TestWhileTheMasterIsAwayBangAndReportWaitOnDiskAndSurviveARestart(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.cut("master")
		n.sensors.set("answers", "down")
		n.processes.kill("slappart0", "web")
		time.Sleep(time.Minute)
		if _, acked := n.processes.state(); acked != 1 {
			t.Error("the exit is not acknowledged although its bang is spooled")
		}
		n.order("slappart0", "t1.a1", 1) // svc-scheduler is there, svc-master is not: the node runs by itself
		time.Sleep(time.Minute)
		n.stop()
		n.start()
		time.Sleep(10 * time.Second)
		if got := count(n, func() []*masterv1.ReportRunRequest { return n.reports }); got != 1 {
			t.Fatalf("%d reports came through a cut link", got)
		}
		n.heal("master")
		time.Sleep(2 * time.Minute)
		r := n.report(1)
		if r.GetLocal().GetSequence() != 1 || r.GetLocal().GetBootId() != "boot-of-the-test" || r.GetToken() != 1 || r.GetErrorType() != "promise" {
			t.Errorf("report is %v", r)
		}
		if bangs := look(n.control, func() []*masterv1.BangRequest { return n.bangs }); len(bangs) != 1 || bangs[0].GetSource() != "web" {
			t.Errorf("bangs are %v", bangs)
		}
		if status := n.status(); status.GetSpooled() != 0 {
			t.Errorf("%d messages still wait", status.GetSpooled())
		}
	})
}

func TestASpooledBangIsDroppedWhenALocalRunSucceeds(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.cut("master")
		n.processes.kill("slappart0", "web")
		time.Sleep(time.Minute)
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Minute)
		n.heal("master")
		time.Sleep(2 * time.Minute)
		if r := n.report(1); r.GetLocal() == nil || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("report is %v", r)
		}
		if got := count(n, func() []*masterv1.BangRequest { return n.bangs }); got != 0 {
			t.Errorf("%d bangs came for what is repaired", got)
		}
	})
}

func TestWithoutSvcPromiseTheNodeDecidesByItself(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.cut("promise")
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(5 * time.Second)
		if r := n.report(1); !r.GetEvaluatedLocally() || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || len(r.GetVerdicts()) != 1 {
			t.Errorf("report is %v", r)
		}
		n.sensors.set("answers", "down")
		time.Sleep(5 * time.Minute) // two groups of a two-minute period: no anomaly of 3 in 3 yet
		if got := count(n, func() []*masterv1.BangRequest { return n.bangs }); got != 0 {
			t.Errorf("%d bangs came for two failures", got)
		}
		time.Sleep(20 * time.Minute)
		bangs := look(n.control, func() []*masterv1.BangRequest { return n.bangs })
		if len(bangs) != 1 || bangs[0].GetOrigin() != typev1.BangOrigin_BANG_ORIGIN_PROMISE || bangs[0].GetSource() != "answers" || bangs[0].GetMessage() != "down" {
			t.Fatalf("bangs are %v", bangs)
		}
		n.heal("promise")
		time.Sleep(time.Minute)
		if got := count(n, func() []*typev1.SenseGroup { return n.replayed }); got == 0 {
			t.Error("nothing was replayed when svc-promise came back")
		}
	})
}

func TestAShortLossOfTheSenseStreamLosesNoGroup(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		for range 20 {
			time.Sleep(time.Minute)
			n.cut("promise")
			time.Sleep(3 * time.Second)
			n.heal("promise")
		}
		time.Sleep(3 * time.Minute)
		groups := look(n.control, func() []*typev1.SenseGroup { return n.groups })
		first := groups[0].GetPrevious() // the run's group went with Evaluate
		last := first
		for _, g := range groups {
			switch {
			case g.GetSequence() == last+1:
				last++
			case g.GetSequence() > last+1:
				t.Fatalf("group %d follows %d", g.GetSequence(), last)
			}
		}
		if last-first < 9 {
			t.Errorf("only %d groups came in 24 minutes", last-first)
		}
	})
}

func TestWithoutOrdersTheNodeRunsByItsDeadline(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.cut("scheduler")
		time.Sleep(time.Hour + time.Minute) // the period is an hour
		r := n.report(1)
		if r.GetLocal() != nil || r.GetToken() != 2 || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("report is %v", r)
		}
		begun := look(n.control, func() *masterv1.BeginRunRequest { return n.begun[1] })
		if begun.GetCause() != typev1.Cause_CAUSE_PERIODICITY || len(begun.GetRunId()) < 16 {
			t.Errorf("run is %v", begun)
		}
		n.cut("master")
		time.Sleep(time.Hour + time.Minute)
		n.heal("master")
		time.Sleep(2 * time.Minute)
		if r := n.report(2); r.GetLocal().GetSequence() != 2 {
			t.Errorf("report is %v", r)
		}
	})
}

func TestADestroyedPartitionIsEmptiedReportedAndFreed(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		d := n.allocate("slappart0", "t1.a1", 2, n.release)
		d.State, d.Generation = typev1.RequestedState_REQUESTED_STATE_DESTROYED, &typev1.Generation{Epoch: 1, Number: 3}
		n.want(d)
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Second)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || len(r.GetSteps()) != 4 {
			t.Errorf("report is %v", r)
		}
		if units := n.processes.look("slappart0"); len(units) != 0 {
			t.Errorf("processes are %v", units)
		}
		if left, err := os.ReadDir(filepath.Join(n.dir, "instance", "slappart0")); err != nil || len(left) != 0 {
			t.Errorf("left are %v, %v", left, err)
		}
		n.deltas <- &masterv1.WatchDesiredResponse{Freed: []string{"slappart0"}}
		time.Sleep(time.Second)
		if status := n.status(); len(status.GetPartitions()) != 0 {
			t.Errorf("status is %v", status)
		}
		if left, err := os.ReadDir(filepath.Join(n.dir, "state", "record", "partition")); err != nil || len(left) != 0 {
			t.Errorf("records are %v, %v", left, err)
		}
	})
}

func TestAStoppedPartitionRunsWithoutPromises(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		d := n.allocate("slappart0", "t1.a1", 2, n.release)
		d.State, d.Generation = typev1.RequestedState_REQUESTED_STATE_STOPPED, &typev1.Generation{Epoch: 1, Number: 3}
		n.want(d)
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Second)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || len(r.GetSteps()) != 4 || len(r.GetVerdicts()) != 0 {
			t.Errorf("report is %v", r)
		}
		sensed := n.sensors.count("answers")
		time.Sleep(time.Hour)
		if n.sensors.count("answers") != sensed {
			t.Error("promises of a stopped instance are sensed")
		}
	})
}

func TestAnOldDesiredStateNeverReplacesANewOne(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		d := n.allocate("slappart0", "t1.a1", 7, n.release)
		old := proto.CloneOf(d)
		old.Generation, old.State = &typev1.Generation{Epoch: 1, Number: 6}, typev1.RequestedState_REQUESTED_STATE_DESTROYED
		n.deltas <- &masterv1.WatchDesiredResponse{Partitions: []*masterv1.DesiredPartition{old}}
		time.Sleep(time.Second)
		if got := n.status().GetPartitions()[0].GetState(); got != typev1.RequestedState_REQUESTED_STATE_STARTED {
			t.Errorf("state is %v", got)
		}
	})
}

func TestARunThatTakesTooLongEndsAsATimeout(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.files.set(time.Hour, nil)
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(11 * time.Minute)
		r := n.report(1)
		if r.GetResult() != typev1.RunResult_RUN_RESULT_TIMEOUT || r.GetErrorType() != "timeout" || !strings.Contains(r.GetError(), "step profile") {
			t.Errorf("report is %v", r)
		}
	})
}

func TestWhatIsNotAvailableYetSaysSo(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.files.set(0, fmt.Errorf("instance %q is not ready: %w", "db", app.ErrNotAvailable))
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Second)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_FAILURE || r.GetErrorType() != "not_available" || !strings.Contains(r.GetError(), `"db" is not ready`) {
			t.Errorf("report is %v", r)
		}
		n.allocate("slappart1", "t1.a2", 2, "file:///not/supplied")
		n.order("slappart1", "t1.a2", 2)
		time.Sleep(time.Second)
		if r := n.report(2); r.GetErrorType() != "not_available" || !strings.Contains(r.GetError(), "file:///not/supplied is not supplied") {
			t.Errorf("report is %v", r)
		}
	})
}

func TestAReleaseThatCannotBeInstalledIsReportedAndTriedAgain(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		missing := filepath.Join(n.dir, "later")
		n.software = []*masterv1.Software{masterSoftware("file://" + missing)}
		n.allocate("slappart0", "t1.a1", 1, "file://"+missing)
		n.start()
		time.Sleep(time.Second)
		n.order("slappart0", "t1.a1", 0)
		time.Sleep(10 * time.Second)
		if r := n.report(0); r.GetErrorType() != "release" || !strings.Contains(r.GetError(), missing) {
			t.Errorf("report is %v", r)
		}
		if err := os.Mkdir(missing, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(missing, "instance.cfg"), []byte("[buildout]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		states := look(n.control, func() []*masterv1.ReportSoftwareStateRequest { return n.states })
		if last := states[len(states)-1]; last.GetState() != masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE {
			t.Errorf("the last state is %v", last)
		}
		if errors := len(states); errors > 20 {
			t.Errorf("%d states were reported in a minute", errors)
		}
	})
}

func TestTwoRunsAreHeldApartByTheLockOfAnotherAgent(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		file, err := os.OpenFile(filepath.Join(n.dir, "state", "lock", "slappart0.lock"), os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Second)
		if got := count(n, func() []*masterv1.BeginRunRequest { return n.begun }); got != 1 {
			t.Errorf("%d runs began, want 1", got)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_UN); err != nil {
			t.Fatal(err)
		}
		n.order("slappart0", "t1.a1", 1) // svc-scheduler hands it over again
		time.Sleep(time.Second)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("report is %v", r)
		}
	})
}

// status asks the node through svc-master's Link.
func (n *node) status() *nodev1.GetStatusResponse {
	n.t.Helper()
	n.call(&masterv1.NodeCall{Call: 1, Method: nodev1connect.NodeServiceGetStatusProcedure})
	answer := <-n.answers
	status := new(nodev1.GetStatusResponse)
	if err := proto.Unmarshal(answer.GetResponse(), status); err != nil || answer.GetErrorCode() != "" {
		n.t.Fatalf("cannot ask for the status: %v %v", answer, err)
	}
	return status
}
