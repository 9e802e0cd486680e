package pythonhost

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/sensor"
)

func dry(r *sensor.Request) { r.Dry = true }

func TestADrySensingSeesItsHistoryAndLeavesNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	if err := os.Chmod(temporary, 0o777); err != nil {
		t.Fatal(err)
	}
	s := newStage(t).asUser(65534)
	body := "\n  def sense(self):\n    self.logger.error('broken')\n  def anomaly(self): return self._anomaly(3, 3)\n"
	s.sense(body)
	s.sense(body)
	log, result := filepath.Join(s.directory, ".slapgrid/promise/log/p.log"), filepath.Join(s.directory, ".slapgrid/promise/result/p.status.json")
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(result); err != nil {
		t.Fatal(err)
	}
	if g := s.sense(body, dry); !g.GetOwnAnomaly().GetFailed() || text(g) != "ERROR broken" {
		t.Errorf("the third failure, dry, says %v", g)
	}
	if g := s.sense("\n  def sense(self):\n    os._exit(1)\n", dry); !strings.Contains(text(g), "exited with code 1") {
		t.Errorf("a dry death says %v", g)
	}
	if after, err := os.ReadFile(log); err != nil || string(after) != string(before) {
		t.Errorf("the log is other than before: %q, %v", after, err)
	}
	if _, err := os.Stat(result); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a result is written: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "vow-dry-*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestADrySensingOfAPromiseWithoutHistoryMakesNoFolder(t *testing.T) {
	s := newStage(t)
	if got := text(s.sense(good, dry)); got != "INFO all well" {
		t.Errorf("it says %s", got)
	}
	if _, err := os.Stat(filepath.Join(s.directory, ".slapgrid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is .slapgrid: %v", err)
	}
}

func TestDebugEntriesAreLoggedWhenSomebodyDebugs(t *testing.T) {
	s := newStage(t)
	body := "\n  def sense(self):\n    self.logger.debug('deep')\n    self.logger.info('well')\n"
	if got := text(s.sense(body, func(r *sensor.Request) { r.Debug = true })); got != "DEBUG deep\nINFO well" {
		t.Errorf("it says %q", got)
	}
	if got := text(s.sense(body)); got != "INFO well" {
		t.Errorf("it says %q", got)
	}
}

func TestALogFolderOfItsOwnIsUsed(t *testing.T) {
	s := newStage(t)
	logs := filepath.Join(s.directory, "var", "log")
	s.sense(good, func(r *sensor.Request) { r.LogFolder = logs })
	if content, err := os.ReadFile(filepath.Join(logs, "p.log")); err != nil || !strings.Contains(string(content), "all well") {
		t.Errorf("the log is %q, %v", content, err)
	}
}
