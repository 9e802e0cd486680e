package command

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// fakeNode answers as a node with one process that lacks its limit.
type fakeNode struct {
	nodev1connect.UnimplementedNodeServiceHandler
	controlled []*nodev1.ControlProcessRequest
	logged     []*nodev1.LogsRequest
}

func (*fakeNode) ListProcesses(context.Context, *nodev1.ListProcessesRequest) (*nodev1.ListProcessesResponse, error) {
	return &nodev1.ListProcessesResponse{Processes: []*nodev1.Process{{
		Partition: "slappart0", Name: "web", State: "running", Pid: 77, Since: timestamppb.Now(), CpuSeconds: 1.5, MemoryBytes: 12_300_000,
		Restarts: 3, LastExit: "killed by SIGKILL after 42 s", Problem: "its limit of memory is not held: this machine has no cgroup controller memory",
	}}}, nil
}

func (n *fakeNode) ControlProcess(_ context.Context, r *nodev1.ControlProcessRequest) (*nodev1.ControlProcessResponse, error) {
	n.controlled = append(n.controlled, r)
	if r.GetProcess() != "web" {
		return nil, rpc.Errorf(rpc.CodeNotFound, "cannot stop %s/%s: no such process", r.GetPartition(), r.GetProcess())
	}
	return &nodev1.ControlProcessResponse{Process: &nodev1.Process{State: "stopped"}}, nil
}

func (n *fakeNode) Logs(_ context.Context, r *nodev1.LogsRequest, stream *connect.ServerStream[nodev1.LogsResponse]) error {
	n.logged = append(n.logged, r)
	for _, part := range []string{"web is ", "up\n"} {
		if err := stream.Send(&nodev1.LogsResponse{Output: []byte(part)}); err != nil {
			return err
		}
	}
	return nil
}

// serveNode starts a fake node and returns the flag that names it.
func serveNode(t *testing.T) (*fakeNode, string) {
	t.Helper()
	serve(t)
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{}
	rpctest.Serve(t, listener, func(s *rpc.Server) { s.Handle(nodev1connect.NewNodeServiceHandler(n, s.HandlerOptions()...)) })
	return n, "--node=unix:" + socket
}

func TestPsShowsWhatAProcessUsesAndWhatIsNotHeld(t *testing.T) {
	_, node := serveNode(t)
	code, out, errOut := run(t, "node", "ps", node)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"CPU", "1.50 s", "12.3 MB", "killed by SIGKILL after 42 s", "\nslappart0/web: its limit of memory is not held: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestAHandOnAProcessSaysWhoRestoresIt(t *testing.T) {
	n, node := serveNode(t)
	code, out, errOut := run(t, "node", "stop", "slappart0/web", node)
	if code != exitOK || out != "slappart0/web is stopped by hand: it is stopped. The next run of slappart0 restores the desired state.\n" {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
	for _, do := range []string{"start", "restart"} {
		if code, _, errOut := run(t, "node", do, "slappart0/web", node); code != exitOK {
			t.Errorf("%s: exit %d, %s", do, code, errOut)
		}
	}
	want := []nodev1.ProcessAction{nodev1.ProcessAction_PROCESS_ACTION_STOP, nodev1.ProcessAction_PROCESS_ACTION_START, nodev1.ProcessAction_PROCESS_ACTION_RESTART}
	for i, action := range want {
		if got := n.controlled[i]; got.GetAction() != action || got.GetPartition() != "slappart0" || got.GetProcess() != "web" {
			t.Errorf("call %d is %v, want %v", i, got, action)
		}
	}
	if code, _, errOut := run(t, "node", "stop", "slappart0/wbe", node); code != exitFailed || !strings.Contains(errOut, "no such process") {
		t.Errorf("a typing error ends with %d, %q", code, errOut)
	}
	if code, _, errOut := run(t, "node", "stop", "web", node); code != exitUsage || !strings.Contains(errOut, "want PARTITION/PROCESS") {
		t.Errorf("without a partition it ends with %d, %q", code, errOut)
	}
}

func TestLogsAreShownAndFollowed(t *testing.T) {
	n, node := serveNode(t)
	code, out, errOut := run(t, "node", "logs", "-f", "--tail", "10", "slappart0/web", node)
	if code != exitOK || out != "web is up\n" {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
	if r := n.logged[0]; !r.GetFollow() || r.GetTailBytes() != 10 || r.GetProcess() != "web" {
		t.Errorf("asked for %v", r)
	}
}
