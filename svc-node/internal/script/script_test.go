package script

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

func directory(t *testing.T) partition.Directory {
	t.Helper()
	d, err := partition.NewRoot(t.TempDir(), privilege.Own("")).Directory("p0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ensure(); err != nil {
		t.Fatal(err)
	}
	return d
}

func run(ctx context.Context, d partition.Directory, ends bool, command string) error {
	return Run(ctx, noop.NewTracerProvider().Tracer(""), Script{Directory: d, Path: "/bin/sh", Args: []string{"-c", command}, Name: "sh", Ends: ends})
}

// left is the process whose id a script wrote.
func left(t *testing.T, d partition.Directory) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(d.Path, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// ended waits for the end of a process, zombies included, for a while.
func ended(t *testing.T, pid int, within time.Duration) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true // gone already
	}
	defer unix.Close(fd)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(within.Milliseconds()))
	return err == nil && n == 1
}

func TestTheErrorEndsWithTheEndOfTheOutputAndNoMoreIsHeld(t *testing.T) {
	err := run(t.Context(), directory(t), true, "head -c 3000000 /dev/zero | tr '\\0' x; echo the reason >&2; exit 3")
	if err == nil || !strings.HasPrefix(err.Error(), "exit status 3: x") || !strings.HasSuffix(err.Error(), "the reason\n") || len(err.Error()) > MaxOutput+100 {
		t.Errorf("the error has %d bytes, and is %.80v…", len(err.Error()), err)
	}
}

func TestAProgramWhoseTimeIsOverIsKilledWithAllThatItStarted(t *testing.T) {
	d := directory(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := run(ctx, d, false, "echo working; sleep 600 & echo $! > pid; wait")
	if err == nil || !strings.Contains(err.Error(), "its time is over") || !strings.Contains(err.Error(), "working") {
		t.Errorf("it ends as %v", err)
	}
	if !ended(t, left(t, d), 5*time.Second) {
		t.Error("what it started runs")
	}
}

func TestWhatAHookLeavesEndsWithItAndADaemonOfAProfileLives(t *testing.T) {
	for _, ends := range []bool{true, false} {
		d := directory(t)
		if err := run(t.Context(), d, ends, "sleep 600 & echo $! > pid"); err != nil { // it holds the output, too
			t.Errorf("a program that leaves one is told as %v", err)
		}
		pid := left(t, d)
		within := 5 * time.Second
		if !ends {
			within = 100 * time.Millisecond
		}
		if ended(t, pid, within) != ends {
			t.Errorf("with Ends %t it ended: %t", ends, !ends)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL) // one of them lives
	}
}

func TestAProgramSeesThePartitionsEnvironmentAlone(t *testing.T) {
	t.Setenv("VOW_SECRET", "of the agent")
	d := directory(t)
	if err := run(t.Context(), d, true, "env > env; pwd >> env"); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(d.Path, "env"))
	if err != nil || strings.Contains(string(env), "VOW_SECRET") || !strings.Contains(string(env), "HOME="+d.Path+"\n") || !strings.HasSuffix(string(env), "\n"+d.Path+"\n") {
		t.Errorf("it sees %s, %v", env, err)
	}
}

func TestAProgramIsGivenInputAndItsAnswerIsNotItsErrors(t *testing.T) {
	var answer strings.Builder
	err := Run(t.Context(), noop.NewTracerProvider().Tracer(""), Script{
		Directory: directory(t), Path: "/bin/sh", Args: []string{"-c", `read -r line; echo "$line $MORE"; echo trouble >&2; exit 1`}, Name: "sh",
		Environment: []string{"MORE=more"}, Input: strings.NewReader("asked\n"), Answer: &answer,
	})
	if answer.String() != "asked more\n" || err == nil || !strings.HasSuffix(err.Error(), ": trouble\n") {
		t.Errorf("answer %q, error %v", answer.String(), err)
	}
}
