package pythonhost

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// head begins every plugin of the tests.
const head = `from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise, TestResult, AnomalyResult
import os, signal, subprocess, sys, time

@implementer(interface.IPromise)
class RunPromise(GenericPromise):
`

// stage is a pool and a partition.
type stage struct {
	t         *testing.T
	pool      *Pool
	directory string
	user      privilege.User
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, directory: filepath.Join(dir, "slappart0"), pool: New(Settings{Directory: filepath.Join(dir, "host"), Config: map[string]any{"computer-id": "COMP-1"}})}
	t.Cleanup(s.pool.Close)
	if err := os.MkdirAll(filepath.Join(s.directory, "etc", "plugin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != "/" && os.Getuid() == 0; at = filepath.Dir(at) { // another user passes through
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at, info.Mode()|0o005); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// asUser makes the partition somebody's, if the test may.
func (s *stage) asUser(id int) *stage {
	s.t.Helper()
	if os.Getuid() != 0 {
		return s
	}
	s.user = privilege.Other("web", uint32(id), uint32(id))
	if err := os.Chown(s.directory, id, id); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *stage) write(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.directory, "etc", "plugin", name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *stage) request(name string) sensor.Request {
	return sensor.Request{
		Partition: "slappart0", Directory: s.directory, Env: []string{"PATH=/usr/bin:/bin", "HOME=" + s.directory}, User: s.user,
		Promise: sensor.Promise{Name: strings.TrimSuffix(name, ".py"), Path: filepath.Join(s.directory, "etc", "plugin", name), File: "etc/plugin/" + name, Timeout: 20 * time.Second},
	}
}

// sense writes a plugin whose class has the given body, and executes it.
func (s *stage) sense(body string, change ...func(*sensor.Request)) *typev1.SenseGroup {
	s.t.Helper()
	s.write("p.py", head+body)
	r := s.request("p.py")
	for _, c := range change {
		c(&r)
	}
	return s.pool.Sense(s.t.Context(), r)
}

func text(g *typev1.SenseGroup) string {
	var lines []string
	for _, e := range g.GetEntries() {
		lines = append(lines, strings.TrimPrefix(e.GetLevel().String(), "LOG_LEVEL_")+" "+e.GetMessage())
	}
	if g.GetError() != "" {
		lines = append(lines, "cannot: "+g.GetError())
	}
	return strings.Join(lines, "\n")
}

func (s *stage) read(path string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.directory, path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

func TestAGroupHasWhatThePluginLogged(t *testing.T) {
	s := newStage(t).asUser(65534)
	g := s.sense(`
  def sense(self):
    self.logger.info("looking at %s", self.getConfig("partition-id"))
    self.logger.error("broken on %s", self.getConfig("computer-id"))
`)
	if got := text(g); got != "INFO looking at slappart0\nERROR broken on COMP-1" {
		t.Errorf("group is\n%s", got)
	}
	if log := s.read(".slapgrid/promise/log/p.log"); strings.Count(log, "\n") != 2 || !strings.Contains(log, " - ERROR - ") {
		t.Errorf("log is %q", log)
	}
	if result := s.read(".slapgrid/promise/result/p.status.json"); !strings.Contains(result, `"type": "Anomaly Result", "failed": true`) {
		t.Errorf("result is %s", result)
	}
}

// contextUntil ends when there is something in a file.
func contextUntil(t *testing.T, path string) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if content, err := os.ReadFile(path); err == nil && len(content) > 0 {
				cancel()
			}
		}
	}()
	return ctx, cancel
}

// hosts are those that run.
func (s *stage) hosts() []*host {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	var hosts []*host
	for _, slot := range s.pool.slots {
		slot.mu.Lock()
		if slot.running != nil {
			hosts = append(hosts, slot.running)
		}
		slot.mu.Unlock()
	}
	return hosts
}
