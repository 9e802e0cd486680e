package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is Debian's supervisord.
type peer struct {
	cmd *exec.Cmd
	*nursery
}

var errNoPeer = errors.New("cannot compare: supervisord is not installed (Debian: apt-get install supervisor)")

// startPeer starts supervisord with the services, at the settings that restart fastest: at once, and with its pipes
// between, whose end wakes its loop.
func startPeer(ctx context.Context, dir string, names []string) (*peer, error) {
	program, err := exec.LookPath("supervisord")
	if err != nil {
		return nil, errNoPeer
	}
	n, err := newNursery(dir)
	if err != nil {
		return nil, err
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "[supervisord]\nnodaemon=true\nlogfile=%[1]s/log\npidfile=%[1]s/pid\nchildlogdir=%[1]s\nminfds=4096\n", dir)
	for _, name := range names {
		file := filepath.Join(dir, name+".sh")
		argv := n.script(name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+argv[2]+"\n"), 0o700); err != nil { //nolint:gosec // a program
			return nil, fmt.Errorf("cannot write a service: %w", err)
		}
		fmt.Fprintf(&conf, "[program:%s]\ncommand=%s\nautostart=true\nautorestart=true\nstartsecs=0\nstopsignal=KILL\n", name, file)
	}
	path := filepath.Join(dir, "conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return nil, fmt.Errorf("cannot configure supervisord: %w", err)
	}
	p := &peer{nursery: n, cmd: exec.CommandContext(ctx, program, "-c", path)}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start supervisord: %w", err)
	}
	return p, p.wait(ctx, len(names))
}

// stop stops supervisord, which stops its services.
func (p *peer) stop() error {
	defer p.close()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return fmt.Errorf("cannot stop supervisord: %w", err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.cmd.Wait()
}
