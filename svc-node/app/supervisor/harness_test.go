package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/app/supervisor"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// TestMain makes the test binary a supervisor too: the tests run it as a process of its own, so that it can be killed.
func TestMain(m *testing.M) {
	supervisor.Stub()
	if len(os.Args) > 1 && os.Args[1] == "vow-supervisor" {
		os.Exit(supervisor.Main(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// host runs supervisors on one folder, one after the other.
type host struct {
	t    testing.TB
	ctx  context.Context
	dir  string
	work string
	args []string
	// program is the supervisor's command line without its own arguments.
	program []string
	cmd     *exec.Cmd
	client  *supervisorapi.Client
	output  syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newHost starts a supervisor in a temporary folder. At the end of the test everything is stopped, and nothing may be
// left.
func newHost(t testing.TB, args ...string) *host {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newHostOf(t, []string{executable, "vow-supervisor"}, args...)
}

func newHostOf(t testing.TB, program []string, args ...string) *host {
	t.Helper()
	return newHostIn(t, filepath.Join(t.TempDir(), "state"), program, args...)
}

// build makes the real command: it starts ten times faster than the tests with a race detector.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "vow-supervisor")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/vow-supervisor").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func newHostIn(t testing.TB, dir string, program []string, args ...string) *host {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	h := &host{t: t, ctx: ctx, dir: dir, work: t.TempDir(), args: args, program: program}
	h.client = supervisorapi.New(h.dir)
	h.start()
	t.Cleanup(func() {
		defer cancel()
		if h.cmd != nil {
			if err := h.client.Shutdown(ctx); err != nil {
				t.Errorf("the supervisor does not stop: %v", err)
				_ = h.cmd.Process.Kill()
			}
			if err := h.cmd.Wait(); err != nil {
				t.Errorf("the supervisor ended with %v", err)
			}
		}
		if left := h.marked(); len(left) > 0 {
			t.Errorf("processes %v are left", left)
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if t.Failed() {
			t.Logf("the supervisor said:\n%s", h.output.String())
		}
	})
	return h
}

func (h *host) start() {
	h.t.Helper()
	args := slices.Concat(h.program[1:], []string{"--dir", h.dir}, h.args)
	h.cmd = exec.Command(h.program[0], args...)
	h.cmd.Stderr = &h.output
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	for { // as Dial does, less patiently
		_, err := h.client.Info(h.ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-h.ctx.Done():
			h.t.Fatalf("%v\n%s", err, h.output.String())
		}
	}
}

// crash kills the supervisor with -9 and waits until it is gone.
func (h *host) crash() {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := h.cmd.Wait(); !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
}

// script writes an executable shell script.
func (h *host) script(name, body string) string {
	h.t.Helper()
	path := filepath.Join(h.work, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// sleeper is a service that does nothing until it is killed.
func (h *host) sleeper(name string) supervise.Process {
	return h.service(name, h.script("sleeper", "exec sleep 1000"))
}

func (h *host) service(name, path string) supervise.Process {
	return supervise.Process{
		Key: supervise.Key{Partition: "p0", Name: name}, Kind: supervise.Service, Watched: true, Path: path, Dir: h.work,
		Env: []string{"PATH=/usr/bin:/bin"}, Grace: 5 * time.Second,
		Log: supervise.Log{Path: filepath.Join(h.work, name+".log")},
	}
}

// apply makes these the processes of partition p0 and waits until they have settled.
func (h *host) apply(processes ...supervise.Process) map[string]supervisorapi.Status {
	h.t.Helper()
	if err := h.client.Apply(h.ctx, "p0", processes); err != nil {
		h.t.Fatal(err)
	}
	return h.settled()
}

func (h *host) settled() map[string]supervisorapi.Status {
	h.t.Helper()
	units, err := h.client.Settle(h.ctx, "p0")
	if err != nil {
		h.t.Fatal(err)
	}
	byName := map[string]supervisorapi.Status{}
	for _, u := range units {
		byName[u.Process.Name] = u
	}
	return byName
}

func (h *host) subscribe() <-chan supervise.Exit {
	h.t.Helper()
	exits, err := h.client.Subscribe(h.ctx, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return exits
}

func (h *host) next(exits <-chan supervise.Exit) supervise.Exit {
	h.t.Helper()
	select {
	case e, ok := <-exits:
		if !ok {
			h.t.Fatal("the subscription ended")
		}
		return e
	case <-h.ctx.Done():
		h.t.Fatal("no exit was reported")
	}
	panic("unreachable")
}

func (h *host) kill(pid int) {
	h.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
}

// marked lists the processes that carry this supervisor's marker, zombies aside, whoever their parent is.
func (h *host) marked() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		env, _ := os.ReadFile("/proc/" + entry.Name() + "/environ")
		for _, variable := range bytes.Split(env, []byte{0}) {
			if strings.HasPrefix(string(variable), "VOW_SUPERVISED="+hashOf(h.dir)+"/") {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
