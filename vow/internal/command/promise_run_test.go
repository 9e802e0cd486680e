package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// brokenPlugin is a promise that fails.
const brokenPlugin = `from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise

@implementer(interface.IPromise)
class RunPromise(GenericPromise):
  def sense(self):
    self.logger.error("no %s at %s", self.getConfig("computer-id"), self.getConfig("partition-id"))
`

// inPartition makes a partition's directory and goes there.
func inPartition(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "slappart7")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return dir
}

func TestPromisesOfADirectoryRunWithoutANode(t *testing.T) {
	dir := inPartition(t, map[string]string{
		"etc/plugin/py.py": brokenPlugin, "etc/plugin/up.json": `{"sensor": "check_interface_up", "config": {"ifname": "lo", "testing": "1"}}`, "etc/promise/bad": "#!/bin/sh\necho bad; exit 1\n",
		"monitor.conf": "[other]\ncomputer-id = nobody\n[promises]\npartition-folder = " + "." + "\ncomputer-id = COMP-1\ncheck-anomaly = no\npromise-timeout = 7\n",
	})
	code, out, errOut := run(t, "promise", "run", "--dry-run", "--config", "monitor.conf")
	if code != exitFailed || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{
		"passed  up  (etc/plugin/up.json", "FAILED  bad  (etc/promise/bad", "FAILED  py  (etc/plugin/py.py", "no COMP-1 at slappart7\n",
		"test     failed  fails when the newest group failed: 1 of 1 did\n", "anomaly  ok      fails when the newest group failed, and 3 of the 3 newest did: 1 of 1 did\n",
		"window   failed  ", "1 passed, 2 failed\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".slapgrid")); err == nil {
		t.Error("a dry run wrote .slapgrid")
	}
	if code, out, errOut := run(t, "promise", "run", "up", "-o", "json"); code != exitOK || !json.Valid([]byte(out)) || !strings.Contains(out, `"result_count"`) {
		t.Errorf("exit %d, %s\n%s", code, errOut, out)
	}
	if _, err := os.Stat(filepath.Join(dir, ".slapgrid/promise/result/up.status.json")); err != nil {
		t.Error(err)
	}
	if code, out, _ := run(t, "promise", "run", "--run-only", "up"); code != exitOK || !strings.Contains(out, "-       up  not sensed: it is not due before") || !strings.Contains(out, "0 passed, 0 failed, 1 not sensed") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestAWrongCommandLineIsToldBeforeAnythingIsSensed(t *testing.T) {
	inPartition(t, map[string]string{"etc/promise/bad": "#!/bin/sh\nexit 1\n", "no.conf": "[monitor]\n", "bad.conf": "[promises]\npromise-timeout = soon\n"})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--config", "no.conf"}, "cannot use --config no.conf: it has no section [promises]"},
		{[]string{"--config", "bad.conf"}, "cannot use --config bad.conf: promise-timeout = soon: "},
		{[]string{"--config", "absent.conf"}, "cannot use --config absent.conf: "},
		{[]string{"--promise-timeout", "-1"}, "cannot use --promise-timeout -1"},
		{[]string{"--partition", "slappart0", "-L", "x"}, "cannot use --log-folder with --partition"},
		{[]string{"-p", "etc"}, "has neither etc/promise nor etc/plugin; go to a partition's directory"},
	} {
		if code, out, errOut := run(t, append([]string{"promise", "run"}, c.args...)...); code != exitUsage || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit %d, %q, %q", c.args, code, out, errOut)
		}
	}
	if code, _, errOut := run(t, "promise", "run", "dab"); code != exitFailed || !strings.Contains(errOut, `cannot find promise "dab": there are bad`) {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestTheNamesOfPromisesAreOffered(t *testing.T) {
	inPartition(t, map[string]string{"etc/promise/bad": "#!/bin/sh\nexit 1\n", "etc/plugin/py.py": brokenPlugin})
	if _, out, _ := run(t, "__complete", "promise", "run", ""); !strings.HasPrefix(out, "bad\npy\n") {
		t.Errorf("offered are\n%s", out)
	}
	if _, out, _ := run(t, "__complete", "promise", "run", "--run-only", ""); !strings.HasPrefix(out, "bad\npy\n") {
		t.Errorf("offered are\n%s", out)
	}
}

// master is a svc-master with one partition; it takes a bang.
type master struct {
	masterv1connect.UnimplementedFeedServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	result typev1.RunResult
	bangs  chan *masterv1.BangRequest
}

func (m *master) ListAllocations(_ context.Context, r *masterv1.ListAllocationsRequest) (*masterv1.ListAllocationsResponse, error) {
	return &masterv1.ListAllocationsResponse{Allocations: []*masterv1.Allocation{{
		AllocationId: anAllocation, Computer: r.GetComputers()[0], Partition: "slappart7", Latest: &masterv1.RunSummary{RunId: "run-1", Result: m.result},
	}}}, nil
}

func (m *master) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	m.bangs <- r
	return &masterv1.BangResponse{Results: []*masterv1.BangResult{{BangId: "b1", Outcome: masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED}}}, nil
}

