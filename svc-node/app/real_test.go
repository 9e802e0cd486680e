package app_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// TestMain makes the test binary a supervisor too: it is a process of its own.
func TestMain(m *testing.M) {
	supervisor.Stub()
	if len(os.Args) > 1 && os.Args[1] == "vow-supervisor" {
		os.Exit(supervisor.Main(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// profile is a service that logs and waits, a promise that looks for its trace, and a hook.
const profile = `[buildout]
parts = web answers destroy

[web]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/service/web
command-line = /bin/sh -c "echo web is up; touch ${buildout:directory}/var/up; exec sleep 600"

[answers]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/promise/answers
command-line = test -e ${buildout:directory}/var/up

[destroy]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/sbin/destroy
command-line = touch ${buildout:directory}/../destroyed
`

// startReal starts the agent with a real supervisor, installer and sensors under the faked control plane.
func startReal(t testing.TB, n *node, profile string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "release", "instance.cfg"), []byte(profile), 0o644); err != nil {
		t.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	keeper := exec.Command(executable, "vow-supervisor", "--dir", filepath.Join(n.dir, "supervisor"))
	keeper.Stderr = &output
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = keeper.Process.Signal(syscall.SIGTERM)
		if err := keeper.Wait(); err != nil || t.Failed() {
			t.Logf("the supervisor ended with %v and said\n%s", err, output.String())
		}
	})
	a, err := app.New(app.Config{
		Computer: computer, InstanceRoot: filepath.Join(n.dir, "instance"), SoftwareRoot: filepath.Join(n.dir, "software"),
		StateDir: filepath.Join(n.dir, "state"), SupervisorDir: filepath.Join(n.dir, "supervisor"), Socket: filepath.Join(n.dir, "s"),
		Partitions: 1, Periodicity: 24 * time.Hour, Slots: 2, Register: true, PartitionTimeout: n.timeout,
		Master: "master:1", Scheduler: "scheduler:1", Promise: "promise:1",
	}, app.Settings{Dial: n.dial})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.app = a
}

// eventually waits for something that happens on the real clock.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !happened(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func (n *node) reported(number int) func() bool {
	return func() bool { return count(n, func() []*masterv1.ReportRunRequest { return n.reports }) > number }
}

