package command

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/endpoint"
)

// Help that ends with 0 lets a script with a typing error go on.
func TestAnUnknownCommandIsRefusedAndOneLikeItOffered(t *testing.T) {
	serve(t)
	for line, want := range map[string]string{
		"list":        "cannot run vow list: there is no such command; did you mean status?; see vow --help",
		"stauts":      "did you mean status?",
		"promise lst": "cannot run vow promise lst: there is no such command; did you mean list?; see vow promise --help",
		"node nosuch": "cannot run vow node nosuch: there is no such command; see vow node --help",
		"store x y":   "cannot run vow store x: there is no such command",
	} {
		if code, out, errOut := run(t, strings.Fields(line)...); code != exitUsage || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("vow %s: exit %d, %q %q; want exit %d and %q", line, code, out, errOut, exitUsage, want)
		}
	}
	for _, line := range []string{"", "promise"} {
		if code, out, errOut := run(t, strings.Fields(line)...); code != exitOK || !strings.Contains(out, "Usage:") {
			t.Errorf("vow %s: exit %d, %q %q; want its help", line, code, out, errOut)
		}
	}
}

// The fixed ports may be another fleet's: a directory that is named is that of the fleet that is meant.
func TestADirectoryWithoutAFleetIsNotTakenForTheFleetOfAnother(t *testing.T) {
	serve(t)
	if code, _, errOut := run(t, "status", "--data", t.TempDir()); code != exitOK {
		t.Errorf("with an address: exit %d, %s", code, errOut)
	}
	t.Setenv("VOW_MASTER_ADDRESS", "")
	dir := t.TempDir()
	if code, _, errOut := run(t, "status", "--data", dir); code != exitFailed || !strings.Contains(errOut, "cannot find a fleet in "+dir) {
		t.Errorf("without one: exit %d, %s", code, errOut)
	}
	if err := (endpoint.Set{Master: "127.0.0.1:1", Scheduler: "127.0.0.1:1", Promise: "127.0.0.1:1"}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := run(t, "status", "--data", dir); code != exitFailed || !strings.Contains(errOut, "svc-master at 127.0.0.1:1") {
		t.Errorf("with the file of a vow up: exit %d, %s", code, errOut)
	}
}

// Two addresses are easily exchanged.
func TestAnAddressOfAnotherServiceIsSaidToBe(t *testing.T) {
	a := steer(t)
	t.Setenv("VOW_MASTER_ADDRESS", os.Getenv("VOW_SCHEDULER_ADDRESS"))
	if code, _, errOut := run(t, "status"); code != exitFailed || !strings.Contains(errOut, "what answers there is another service") || len(a.asked) != 0 {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

// firstWrite keeps what is written, and calls back at the first.
type firstWrite struct {
	mu   sync.Mutex
	text strings.Builder
	call func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.call()
	return w.text.Write(p)
}

func TestWhoFollowsIsToldThatSvcMasterDoesNotAnswer(t *testing.T) {
	serve(t)
	t.Setenv("VOW_MASTER_ADDRESS", "127.0.0.1:1")
	for _, line := range []string{"status -w", "watch", "watch -o json", "events -f", "events -f --kind bang"} {
		ctx, cancel := context.WithCancel(t.Context())
		var out strings.Builder
		errOut := &firstWrite{call: cancel}
		code := Run(ctx, strings.Fields(line), &out, errOut)
		cancel()
		if text := errOut.text.String(); code != exitOK || strings.Count(text, "\n") != 1 || !strings.Contains(text, "svc-master at 127.0.0.1:1") || !strings.HasSuffix(text, "; trying again\n") {
			t.Errorf("vow %s: exit %d, %q", line, code, text)
		}
	}
}

func TestWhatIsDueWhilePausedRunsWhenThePauseEnds(t *testing.T) {
	now := time.Now()
	due := &schedulerv1.AgendaEntry{DueAt: timestamppb.New(now.Add(-time.Second))}
	if got := nextRun(due, now); got != "now" {
		t.Errorf("due: %q", got)
	}
	due.Pause = &typev1.Pause{Until: timestamppb.New(now.Add(2 * time.Hour))}
	if got := nextRun(due, now); got != "in 2 h 0 min, paused" {
		t.Errorf("due and paused: %q", got)
	}
	due.DueAt = timestamppb.New(now.Add(3 * time.Hour))
	if got := nextRun(due, now); got != "in 3 h 0 min" {
		t.Errorf("due after the pause: %q", got)
	}
}

func (a *steered) ListAgenda(_ context.Context, r *schedulerv1.ListAgendaRequest) (*schedulerv1.ListAgendaResponse, error) {
	all := &schedulerv1.ListAgendaResponse{}
	for _, partition := range []string{"slappart0", "slappart1"} {
		all.Entries = append(all.Entries, &schedulerv1.AgendaEntry{Computer: "laptop", Partition: partition, Reason: "listed of " + r.GetComputer()})
	}
	return all, nil
}

func (a *steered) GetAgenda(_ context.Context, r *schedulerv1.GetAgendaRequest) (*schedulerv1.GetAgendaResponse, error) {
	return &schedulerv1.GetAgendaResponse{Entry: &schedulerv1.AgendaEntry{Computer: r.GetComputer(), Partition: r.GetPartition(), Reason: "of one"}}, nil
}

// The agenda of a tree, of an instance, of a computer; a computer's also while svc-master, which knows the trees, is away.
func TestTheAgendaOfAThing(t *testing.T) {
	steer(t)
	for name, want := range map[string]string{"hello": "laptop/slappart0", "hello/web": "of one", "laptop/slappart0": "of one", "laptop": "laptop/slappart1"} {
		if code, out, errOut := run(t, "agenda", name); code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d: %s%s; want %q", name, code, out, errOut, want)
		}
	}
	if code, _, errOut := run(t, "agenda", "hello/nosuch"); code != exitFailed || !strings.Contains(errOut, "tree hello has web") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	t.Setenv("VOW_MASTER_ADDRESS", "127.0.0.1:1")
	if code, out, errOut := run(t, "agenda", "laptop"); code != exitOK || !strings.Contains(out, "listed of laptop") {
		t.Errorf("without svc-master: exit %d: %s%s", code, out, errOut)
	}
}

// A typing error would leave the promise that was meant unmuted, and the next run failing.
func TestAMuteOfAPromiseThatNobodyHeardOfIsRefused(t *testing.T) {
	f := servePromise(t)
	args := []string{"promise", "mute", anAllocation, "dsk", "--until", "7d", "--reason", "on order"}
	if code, _, errOut := run(t, args...); code != exitUsage || !strings.Contains(errOut, "it has disk") || len(f.muted) != 0 {
		t.Errorf("exit %d, %q", code, errOut)
	}
	if code, _, errOut := run(t, append(args, "--early")...); code != exitOK || len(f.muted) != 1 {
		t.Errorf("--early: exit %d, %q", code, errOut)
	}
}

// The release that docs/releases.md has people copy is one.
func TestTheFirstReleaseIsAsItIsDescribed(t *testing.T) {
	code, out, errOut := run(t, "profile", "check", "../../../examples/first", "-p", "greeting=hi")
	for _, want := range []string{"etc/service/web [web]", "etc/service/clock [clock]", "etc/promise/answers [answers]", "etc/plugin/fresh.py [fresh]", "Publishes\n  url\n"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s%s", code, want, out, errOut)
		}
	}
}

func TestABangOfWhatIsNoTreeSaysWhatToBang(t *testing.T) {
	serve(t)
	for name, want := range map[string]string{"hello/web": "want vow bang hello\n", "laptop": "want vow bang --computer laptop "} {
		if code, _, errOut := run(t, "bang", name); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit %d, %q; want %q", name, code, errOut, want)
		}
	}
}

