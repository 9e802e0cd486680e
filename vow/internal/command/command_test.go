package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// fake answers as svc-master would for one red tree.
type fake struct {
	masterv1connect.UnimplementedAuditServiceHandler
	masterv1connect.UnimplementedTreeServiceHandler
	masterv1connect.UnimplementedComputerServiceHandler
	masterv1connect.UnimplementedInstanceServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedConvergenceServiceHandler
	requested chan *masterv1.RequestInstanceRequest
	shelf     *shelf
	links     *fakeLinks
	feed      *fakeFeed
	// converging is the newest convergence; empty = none, "each" = one of each tree.
	converging string
	// root is what is requested of the tree's root beyond what it always is; nil = nothing.
	root *masterv1.Instance
}

func (f *fake) tree() *masterv1.Tree {
	red := &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: "web: run failed, attempt 2: promise: web-listens failed"}
	tree := &masterv1.Tree{
		TreeId: "t0123456789ab", Title: "hello", Generation: &typev1.Generation{Epoch: 1, Number: 7}, Colour: red, BangQuota: 1440, BangsToday: 3,
		Conditions: []string{"problem: web (laptop/slappart0): etc/report/mail of slappart0 failed: exit status 3"},
		Instances: []*masterv1.Instance{{
			InstanceId: "t0123456789ab.i1", AllocationId: "t0123456789ab.a1", Title: "web", Computer: "laptop", Partition: "slappart0", State: typev1.RequestedState_REQUESTED_STATE_STARTED,
			ConnectionParameters: map[string]string{"password": "secret"},
			Status: &masterv1.PartitionStatus{Colour: red, Wanted: &typev1.Generation{Epoch: 1, Number: 7}, Latest: &masterv1.RunSummary{
				Cause: typev1.Cause_CAUSE_RETRY, Result: typev1.RunResult_RUN_RESULT_FAILURE, Error: "web-listens failed:\nconnection refused", ErrorType: "promise", Attempt: 2,
			}},
		}},
	}
	proto.Merge(tree.GetInstances()[0], f.root)
	return tree
}

func (f *fake) GetTree(_ context.Context, r *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
	if r.GetTitle() != "hello" && !strings.HasPrefix(r.GetId(), "t0123456789ab") {
		return nil, rpc.Errorf(rpc.CodeNotFound, "cannot find tree %q", r.GetTitle())
	}
	return &masterv1.GetTreeResponse{Tree: f.tree()}, nil
}

func (f *fake) ListTrees(context.Context, *masterv1.ListTreesRequest) (*masterv1.ListTreesResponse, error) {
	return &masterv1.ListTreesResponse{Trees: []*masterv1.Tree{f.tree()}}, nil
}

func (*fake) ListComputers(_ context.Context, r *masterv1.ListComputersRequest) (*masterv1.ListComputersResponse, error) {
	green := &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}
	if r.GetPageToken() == "" {
		return &masterv1.ListComputersResponse{Computers: []*masterv1.Computer{{Name: "laptop", Colour: green, Partitions: []*masterv1.Partition{{InstanceId: "x"}, {}}}}, NextPageToken: "laptop"}, nil
	}
	return &masterv1.ListComputersResponse{Computers: []*masterv1.Computer{{Name: "server", Colour: green}}}, nil
}

func (*fake) GetComputer(_ context.Context, r *masterv1.GetComputerRequest) (*masterv1.GetComputerResponse, error) {
	return &masterv1.GetComputerResponse{Computer: &masterv1.Computer{Name: r.GetComputer(), Partitions: []*masterv1.Partition{{Name: "slappart0"}}, Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}}}, nil
}

func (*fake) ListBangs(context.Context, *masterv1.ListBangsRequest) (*masterv1.ListBangsResponse, error) {
	return &masterv1.ListBangsResponse{}, nil
}

func (f *fake) ListConvergences(_ context.Context, r *masterv1.ListConvergencesRequest) (*masterv1.ListConvergencesResponse, error) {
	switch f.converging {
	case "":
		return &masterv1.ListConvergencesResponse{}, nil
	case "each":
		return &masterv1.ListConvergencesResponse{Convergences: []*masterv1.Convergence{{ConvergenceId: r.GetTreeId() + ".c1"}}}, nil
	}
	return &masterv1.ListConvergencesResponse{Convergences: []*masterv1.Convergence{{ConvergenceId: f.converging}}}, nil
}