// sensedByHand checks that what a person senses is told one by one with its window, and reaches svc-promise only when anomalies
// are asked for and the run is not dry.
func sensedByHand(ctx context.Context, t *testing.T, n *node, local nodev1connect.NodeServiceClient) {
	t.Helper()
	sense := func(r *nodev1.SensePromisesRequest) *nodev1.SensePromisesResponse {
		t.Helper()
		r.Partition = "slappart0"
		stream, err := local.SensePromises(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if !stream.Receive() {
			t.Fatalf("nothing is told: %v", stream.Err())
		}
		one := stream.Msg()
		if stream.Receive() || stream.Err() != nil {
			t.Errorf("more is told: %v, %v", stream.Msg(), stream.Err())
		}
		return one
	}
	own := func() []*typev1.SenseGroup {
		return slices.DeleteFunc(slices.Clone(n.groups), func(g *typev1.SenseGroup) bool { return g.GetRunId() != "" })
	}
	before := count(n, own)
	dry := sense(&nodev1.SensePromisesRequest{CheckAnomaly: true, DryRun: true})
	if w := dry.GetWindow(); dry.GetFailed() || len(w) == 0 || w[len(w)-1].GetSequence() == 0 || dry.GetAnomaly().GetLooked() == 0 {
		t.Errorf("a dry run says %v", dry)
	}
	wet := sense(&nodev1.SensePromisesRequest{CheckAnomaly: true, Promises: []string{dry.GetPromise()}, TimeoutSeconds: 5})
	if wet.GetGroup().GetSequence() != dry.GetGroup().GetSequence() {
		t.Errorf("the dry run left group %d behind: the next is %d", dry.GetGroup().GetSequence(), wet.GetGroup().GetSequence())
	}
	eventually(t, "the group reaches svc-promise", func() bool {
		return look(n.control, func() bool {
			return slices.ContainsFunc(own()[before:], func(g *typev1.SenseGroup) bool { return g.GetSequence() == wet.GetGroup().GetSequence() })
		})
	})
	none, err := local.SensePromises(ctx, &nodev1.SensePromisesRequest{Partition: "slappart0", Promises: []string{"nothing"}})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if none.Receive() || !rpc.IsNotFound(none.Err()) || !strings.Contains(none.Err().Error(), `cannot find promise "nothing"`) {
		t.Errorf("an unknown promise gives %v", none.Err())
	}
}

func TestOnARealMachineARunStartsAKillBangsAndADestroyEmpties(t *testing.T) {
	n := newNode(t)
	startReal(t, n, profile)
	n.allocate("slappart0", "t1.a1", 1, n.release)
	available := func() bool {
		return look(n.control, func() bool {
			return len(n.states) > 0 && n.states[len(n.states)-1].GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
		})
	}
	eventually(t, "the release is available", available)
	n.order("slappart0", "t1.a1", 0)
	eventually(t, "the run is reported", n.reported(0))
	if r := n.report(0); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || !r.GetChanged() {
		t.Fatalf("report is %v", r)
	}

	n.order("slappart0", "t1.a1", 1)
	eventually(t, "the second run is reported", n.reported(1))
	r := n.report(1)
	if r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || r.GetChanged() {
		t.Fatalf("the second report is %v", r)
	}
	t.Logf("a run that changes nothing took %.1f ms", r.GetDurationSeconds()*1000)

	client, err := rpc.NewClient(rpc.Target{Address: "unix:" + filepath.Join(n.dir, "s")}, rpc.ClientSettings{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	local := nodev1connect.NewNodeServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	processes, err := local.ListProcesses(ctx, &nodev1.ListProcessesRequest{Partition: "slappart0"})
	if err != nil || len(processes.GetProcesses()) != 1 || processes.GetProcesses()[0].GetState() != "running" {
		t.Fatalf("processes are %v, %v", processes, err)
	}
	plan, err := local.Plan(ctx, &nodev1.PlanRequest{Partition: "slappart0"})
	if err != nil || len(plan.GetParts()) != 3 || plan.GetParts()[0].GetAction() == "install" || len(plan.GetFiles())+len(plan.GetServices()) > 0 {
		t.Errorf("plan is %v, %v", plan, err)
	}
	tried, err := local.RunPromises(ctx, &nodev1.RunPromisesRequest{Partition: "slappart0"})
	if err != nil || len(tried.GetVerdicts()) != 1 || tried.GetVerdicts()[0].GetTestFailed() {
		t.Errorf("promises say %v, %v", tried, err)
	}
	if _, err := local.RunPromises(ctx, &nodev1.RunPromisesRequest{Partition: "slappart0", Promises: []string{"nothing"}}); !rpc.IsNotFound(err) {
		t.Errorf("an unknown promise gives %v", err)
	}
	sensedByHand(ctx, t, n, local)
	logs, err := local.Logs(ctx, &nodev1.LogsRequest{Partition: "slappart0", Process: "web", Follow: true})
	if err != nil || !logs.Receive() || !strings.Contains(string(logs.Msg().GetOutput()), "web is up") {
		t.Errorf("logs are %v, %v", logs.Msg(), err)
	}

	if p := processes.GetProcesses()[0]; p.GetMemoryBytes() == 0 || p.GetProblem() != "" {
		t.Errorf("the process is %v", p)
	}
	hand := func(process string, action nodev1.ProcessAction) (*nodev1.Process, error) {
		response, err := local.ControlProcess(ctx, &nodev1.ControlProcessRequest{Partition: "slappart0", Process: process, Action: action})
		return response.GetProcess(), err
	}
	if p, err := hand("web", nodev1.ProcessAction_PROCESS_ACTION_STOP); err != nil || p.GetState() != "stopped" || p.GetPid() != 0 {
		t.Errorf("stopped by hand it is %v, %v", p, err)
	}
	if _, err := hand("wbe", nodev1.ProcessAction_PROCESS_ACTION_STOP); !rpc.IsNotFound(err) || !strings.Contains(err.Error(), "cannot stop slappart0/wbe: no such process") {
		t.Errorf("a typing error gives %v", err)
	}
	n.order("slappart0", "t1.a1", 9) // the next run restores the desired state
	eventually(t, "the restoring run is reported", n.reported(2))
	if p, err := hand("web", nodev1.ProcessAction_PROCESS_ACTION_START); err != nil || p.GetState() != "running" || p.GetPid() == processes.GetProcesses()[0].GetPid() {
		t.Errorf("after the run it is %v, %v", p, err)
	} else if again, err := hand("web", nodev1.ProcessAction_PROCESS_ACTION_START); err != nil || again.GetPid() != p.GetPid() {
		t.Errorf("started twice it is %v, %v", again, err)
	}
	if p, err := hand("web", nodev1.ProcessAction_PROCESS_ACTION_RESTART); err != nil || p.GetState() != "running" {
		t.Errorf("restarted it is %v, %v", p, err)
	}
	if processes, err = local.ListProcesses(ctx, &nodev1.ListProcessesRequest{Partition: "slappart0"}); err != nil {
		t.Fatal(err)
	}

	killed := time.Now()
	if err := syscall.Kill(int(processes.GetProcesses()[0].GetPid()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kill bangs", func() bool { return count(n, func() []*masterv1.BangRequest { return n.bangs }) == 1 })
	took := look(n.control, func() time.Duration { return n.bangTimes[0].Sub(killed) })
	t.Logf("the bang came %s after the kill", took)
	if took > time.Second { // the target is 10 ms past the exit; a loaded machine may be slower, never a second
		t.Errorf("the bang came %s after the kill", took)
	}
	if b := look(n.control, func() *masterv1.BangRequest { return n.bangs[0] }); b.GetSource() != "web" || b.GetExitSequence() == 0 {
		t.Errorf("bang is %v", b)
	}

	d := n.allocate("slappart0", "t1.a1", 2, n.release)
	d.State, d.Generation = typev1.RequestedState_REQUESTED_STATE_DESTROYED, &typev1.Generation{Epoch: 1, Number: 3}
	n.want(d)
	n.order("slappart0", "t1.a1", 2)
	eventually(t, "the destruction is reported", n.reported(3))
	if r := n.report(3); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		t.Errorf("report is %v", r)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "instance", "destroyed")); err != nil {
		t.Error("the hook did not run")
	}
	if left, err := os.ReadDir(filepath.Join(n.dir, "instance", "slappart0")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestAProfileThatDoesNotParseIsReportedWithItsPlace(t *testing.T) {
	n := newNode(t)
	startReal(t, n, "[buildout]\nparts = web\n[web]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = ${nowhere:path}\ncommand-line = true\n")
	n.allocate("slappart0", "t1.a1", 1, n.release)
	eventually(t, "the release is available", func() bool { return look(n.control, func() bool { return len(n.states) > 1 }) })
	n.order("slappart0", "t1.a1", 0)
	eventually(t, "the run is reported", n.reported(0))
	r := n.report(0)
	if r.GetResult() != typev1.RunResult_RUN_RESULT_FAILURE || r.GetErrorType() != "profile" || !strings.Contains(r.GetError(), "instance.cfg") || !strings.Contains(r.GetError(), "nowhere") {
		t.Errorf("report is %v", r)
	}
}

// pythonProfile deploys a Python promise that passes once its own log says that it was looked at before.
const pythonProfile = `[buildout]
parts = looked

[looked]
recipe = slapos.recipe.template:jinja2
output = ${buildout:directory}/etc/plugin/looked.py
inline =
  from zope.interface import implementer
  from slapos.grid.promise import interface
  from slapos.grid.promise.generic import GenericPromise
  @implementer(interface.IPromise)
  class RunPromise(GenericPromise):
    def sense(self):
      if self.getLastPromiseResultList():
        self.logger.info("seen on %s before", self.getConfig("computer-id"))
      else:
        self.logger.error("never seen before")
`

func TestOnARealMachineARunTestsPythonPromises(t *testing.T) {
	n := newNode(t)
	startReal(t, n, pythonProfile)
	n.allocate("slappart0", "t1.a1", 1, n.release)
	eventually(t, "the release is available", func() bool {
		return look(n.control, func() bool {
			return len(n.states) > 0 && n.states[len(n.states)-1].GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
		})
	})
	for i, want := range []struct {
		result  typev1.RunResult
		message string
	}{{typev1.RunResult_RUN_RESULT_FAILURE, "never seen before"}, {typev1.RunResult_RUN_RESULT_SUCCESS, "seen on " + computer + " before"}} {
		n.order("slappart0", "t1.a1", i)
		eventually(t, "the run is reported", n.reported(i))
		r := n.report(i)
		if r.GetResult() != want.result || len(r.GetVerdicts()) != 1 || r.GetVerdicts()[0].GetPromise() != "looked" || !strings.Contains(r.GetVerdicts()[0].GetMessage(), want.message) {
			t.Errorf("report %d is %v", i, r)
		}
	}
}
