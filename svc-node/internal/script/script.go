package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/partition"
)

const (
	// MaxOutput is how much of a program's output becomes an error: the last bytes.
	MaxOutput = 8 << 10
	// drain is how long the output is read on after the program ended: what holds it open then is a process it left.
	drain = time.Second
)

// Script is a program to execute.
type Script struct {
	// Directory is the partition's.
	Directory partition.Directory
	// Path is the program's; Args are its arguments, without its name.
	Path string
	Args []string
	// Name is what traces call it; empty = the last element of Path.
	Name string
	// Ends says that what the program leaves running ends with it, as of a hook; a command of a profile may leave a daemon.
	Ends bool
	// Environment adds variables, NAME=value.
	Environment []string
	// Input is what the program reads; nil = nothing. Answer takes its standard output; nil = that is output as its errors are.
	Input  io.Reader
	Answer io.Writer
}

// Run executes it. The error, if any, ends with the end of the output.
func Run(ctx context.Context, tracer trace.Tracer, s Script) error {
	if s.Name == "" {
		s.Name = filepath.Base(s.Path)
	}
	ctx, span := tracer.Start(ctx, conv.ExecSpan(s.Name), trace.WithAttributes(conv.ExecutableName.String(s.Name)))
	defer span.End()
	cmd := exec.CommandContext(ctx, s.Path, s.Args...) //nolint:gosec // the partition's own, as its user
	cmd.Dir = s.Directory.Path
	cmd.Env = append(s.Directory.Environment(), "TRACEPARENT="+telemetry.Inject(ctx).Traceparent)
	cmd.Env = append(cmd.Env, s.Environment...)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drain
	var output ending
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Input, &output, &output
	if s.Answer != nil {
		cmd.Stdout = s.Answer
	}
	err := s.Directory.User.Start(cmd)
	if err == nil {
		if err = cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) {
			err = nil // it succeeded; what it left holds its output
		}
		if s.Ends {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // as a rule nothing is left
		}
	}
	if cmd.ProcessState != nil {
		span.SetAttributes(conv.ProcessExit.Int(cmd.ProcessState.ExitCode()))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("its time is over, it was killed: %s", output.String())
	}
	return fmt.Errorf("%w: %s", err, output.String())
}

// ending keeps the end of what a program writes, so that one that writes without end takes no memory.
type ending struct{ kept []byte }

// Write implements io.Writer; it never fails.
func (e *ending) Write(output []byte) (int, error) {
	e.kept = append(e.kept, output[max(0, len(output)-MaxOutput):]...)
	if len(e.kept) > 2*MaxOutput {
		e.kept = append(e.kept[:0], e.kept[len(e.kept)-MaxOutput:]...)
	}
	return len(output), nil
}

// String is the last of it, as valid UTF-8.
func (e *ending) String() string {
	return strings.ToValidUTF8(string(e.kept[max(0, len(e.kept)-MaxOutput):]), "")
}
