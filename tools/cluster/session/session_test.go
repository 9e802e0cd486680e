package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

// enough is more than a test takes on the slowest machine, so that one that hangs says where.
const enough = 3 * time.Minute

// sh is a line of a shell, in a folder where each test may leave what it saw.
func sh(dir, line string) tiltfile.Command {
	return tiltfile.Command{Arguments: []string{"sh", "-c", line}, Directory: dir}
}

func update(dir, name, line string, after ...string) *tiltfile.Local {
	return &tiltfile.Local{Name: name, Update: sh(dir, line), After: after, Initial: true, Parallel: true}
}

// server serves for good once it has said so in the file "said", and is ready from then on.
func server(t *testing.T, dir, name string, after ...string) *tiltfile.Local {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !slices.Contains(said(t, dir), name) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(web.Close)
	return &tiltfile.Local{
		Name: name, Serve: sh(dir, "echo "+name+" >>said; exec sleep 1000"), After: after, Initial: true, Parallel: true,
		Ready: &tiltfile.Probe{Timeout: enough, Period: 10 * time.Millisecond, SuccessThreshold: 1, FailureThreshold: 1, URL: web.URL},
	}
}

// deaf is a server that is never ready.
func deaf(t *testing.T, dir, name string) *tiltfile.Local {
	t.Helper()
	s := server(t, dir, name)
	s.Ready.URL, s.Ready.Address = "", "127.0.0.1:1"
	return s
}

// said are the lines of the file "said".
func said(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(content))
}

func options(t *testing.T, all ...*tiltfile.Local) Options {
	return Options{Resources: all, Logs: t.TempDir(), Grace: enough, Say: t.Logf}
}

func run(t *testing.T, o Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	return Run(ctx, o)
}

