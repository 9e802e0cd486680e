package command

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// fakeLinks relays to a fake node of computer laptop, the only one with a link.
type fakeLinks struct {
	masterv1connect.UnimplementedLinkServiceHandler
	gone bool
}

func (l *fakeLinks) CallNode(ctx context.Context, r *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	if l.gone || r.GetComputer() != "laptop" {
		return nil, rpc.Unavailable(errAway)
	}
	var answer proto.Message
	var err error
	switch r.GetMethod() {
	case nodev1connect.NodeServiceListProcessesProcedure:
		answer, err = (&fakeNode{}).ListProcesses(ctx, nil)
	case nodev1connect.NodeServicePlanProcedure:
		request := new(nodev1.PlanRequest)
		if err = proto.Unmarshal(r.GetRequest(), request); err == nil {
			answer, err = planner{}.Plan(ctx, request)
		}
	}
	if err != nil {
		return nil, err
	}
	response, err := proto.Marshal(answer)
	return &masterv1.CallNodeResponse{Response: response}, err
}

func (l *fakeLinks) StreamNode(_ context.Context, r *masterv1.StreamNodeRequest, stream *connect.ServerStream[masterv1.StreamNodeResponse]) error {
	messages := []proto.Message{&nodev1.LogsResponse{Output: []byte("web is ")}, &nodev1.LogsResponse{Output: []byte("up\n")}}
	if r.GetMethod() == nodev1connect.NodeServiceSensePromisesProcedure {
		messages = []proto.Message{&nodev1.SensePromisesResponse{Promise: "web-listens", Failed: true}}
	}
	for _, m := range messages {
		response, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		if err := stream.Send(&masterv1.StreamNodeResponse{Response: response}); err != nil {
			return err
		}
	}
	return nil
}

var errAway = awayError{}

type awayError struct{}

func (awayError) Error() string {
	return `cannot reach the node of "laptop": it has no link to svc-master`
}

// However a partition is named, its node is asked through svc-master when it is not on this machine.
func TestAPartitionAnywhereIsReachedByWhatNamesIt(t *testing.T) {
	serve(t)
	for _, thing := range []string{"hello", "hello/web", "t0123456789ab.i1", "laptop/slappart0", "laptop"} {
		code, out, errOut := run(t, "ps", thing)
		if code != exitOK || !strings.Contains(out, "laptop/slappart0") || !strings.Contains(out, "killed by SIGKILL after 42 s") {
			t.Errorf("ps %s ends with %d, %s\n%s", thing, code, errOut, out)
		}
		if code, out, errOut := run(t, "logs", "-f", thing); code != exitOK || out != "web is up\n" {
			t.Errorf("logs %s ends with %d, %q, %s", thing, code, out, errOut)
		}
	}
	if code, out, errOut := run(t, "ps", "hello", "-o", "json"); code != exitOK || !strings.Contains(out, `"computer": "laptop"`) || !strings.Contains(out, `"cpu_seconds"`) {
		t.Errorf("ps as JSON ends with %d, %s\n%s", code, errOut, out)
	}
	if code, out, errOut := run(t, "plan", "hello/web"); code != exitOK || !strings.Contains(out, "replace   etc/service/web [web]") {
		t.Errorf("plan ends with %d, %s\n%s", code, errOut, out)
	}
	if code, out, _ := run(t, "promise", "run", "--partition", "hello/web"); code != exitFailed || !strings.Contains(out, "web-listens") {
		t.Errorf("promise run ends with %d\n%s", code, out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"logs", "hello", "wbe"}, exitFailed, `cannot find process "wbe" of "hello": there are laptop/slappart0 web`},
		{[]string{"plan", "laptop"}, exitUsage, "want laptop/PARTITION"},
		{[]string{"plan", "laptop/slappart9"}, exitFailed, `cannot find partition "laptop/slappart9"`},
		{[]string{"ps", "hello/nothing"}, exitFailed, "tree hello has web"},
	} {
		if code, _, errOut := run(t, c.args...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%v ends with %d, %q, want %q", c.args, code, errOut, c.want)
		}
	}
}

// When a node is away it is said whether the node or svc-master is, since when, and what to do.
func TestANodeThatIsAwayIsToldFromAMasterThatIs(t *testing.T) {
	f := serve(t)
	f.links.gone = true
	code, _, errOut := run(t, "ps", "hello")
	for _, want := range []string{"cannot list the processes of laptop/slappart0: cannot reach the node", "computer laptop is Green, last contact", "`vow why laptop`"} {
		if code != exitFailed || !strings.Contains(errOut, want) {
			t.Errorf("exit %d, %q is not in %s", code, want, errOut)
		}
	}
	if strings.Contains(errOut, "vow up") {
		t.Errorf("it tells to start what runs: %s", errOut)
	}
	t.Setenv("VOW_MASTER_ADDRESS", "127.0.0.1:1")
	if code, _, errOut := run(t, "ps", "hello"); code != exitFailed || !strings.Contains(errOut, "start the services with `vow up`") {
		t.Errorf("without svc-master it ends with %d, %s", code, errOut)
	}
}