func TestAMistakeInAFileOfParametersIsToldWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"a\": \"1\",\n  b\n}": "line 3: invalid character 'b'",
		`{"b": "1", "size": 3}`:      `"size" is none`,
		`["a"]`:                      "want a JSON object of strings",
	} {
		if _, err := fileParameters([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

func TestAClosedComputerIsSaidToBe(t *testing.T) {
	c := &masterv1.Computer{Closure: &masterv1.Closure{Kind: masterv1.ClosureKind_CLOSURE_KIND_DRAIN, Reason: "new kernel", By: "me", Since: timestamppb.Now()}}
	if got := computerReason(c, time.Now()); !strings.HasPrefix(got, "closed: drain: new kernel (me, ") {
		t.Errorf("got %q", got)
	}
}

// `vow up` requests its sample each time: what somebody changed of it since stays.
func TestTheSampleIsRequestedWithWhatSomebodyChangedOfIt(t *testing.T) {
	f := serve(t)
	clients, err := client.New(endpoint.Set{Master: os.Getenv("VOW_MASTER_ADDRESS"), Scheduler: "127.0.0.1:1", Promise: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	dir := t.TempDir()
	f.root = &masterv1.Instance{TreeId: "t0123456789ab", SoftwareRelease: "file://" + filepath.Join(dir, "releases") + "/hello-older", SoftwareType: "default", Parameters: map[string]string{"greeting": "hi"}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan *masterv1.RequestInstanceRequest, 1)
	go func() {
		asked <- <-f.requested
		cancel() // the fake's tree is never Green
	}()
	_, err = requestSample(ctx, dir, "laptop", clients)
	if r := <-asked; r.GetParameters()["greeting"] != "hi" || r.GetSoftwareType() != "default" || r.GetSoftwareRelease() == f.root.GetSoftwareRelease() {
		t.Errorf("requested %v, %v", r, err)
	}
	f.root.SoftwareRelease = "file:///opt/releases/mine"
	tree, err := requestSample(t.Context(), dir, "laptop", clients)
	if err != nil || tree.GetTitle() != "hello" || len(f.requested) != 0 {
		t.Errorf("somebody's own tree of that title: %v, %v, %d requests", tree.GetTitle(), err, len(f.requested))
	}
}
