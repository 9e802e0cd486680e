package sensor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// MaxCharacters is how much of a sensor's output is kept: the last ones, which hold the error.
	MaxCharacters = 5000
	// drain is how long the output is read on after the sensor ended: what holds it open then is a process it left.
	drain = 100 * time.Millisecond
)

// Request is one execution of a sensor.
type Request struct {
	Partition string
	// Directory is the partition's, absolute: the working directory.
	Directory string
	Promise   Promise
	// User is the partition's: who the sensor runs as.
	User privilege.User
	// Env is the whole environment.
	Env []string
}

// Executable senses by executing the promise's file. The zero value works.
type Executable struct{}

// Sense executes the sensor and tells what it recorded: entries, and an error if it could not be executed at all. Name,
// sequence, time and the run are the caller's to fill in. It ends with its time-out, or with ctx.
func (Executable) Sense(ctx context.Context, r Request) *typev1.SenseGroup {
	timed, cancel := context.WithTimeout(ctx, r.Promise.Timeout)
	defer cancel()
	output := &tail{limit: MaxCharacters * utf8.UTFMax}
	cmd := exec.Command(r.Promise.Path) //nolint:gosec // that is what a promise is
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.Directory, r.Env, output, output
	cmd.WaitDelay = drain
	if err := r.User.Start(cmd); err != nil {
		return &typev1.SenseGroup{Error: "cannot execute etc/promise/" + r.Promise.Name + ": " + startError(err)}
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(timed, func() {
		defer close(killed)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the whole group; it is gone already when this fails
	})
	err := cmd.Wait()
	if !stop() {
		<-killed
	}
	// What the sensor left in the background is part of it and ends with it.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	text := output.text()
	switch {
	case ctx.Err() != nil:
		return &typev1.SenseGroup{Error: "cannot sense etc/promise/" + r.Promise.Name + ": stopped"}
	case timed.Err() != nil:
		return failed(fmt.Sprintf("timed out after %s", r.Promise.Timeout), text)
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success():
		return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: text}}}
	}
	return failed(ending(cmd.ProcessState.Sys()), text)
}

// failed tells how the sensor ended, then what it said; people read the beginning.
func failed(how, text string) *typev1.SenseGroup {
	message := how
	if text != "" {
		message = last(how+": "+text, MaxCharacters)
	}
	return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: message}}}
}

func ending(state any) string {
	status, ok := state.(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return "killed by signal " + status.Signal().String()
	case ok:
		return fmt.Sprintf("exit %d", status.ExitStatus())
	}
	return "ended in an unknown way"
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

// tail keeps the end of what is written to it.
type tail struct {
	limit int

	mu   sync.Mutex // standard output and error write at the same time
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) >= t.limit {
		t.kept = append(t.kept[:0], b[len(b)-t.limit:]...)
		return len(b), nil
	}
	t.kept = append(t.kept, b...)
	// Twice the limit before it is cut, so that many small writes are not copied each time.
	if len(t.kept) > 2*t.limit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...)
	}
	return len(b), nil
}

// text is the last MaxCharacters of what was written, as valid UTF-8 without surrounding white space.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return last(strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "\uFFFD")), MaxCharacters)
}

// last returns the last n characters of valid UTF-8.
func last(s string, n int) string {
	for at := len(s); at > 0; n-- {
		if n == 0 {
			return s[at:]
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s
}
