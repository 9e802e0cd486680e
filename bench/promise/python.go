package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/bench/report"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
)

// pythonPeer executes promises as slapgrid does: a multiprocessing.Process for each, one after the other, looked at every
// 50 ms.
//
//go:embed python_peer.py
var pythonPeer []byte

// pythonPlugin is a promise that looks at a file.
const pythonPlugin = `from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise
import os

@implementer(interface.IPromise)
class RunPromise(GenericPromise):
  def sense(self):
    if os.path.exists(__file__):
      self.logger.info("it is there")
    else:
      self.logger.error("it is gone")
`

// pythonPromises is how many different promises the partition has.
const pythonPromises = 20

// measurePython senses Python promises through the warm host, as many at once as there are CPUs, and beside it by the peer.
func measurePython(ctx context.Context, short bool, r *report.Report) error {
	ours, peer := 3000, 200
	if short {
		ours, peer = 600, 40
	}
	dir, err := os.MkdirTemp("", "vow-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	plugins := filepath.Join(dir, "slappart0", "etc", "plugin")
	if err := os.MkdirAll(plugins, 0o750); err != nil {
		return err
	}
	for i := range pythonPromises {
		if err := os.WriteFile(filepath.Join(plugins, fmt.Sprintf("p%d.py", i)), []byte(pythonPlugin), 0o600); err != nil {
			return err
		}
	}
	rate, err := pythonRate(ctx, dir, ours)
	if err != nil {
		return err
	}
	script := filepath.Join(dir, "peer.py")
	if err := os.WriteFile(script, pythonPeer, 0o600); err != nil {
		return err
	}
	var output, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "python3", script, plugins, strconv.Itoa(peer)) //nolint:gosec // our own script
	cmd.Stdout, cmd.Stderr = &output, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, complaint.String())
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(output.String()), 64)
	if err != nil {
		return err
	}
	r.Faster("Python promises a second, peer: a process each, looked at every 50 ms", rate, float64(peer)/seconds, 15)
	return nil
}

// pythonRate is how many promises a second the node senses.
func pythonRate(ctx context.Context, dir string, count int) (float64, error) {
	sensors := app.NewSensors(filepath.Join(dir, "host"), nil)
	defer func() { _ = sensors.Stop(ctx) }()
	partition := filepath.Join(dir, "slappart0")
	sense := func(i int) error {
		name := fmt.Sprintf("p%d", i%pythonPromises)
		g := sensors.Sense(ctx, app.Sensing{
			Partition: "slappart0", Directory: partition, Env: []string{"PATH=/usr/bin:/bin"},
			Promise: app.Promise{
				Name: name, Kind: typev1.PromiseKind_PROMISE_KIND_PYTHON, Path: filepath.Join(partition, "etc", "plugin", name+".py"),
				File: "etc/plugin/" + name + ".py", Timeout: 20 * time.Second,
			},
		})
		if g.GetError() != "" || len(g.GetEntries()) != 1 || g.GetEntries()[0].GetMessage() != "it is there" {
			return errors.New("the promise says " + g.String())
		}
		return nil
	}
	for i := range pythonPromises {
		if err := sense(i); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	var next atomic.Int64
	var workers sync.WaitGroup
	failures := make(chan error, runtime.NumCPU())
	for range runtime.NumCPU() {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= count; i = int(next.Add(1)) {
				if err := sense(i); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	workers.Wait()
	close(failures)
	return float64(count) / time.Since(began).Seconds(), <-failures
}
