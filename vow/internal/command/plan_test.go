package command

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// planner answers as a node would for one partition.
type planner struct {
	nodev1connect.UnimplementedNodeServiceHandler
}

func (planner) Plan(_ context.Context, r *nodev1.PlanRequest) (*nodev1.PlanResponse, error) {
	if r.GetPartition() != "slappart0" {
		return nil, rpc.Errorf(rpc.CodeNotFound, "cannot find partition %q: not on this node", r.GetPartition())
	}
	return &nodev1.PlanResponse{
		Parts: []*nodev1.PlannedPart{
			{Part: "directory", Action: "skip", Reason: "unchanged"},
			{Part: "web", Action: "reinstall", Reason: "changed: command-line", Changed: true},
		},
		Files:    []*nodev1.PlannedFile{{Path: "etc/service/web", Part: "web", Action: "replace", Diff: "-exec old\n+exec new\n"}},
		Services: []*nodev1.PlannedService{{Name: "web", Action: "replace"}},
		Waiting:  []*nodev1.PlannedWait{{Part: "publish", Reason: "store has not published url"}},
	}, nil
}

func TestAPlanShowsWhatARunWouldChange(t *testing.T) {
	t.Setenv("VOW_NODE_ADDRESS", rpctest.Loopback(t, func(s *rpc.Server) { s.Handle(nodev1connect.NewNodeServiceHandler(planner{}, s.HandlerOptions()...)) }))
	t.Setenv("XDG_STATE_HOME", t.TempDir())

	code, out, errOut := run(t, "node", "plan", "slappart0")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{
		"web   reinstall  changed: command-line", "1 parts stay as they are", "replace   etc/service/web [web]\n      -exec old\n      +exec new\n",
		"Services\n  replace   web\n", "[publish] store has not published url",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code, _, errOut := run(t, "node", "plan", "slappart9"); code != exitFailed || !strings.Contains(errOut, `cannot find partition "slappart9"`) {
		t.Errorf("a partition that does not exist gives %d, %s", code, errOut)
	}
}

func TestAnAuthorChecksAProfileWithoutANode(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	code, out, errOut := run(t, "profile", "check", "../../../examples/hello", "--type", "web", "-p", "port=8080")
	if code != exitOK || !strings.Contains(out, "web-service") || !strings.Contains(out, "Publishes\n  password\n  url\n") {
		t.Errorf("hello gives %d, %s\n%s", code, errOut, out)
	}
	file := filepath.Join(t.TempDir(), "instance.cfg")
	if err := os.WriteFile(file, []byte("[buildout]\nparts = a\n\n[a]\nrecipe = slapos.cookbook:wraper\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut = run(t, "profile", "check", file)
	if want := file + ":5: [a] recipe: cannot install this part"; code != exitFailed || !strings.Contains(errOut, want) || !strings.Contains(errOut, `did you mean "slapos.cookbook:wrapper"?`) {
		t.Errorf("a wrong profile gives %d, %s", code, errOut)
	}
}
