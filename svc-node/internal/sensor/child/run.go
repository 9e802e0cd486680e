package child

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// MaxCharacters is how much of the output is kept: the last ones, which hold the error.
	MaxCharacters = 5000
	// drain is how long the output is read on after the child ended: what holds it open then is a process it left. Those
	// that end at the same time as the child, as the end of a pipeline does, are given that moment.
	drain = 100 * time.Millisecond
)

// Command is what to execute.
type Command struct {
	// Partition is the absolute path of the partition's directory, the working directory; the marker names it.
	Partition string
	Path      string
	Args      []string // without the name of the program
	Env       []string
	// User is who it runs as.
	User    privilege.User
	Timeout time.Duration
}

// Result is how a child ended.
type Result struct {
	// NotStarted says why it could not be executed at all; empty = it was.
	NotStarted string
	// Stopped: ctx ended before it did. TimedOut: its time was over. Both were killed.
	Stopped, TimedOut bool
	// Exit is its exit status; Signal what killed it, 0 = nothing did.
	Exit   int
	Signal syscall.Signal
	// Output is the end of what it wrote, as written.
	Output []byte
	// Left are the processes that it left behind, as "name (pid)", at most maxNamed; they are killed.
	Left []string
}

// Passed reports whether it exited with 0 by itself and left nothing behind.
func (r Result) Passed() bool {
	return r.NotStarted == "" && !r.Stopped && !r.TimedOut && r.Exit == 0 && r.Signal == 0 && len(r.Left) == 0
}

// Text is the last MaxCharacters of the output as valid UTF-8 without surrounding white space.
func (r Result) Text() string {
	return Last(strings.TrimSpace(strings.ToValidUTF8(string(r.Output), "\uFFFD")), MaxCharacters)
}

// Ending tells how it ended, for people.
func (r Result) Ending() string {
	switch {
	case r.Signal != 0:
		return "killed by signal " + r.Signal.String()
	case r.Exit != 0:
		return "exit " + strconv.Itoa(r.Exit)
	case len(r.Left) > 0:
		return "left processes behind, which are ended now: " + strings.Join(r.Left, ", ")
	}
	return "exit 0"
}

// Runner executes children. It may be used by several goroutines.
type Runner struct {
	self   string // makes markers of this Runner differ from those of an earlier agent
	number atomic.Uint64

	mu   sync.Mutex // never held while anything waits
	live map[string]bool
}

// NewRunner makes a Runner.
func NewRunner() *Runner {
	return &Runner{self: strconv.FormatInt(int64(os.Getpid()), 36) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36), live: map[string]bool{}}
}

// Run executes a child. It ends with the child, with its time-out, or with ctx.
//
// One pipe is output, errors and lifeline: it ends when nobody holds any of the three descriptors any more, which nearly
// always is when the child exits. So one goroutine reads and then waits, without another one for the pipe or the process.
func (r *Runner) Run(ctx context.Context, c Command) Result {
	name := r.self + "." + strconv.FormatUint(r.number.Add(1), 36)
	r.setLive(name, true)
	defer r.setLive(name, false)
	read, write, err := os.Pipe()
	if err != nil {
		return Result{NotStarted: err.Error()}
	}
	defer read.Close()
	cmd := exec.Command(c.Path, c.Args...) //nolint:gosec // that is what a promise is
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.Partition, write, write, []*os.File{write}
	cmd.Env = append(slices.Clip(c.Env), marker(c.Partition, name))
	err = c.User.Start(cmd)
	write.Close()
	if err != nil {
		return Result{NotStarted: startError(err)}
	}
	pid := cmd.Process.Pid
	timed, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	killed := make(chan struct{})
	stop := context.AfterFunc(timed, func() {
		defer close(killed)
		_ = syscall.Kill(-pid, syscall.SIGKILL) // the whole group; it is gone already when this fails
	})
	output := tail{limit: MaxCharacters * utf8.UTFMax}
	held := !output.fill(read, pid)
	_ = cmd.Wait() // how it ended is in its state
	if !stop() {
		<-killed
	}
	result := Result{Stopped: ctx.Err() != nil, Exit: -1, Output: output.bytes()}
	result.TimedOut = !result.Stopped && timed.Err() != nil
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		result.Exit = status.ExitStatus()
		if status.Signaled() {
			result.Signal, result.Exit = status.Signal(), 0
		}
	}
	// What the child left in the background is part of it and ends with it.
	if held || syscall.Kill(-pid, 0) == nil {
		result.Left = end(func(m string) bool { return m == markerValue(c.Partition, name) }, pid)
	}
	return result
}

func (r *Runner) setLive(name string, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if live {
		r.live[name] = true
	} else {
		delete(r.live, name)
	}
}

func startError(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file, or the interpreter that its first line names does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, syscall.ENOEXEC):
		return "it is neither a program nor a script whose first line names an interpreter (#!/bin/sh)"
	}
	return err.Error()
}