func (f *fake) RequestInstance(_ context.Context, r *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	f.requested <- r
	return &masterv1.RequestInstanceResponse{Instance: &masterv1.Instance{Title: r.GetTitle(), InstanceId: "t0123456789ab.i1", TreeId: "t0123456789ab"}, Reason: "no room: 3 of 3 partitions of laptop hold instances"}, nil
}

// serve starts a fake svc-master and points the environment at it.
func serve(t *testing.T) *fake {
	t.Helper()
	f := &fake{requested: make(chan *masterv1.RequestInstanceRequest, 10), shelf: &shelf{}, links: &fakeLinks{}, feed: &fakeFeed{}}
	t.Setenv("VOW_MASTER_ADDRESS", rpctest.Loopback(t, func(s *rpc.Server) {
		s.Handle(masterv1connect.NewSoftwareServiceHandler(f.shelf, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewFeedServiceHandler(f.feed, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewLinkServiceHandler(f.links, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewTreeServiceHandler(f, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewComputerServiceHandler(f, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewBangServiceHandler(f, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewAuditServiceHandler(f, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewConvergenceServiceHandler(f, s.HandlerOptions()...))
		s.Handle(masterv1connect.NewInstanceServiceHandler(f, s.HandlerOptions()...))
	}))
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return f
}

// run carries out a command line.
func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e strings.Builder
	code = Run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestARedTreeSaysWhyAndKeepsItsSecrets(t *testing.T) {
	serve(t)
	code, out, errOut := run(t, "tree", "hello")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"hello  Red", "3 of 1440 bangs today", "retry, failure", "attempt 2", "web, promise:\n  web-listens failed:\n  connection refused"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("connection parameters are shown without --connection:\n%s", out)
	}
	if _, out, _ := run(t, "tree", "hello", "--connection"); !strings.Contains(out, "web password = secret") {
		t.Errorf("connection parameters are not shown with --connection:\n%s", out)
	}
}

// Of a tree that nothing more is known of, the cause is told all the same, and what did not answer is named.
func TestWhyNamesTheCauseFirstAndWhatDidNotAnswer(t *testing.T) {
	serve(t)
	t.Setenv("VOW_PROMISE_ADDRESS", "127.0.0.1:1")
	t.Setenv("VOW_SCHEDULER_ADDRESS", "127.0.0.1:1")
	code, out, errOut := run(t, "why", "hello/web")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"svc-promise at 127.0.0.1:1 did not answer", "svc-scheduler at 127.0.0.1:1 did not answer", "in full:\n  web-listens failed:\n  connection refused"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if first, _, _ := strings.Cut(out, "\n"); first != "instance hello/web is Red: promise: web-listens failed: connection refused" {
		t.Errorf("the first line is %q", first)
	}
	t.Setenv("VOW_MASTER_ADDRESS", "127.0.0.1:1")
	if code, _, errOut := run(t, "why", "hello"); code != exitFailed || !strings.HasPrefix(errOut, "vow: svc-master does not answer at 127.0.0.1:1") {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestStatusReadsEveryPageAndIsValidJSON(t *testing.T) {
	serve(t)
	code, out, errOut := run(t, "status", "-o", "json")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	var status struct {
		Computers []struct{ Name string }
		Trees     []struct {
			TreeID string `json:"tree_id"`
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if len(status.Computers) != 2 || len(status.Trees) != 1 || status.Trees[0].TreeID != "t0123456789ab" {
		t.Errorf("got %+v", status)
	}
	if _, out, _ := run(t, "status"); !strings.Contains(out, "laptop    Green   never         1 of 2") || !strings.Contains(out, "hello: problem: web (laptop/slappart0): etc/report/mail") {
		t.Errorf("text:\n%s", out)
	}
}

func TestARequestCarriesWhatTheFlagsSayAndTellsWhyItIsNotReady(t *testing.T) {
	f := serve(t)
	file := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(file, []byte(`{"a": "1", "b": "2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	release := t.TempDir()
	code, out, errOut := run(t, "request", "web", release, "--parameters-file", file, "-p", "b=3", "--type", "small", "--state", "stopped", "--computer", "laptop")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	got := <-f.requested
	if got.GetParameters()["a"] != "1" || got.GetParameters()["b"] != "3" || got.GetSoftwareRelease() != "file://"+release || got.GetSoftwareType() != "small" ||
		got.GetState() != typev1.RequestedState_REQUESTED_STATE_STOPPED || got.GetComputer() != "laptop" || got.GetRequestId() == "" {
		t.Errorf("requested %v", got)
	}
	if !strings.Contains(out, "not ready: no room: 3 of 3 partitions of laptop hold instances") {
		t.Errorf("got\n%s", out)
	}
}

func TestWrongCommandLinesEndWith2AndSayWhatIsWanted(t *testing.T) {
	serve(t)
	for line, want := range map[string]string{
		"tree":                                "cannot run vow tree with 0 arguments: want vow tree ",
		"status -o xml":                       "want text or json",
		"status --nosuch":                     "cannot run vow status: unknown flag: --nosuch; see vow status --help",
		"request web ./no-such-directory":     "want a URL, or the path of a directory",
		"request web file:///x -p novalue":    "want key=value",
		"request web file:///x --state doing": "want started, stopped or destroyed",
		"up --partitions 0":                   "want 1 to 1000",
		"up --notify f.json --console=":       "cannot --notify f.json: the console tells people",
		"up --redis redis://x --embedded":     "--redis and --embedded together",
		"up --computer a_b":                   "cannot have --computer \"a_b\": want 1 to 63 characters",
		"apply":                               "cannot run vow apply without a file: want vow apply -f FILE",
		"diff":                                "cannot run vow diff without a file",
	} {
		code, _, errOut := run(t, strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("vow %s: exit %d, %q; want exit %d and %q", line, code, errOut, exitUsage, want)
		}
	}
}

func TestFailuresEndWith1AndSayWhatToDo(t *testing.T) {
	serve(t)
	if code, _, errOut := run(t, "tree", "nosuch"); code != exitFailed || !strings.Contains(errOut, `cannot get tree "nosuch"`) {
		t.Errorf("exit %d, %q", code, errOut)
	}
	t.Setenv("VOW_MASTER_ADDRESS", "127.0.0.1:1")
	if code, _, errOut := run(t, "status"); code != exitFailed || !strings.Contains(errOut, "svc-master at 127.0.0.1:1") || !strings.Contains(errOut, "vow up") || !strings.Contains(errOut, "--master") {
		t.Errorf("exit %d, %q", code, errOut)
	}
	if code, _, errOut := run(t, "node", "ps"); code != exitFailed || !strings.Contains(errOut, "--node unix:/path") {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestTheShellCompletesTitlesOfTrees(t *testing.T) {
	serve(t)
	if code, out, _ := run(t, "__complete", "bang", ""); code != exitOK || !strings.HasPrefix(out, "hello\n") {
		t.Errorf("exit %d, offers %q", code, out)
	}
}

// The embedded store of a fleet that is stopped is backed up, and restored into another one; a used one is refused.
func TestAStoreIsBackedUpAndRestored(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	from, into, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "backup")
	if code, out, errOut := run(t, "store", "backup", file, "--store-dir", from); code != exitOK || !strings.Contains(out, "0 keys backed up to "+file) {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if code, out, errOut := run(t, "store", "restore", file, "--store-dir", into); code != exitOK || !strings.Contains(out, "restored from") {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if code, _, errOut := run(t, "store", "restore", file, "--store-dir", into); code != exitFailed || !strings.Contains(errOut, "it is not empty") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, out, errOut := run(t, "store", "status", "--store-dir", into, "-o", "json"); code != exitOK || !strings.Contains(out, `"durable": false`) {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	for line, want := range map[string]string{
		"store status":                                     "cannot find a store: no redis-server of vow up",
		"store status --redis-url ftp://x":                 "cannot use --redis-url",
		"store status --redis-url redis://x --store-dir /": "together",
		"store status --store-dir /no/such":                "cannot use --store-dir",
		"store backup":                                     "cannot run vow store backup with 0 arguments: want vow store backup FILE",
	} {
		if code, _, errOut := run(t, strings.Fields(line)...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("vow %s: exit %d, %q; want %q", line, code, errOut, want)
		}
	}
}
