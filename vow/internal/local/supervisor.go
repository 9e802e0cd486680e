package local

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// supervisorDirectory is where the supervisor of a data directory has its journal and socket.
func (d *directory) supervisorDirectory() string { return d.join("supervisor") }

// startSupervisor starts the supervisor, which keeps the agent running. One that a killed fleet left goes on with its services untouched; its agent is replaced, and so is itself when its executable changed.
func startSupervisor(ctx context.Context, d *directory, executable string, changed bool) error {
	dir := d.supervisorDirectory()
	if supervisor.Running(ctx, dir) {
		return adoptSupervisor(ctx, d, changed)
	}
	log, err := d.log("vow-supervisor")
	if err != nil {
		return fmt.Errorf("cannot write the supervisor's log: %w", err)
	}
	defer log.Close() // the child has its own descriptor
	command := exec.Command(executable, "supervisor", "--dir", dir, "--agent", "--", executable, "agent", "--data", d.path)
	command.Stdout, command.Stderr = log, log
	command.Dir = d.path
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives a kill -9 of this process, and Ctrl-C is for us
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start the supervisor: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // also reaps it, however long it lives
		ended := errors.Join(errors.New("it ended; its log is "+log.Name()), command.Wait())
		cancel(ended)
	}()
	if _, err := supervisor.WaitReady(ctx, dir); err != nil {
		return fmt.Errorf("cannot start the supervisor: %w", errors.Join(context.Cause(ctx), err))
	}
	return nil
}

// adoptSupervisor goes on with a running supervisor.
func adoptSupervisor(ctx context.Context, d *directory, changed bool) error {
	pid, err := supervisor.WaitReady(ctx, d.supervisorDirectory())
	if err != nil {
		return fmt.Errorf("cannot adopt the supervisor: %w", err)
	}
	if changed {
		if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			return fmt.Errorf("cannot replace the supervisor in place: %w", err)
		}
	}
	// The agent reads where the services are when it starts; the supervisor starts it again at once.
	if err := stopAgent(d); err != nil {
		return fmt.Errorf("cannot replace the agent: %w", err)
	}
	return nil
}