func TestWhatNeedsAnotherBeginsWhenThatIsReady(t *testing.T) {
	dir := t.TempDir()
	err := run(t, options(t,
		update(dir, "third", "echo third >>said", "second"),
		server(t, dir, "second", "first"),
		update(dir, "first", "echo first >>said"),
	))
	if got := said(t, dir); err != nil || !slices.Equal(got, []string{"first", "second", "third"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsNotParallelRunsAlone(t *testing.T) {
	dir := t.TempDir()
	// It fails if the folder of another is there, and the other way round.
	alone := "mkdir running && rmdir running && echo done >>said"
	one, two := update(dir, "one", alone), update(dir, "two", alone)
	one.Parallel, two.Parallel = false, true
	if err := run(t, options(t, one, two, update(dir, "three", "echo done >>said", "one"))); err != nil || len(said(t, dir)) != 3 {
		t.Errorf("%v, %v", said(t, dir), err)
	}
}

func TestNoMoreUpdatesRunAtOnceThanWithTilt(t *testing.T) {
	busy := func(parallel bool) *resource {
		return &resource{Local: &tiltfile.Local{Parallel: parallel}, state: updating}
	}
	next := &resource{Local: &tiltfile.Local{Parallel: true}}
	for _, c := range []struct {
		running []*resource
		held    bool
	}{
		{nil, false},
		{[]*resource{busy(true), busy(true)}, false},
		{[]*resource{busy(true), busy(true), busy(true)}, true},
		{[]*resource{busy(false)}, true},
	} {
		if got := (&session{resources: c.running}).held(next); got != c.held {
			t.Errorf("beside %d: held %v", len(c.running), got)
		}
	}
}

func TestAnUpdateThatFailsEndsAllAndShowsItsLog(t *testing.T) {
	dir := t.TempDir()
	err := run(t, options(t, server(t, dir, "server"), update(dir, "broken", "echo why it broke >&2; exit 3", "server"), update(dir, "never", "echo never >>said", "broken")))
	if err == nil || !strings.Contains(err.Error(), "broken failed: exit status 3\nwhy it broke") {
		t.Errorf("got %v", err)
	}
	if got := said(t, dir); !slices.Equal(got, []string{"server"}) {
		t.Errorf("ran %v", got)
	}
}

func TestAServerThatEndsIsAFailureWhateverItsCode(t *testing.T) {
	for code, want := range map[int]string{0: "exited with exit code 0", 4: "exit status 4"} {
		s := deaf(t, t.TempDir(), "server")
		s.Serve = sh("", fmt.Sprintf("exit %d", code))
		if err := run(t, options(t, s)); err == nil || !strings.Contains(err.Error(), "server failed: "+want) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestWhatNeedsNobodyWeKnowIsRefused(t *testing.T) {
	if err := run(t, options(t, update("", "lonely", "true", "nobody"))); err == nil || !strings.Contains(err.Error(), `cannot run lonely: it needs "nobody"`) {
		t.Errorf("got %v", err)
	}
}

func TestACommandThatDoesNotExistIsAFailure(t *testing.T) {
	r := update("", "missing", "")
	r.Update.Arguments = []string{"/nonexistent/program"}
	if err := run(t, options(t, r)); err == nil || !strings.Contains(err.Error(), "missing failed: fork/exec /nonexistent/program") {
		t.Errorf("got %v", err)
	}
}

func TestReadyIsWhatTheProbeSaysNow(t *testing.T) {
	dir := t.TempDir()
	// First well, then twice not, then well for good: with a threshold of two, readiness goes and comes back.
	var asked atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n == 2 || n == 3 || r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(web.Close)
	s := server(t, dir, "server")
	s.Ready.URL, s.Ready.FailureThreshold = web.URL+"/readyz", 2
	var steps []string
	o := options(t, s, update(dir, "after", "until [ -e gone ]; do :; done", "server"))
	o.Say = func(format string, args ...any) {
		step := fmt.Sprintf(format, args...)
		steps = append(steps, step)
		if strings.Contains(step, "not ready any more") { // only now may the other end
			if err := os.WriteFile(filepath.Join(dir, "gone"), nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	ready := 0
	for _, step := range steps {
		if strings.HasPrefix(step, "server is ready") {
			ready++
		}
	}
	if ready != 2 {
		t.Errorf("it was ready %d times: %q", ready, steps)
	}
}

func TestWhoeverWaitsForeverSaysForWhat(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	o := options(t, deaf(t, dir, "deaf"), update(dir, "later", "true", "deaf"))
	o.Say = func(format string, args ...any) {
		if fmt.Sprintf(format, args...) == "deaf serves" {
			cancel(errors.New("enough of it"))
		}
	}
	err := Run(ctx, o)
	for _, want := range []string{"enough of it: ", "deaf is not ready for", "later is waiting for"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestWhateverIsLeftOfAGroupEndsWithIt(t *testing.T) {
	dir := t.TempDir()
	// A child that holds the log and does not hear SIGTERM.
	err := run(t, options(t, update(dir, "parent", `sh -c 'trap "" TERM; echo $$ >>said; exec sleep 1000' & until [ -s said ]; do :; done`)))
	if err != nil {
		t.Fatal(err)
	}
	// SIGKILL was sent; the kernel takes its time, and who adopted the child to bury it.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(enough); ; <-tick.C {
		state, err := os.ReadFile("/proc/" + said(t, dir)[0] + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child runs: %s", state)
		}
	}
}

func TestWhoDoesNotStopIsKilledAndNamed(t *testing.T) {
	dir := t.TempDir()
	s := server(t, dir, "stubborn")
	s.Serve = sh(dir, `trap "" TERM; echo $$ stubborn >>said; while :; do sleep 1000; done`) // ready only when the trap is set
	o := options(t, s)
	o.Grace = 10 * time.Millisecond
	err := run(t, o)
	if err == nil || !strings.Contains(err.Error(), "stubborn did not stop within 10ms of SIGTERM, and was killed") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("/proc/" + said(t, dir)[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}

func TestAButtonRunsWhenItIsPressedAndNotBefore(t *testing.T) {
	dir := t.TempDir()
	button := update(dir, "button", "echo button >>said", "first")
	button.Initial = false
	other := update(dir, "other", "echo other >>said")
	other.Initial = false
	o := options(t, button, other, update(dir, "first", "echo first >>said"))
	o.Press = []string{"button"}
	if err := run(t, o); err != nil || !slices.Equal(said(t, dir), []string{"first", "button"}) {
		t.Errorf("%v, %v", said(t, dir), err)
	}
	for _, name := range []string{"first", "nothing"} {
		o.Press = []string{name}
		if err := run(t, o); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("cannot press %q", name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommandsHaveTiltsEnvironmentAndTheirOwnOverIt(t *testing.T) {
	t.Setenv("COLUMNS", "200")
	dir := t.TempDir()
	r := update(dir, "r", "echo $COLUMNS $TILT_PORT $MINE >>said")
	r.Update.Environment = []string{"MINE=x", "TILT_PORT=7"}
	if err := run(t, options(t, r)); err != nil || !slices.Equal(said(t, dir), []string{"80", "7", "x"}) {
		t.Errorf("%v, %v", said(t, dir), err)
	}
}

func TestWhoStaysEndsWithoutAnErrorWhenToldAndWithOneWhenAServerEnds(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	o := options(t, server(t, dir, "server"))
	o.Stay = true
	o.Say = func(format string, args ...any) {
		if fmt.Sprintf(format, args...) == "all is well" {
			cancel()
		}
	}
	if err := Run(ctx, o); err != nil {
		t.Error(err)
	}
	mortal := server(t, dir, "mortal")
	mortal.Serve = sh(dir, "echo mortal >>said; until [ -e end ]; do :; done; exit 5")
	o = options(t, mortal)
	o.Stay = true
	o.Say = func(format string, args ...any) {
		if fmt.Sprintf(format, args...) == "all is well" {
			if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	if err := run(t, o); err == nil || !strings.Contains(err.Error(), "mortal failed: exit status 5") {
		t.Errorf("got %v", err)
	}
}