func TestAnAnomalyFoundByHandBangsOnceIfTheLatestRunWasASuccess(t *testing.T) {
	inPartition(t, map[string]string{"etc/plugin/one.py": brokenPlugin, "etc/plugin/two.py": brokenPlugin})
	m := &master{result: typev1.RunResult_RUN_RESULT_SUCCESS, bangs: make(chan *masterv1.BangRequest, 9)}
	address := rpctest.Loopback(t, func(s *rpc.Server) {
		s.Handle(masterv1connect.NewFeedServiceHandler(m, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewBangServiceHandler(m, s.HandlerOptions()...))
	})
	args := []string{"promise", "run", "-a", "-f", "--master-url", "http://" + address, "--computer-id", "COMP-1"}
	code, out, errOut := run(t, args...)
	if code != exitFailed || !strings.Contains(out, "bangs: b1 accepted") {
		t.Fatalf("exit %d, %s\n%s", code, errOut, out)
	}
	if b := <-m.bangs; b.GetAllocationId() != anAllocation || b.GetOrigin() != typev1.BangOrigin_BANG_ORIGIN_PROMISE || b.GetLastSuccessRunId() != "run-1" || b.GetMessage() != "no COMP-1 at slappart7" {
		t.Errorf("bang is %v", b)
	}
	if code, out, _ := run(t, append(args, "--dry-run")...); code != exitFailed || !strings.Contains(out, "a dry run does not bang") {
		t.Errorf("dry: exit %d\n%s", code, out)
	}
	if code, out, _ := run(t, args[:4]...); code != exitFailed || !strings.Contains(out, "nobody is told of") {
		t.Errorf("without a master: exit %d\n%s", code, out)
	}
	m.result = typev1.RunResult_RUN_RESULT_FAILURE
	if code, out, _ := run(t, args...); code != exitFailed || !strings.Contains(out, "does not bang: the latest run of slappart7 is no success") {
		t.Errorf("after a failed run: exit %d\n%s", code, out)
	}
	if len(m.bangs) != 0 {
		t.Errorf("%d bangs more", len(m.bangs))
	}
}

// senser is a node that senses two promises, and says so one by one.
type senser struct {
	nodev1connect.UnimplementedNodeServiceHandler
	asked chan *nodev1.SensePromisesRequest
}

func (n senser) SensePromises(_ context.Context, r *nodev1.SensePromisesRequest, stream *connect.ServerStream[nodev1.SensePromisesResponse]) error {
	n.asked <- r
	if r.GetPartition() != "slappart0" {
		return rpc.Errorf(rpc.CodeNotFound, "cannot find partition %q: not on this node", r.GetPartition())
	}
	for _, name := range []string{"web", "disk"} {
		one := &nodev1.SensePromisesResponse{Promise: name, File: "etc/promise/" + name, Verdict: &typev1.Verdict{Message: "all well"}, Group: &typev1.SenseGroup{}}
		if err := stream.Send(one); err != nil {
			return err
		}
	}
	return nil
}

func TestANodeSensesItsPartitionsPromises(t *testing.T) {
	inPartition(t, map[string]string{"etc/promise/unused": ""})
	n := senser{asked: make(chan *nodev1.SensePromisesRequest, 1)}
	t.Setenv("VOW_NODE_ADDRESS", rpctest.Loopback(t, func(s *rpc.Server) { s.Handle(nodev1connect.NewNodeServiceHandler(n, s.HandlerOptions()...)) }))
	code, out, errOut := run(t, "promise", "run", "--partition", "slappart0", "--dry-run", "-a", "--promise-timeout", "2.5", "web", "disk")
	if code != exitOK || !strings.Contains(out, "passed  web  (etc/promise/web, 0 ms)  all well\npassed  disk") || !strings.HasSuffix(out, "2 passed, 0 failed\n") {
		t.Fatalf("exit %d, %s\n%s", code, errOut, out)
	}
	if r := <-n.asked; !r.GetDryRun() || !r.GetCheckAnomaly() || r.GetTimeoutSeconds() != 2.5 || len(r.GetPromises()) != 2 {
		t.Errorf("asked was %v", r)
	}
	if code, _, errOut := run(t, "promise", "run", "--partition", "slappart9"); code != exitFailed || !strings.Contains(errOut, `cannot find partition "slappart9"`) {
		t.Errorf("exit %d, %q", code, errOut)
	}
}
