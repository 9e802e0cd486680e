package pythonhost

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// generated is the head of a promise as slapos.cookbook:promise.plugin writes it: it sets sys.path, then forgets all
// modules of slapos to have them from there.
const generated = `import json
import sys
sys.path[0:0] = PATHS

extra_config_dict = json.loads("""{"greeting": "hello"}""")

for module in list(sys.modules.keys()):
  if 'slapos' in module or 'pkg_resources' in module:
    del sys.modules[module]

from slapos.promise.plugin.check_it import RunPromise
`

// checkIt tells whether it was imported by the host (warm) or by the promise's own process (cold).
const checkIt = `import os
imported = os.getpid()
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise
from zope.interface import implementer
@implementer(interface.IPromise)
class RunPromise(GenericPromise):
  def sense(self):
    self.logger.info("%s, %s, %s", self.getConfig("greeting"), "warm" if imported == os.getppid() else "cold", getattr(GenericPromise, "whose", "vow's"))
`

// egg writes modules as a distribution has them, with the namespace declared, and returns its path.
func (s *stage) egg(name string, modules map[string]string) string {
	s.t.Helper()
	root := filepath.Join(filepath.Dir(s.directory), "release", "eggs", name)
	const namespace = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
	for module, content := range modules {
		path := filepath.Join(root, module)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			s.t.Fatal(err)
		}
		for at := filepath.Dir(path); at != root; at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, "__init__.py")); err != nil {
				if err := os.WriteFile(filepath.Join(at, "__init__.py"), []byte(namespace), 0o644); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	return root
}

// plugin writes a generated promise that uses eggs, and executes it.
func (s *stage) plugin(eggs ...string) string {
	s.t.Helper()
	paths, err := json.MarshalIndent(eggs, "", "  ")
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("p.py", strings.Replace(generated, "PATHS", string(paths), 1))
	return text(s.pool.Sense(s.t.Context(), s.request("p.py")))
}

func TestAReleasesModulesAreImportedOnceByItsHost(t *testing.T) {
	s := newStage(t).asUser(65534)
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	for range 2 {
		if got := s.plugin(toolbox); got != "INFO hello, warm, vow's" {
			t.Fatalf("the promise says %s", got)
		}
	}
	other := s.egg("toolbox2", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	if got := s.plugin(other); got != "INFO hello, warm, vow's" || len(s.hosts()) != 2 {
		t.Errorf("the promise of another release says %s, with %d hosts", got, len(s.hosts()))
	}
}

func TestAReleasesOwnModulesOfSlaposCoreWin(t *testing.T) {
	s := newStage(t).asUser(65534)
	generic, err := os.ReadFile("python/slapos/grid/promise/generic.py")
	if err != nil {
		t.Fatal(err)
	}
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	core := s.egg("core", map[string]string{
		"slapos/grid/promise/generic.py":   string(generic) + "\nGenericPromise.whose = \"the release's\"\n",
		"slapos/grid/promise/interface.py": "from zope.interface import Interface\nclass IPromise(Interface): pass\n",
	})
	if got := s.plugin(core, toolbox); got != "INFO hello, warm, the release's" {
		t.Errorf("the promise says %s", got)
	}
}

func TestARootHostImportsNothingThatOthersCanChange(t *testing.T) {
	if os.Getuid() != 0 {
		return // an agent that is not root has nothing to lose; CI is root
	}
	s := newStage(t).asUser(65534)
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	if err := os.Chown(filepath.Dir(toolbox), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if got := s.plugin(toolbox); got != "INFO hello, cold, vow's" {
		t.Errorf("the promise says %s", got)
	}
}

// A release's own Python belongs to the software user: what root executed of it would make that user root.
func TestAnInterpreterThatOthersCanChangeIsNeverExecutedByRoot(t *testing.T) {
	s := newStage(t).asUser(65534)
	if os.Getuid() != 0 {
		return // the host is oneself
	}
	bin := filepath.Join(filepath.Dir(s.directory), "release", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(bin, "python3")
	// It notes who executes it.
	script := "#!/bin/sh\nid -u >> " + filepath.Join(s.directory, "whose") + "\nexec /usr/bin/python3 \"$@\"\n"
	for _, err := range []error{os.WriteFile(python, []byte(script), 0o755), os.Chown(bin, 64410, 64410), os.Chown(python, 64410, 64410)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	paths, err := json.Marshal([]string{toolbox})
	if err != nil {
		t.Fatal(err)
	}
	s.write("p.py", "#!"+python+"\n"+strings.Replace(generated, "PATHS", string(paths), 1))
	for range 2 {
		if got := text(s.pool.Sense(t.Context(), s.request("p.py"))); got != "INFO hello, warm, vow's" {
			t.Errorf("the promise says %s", got)
		}
	}
	if got := s.read("whose"); got != "65534\n" {
		t.Errorf("it was executed by %q", got)
	}
	s.user = privilege.User{} // a partition of root's has nobody else to execute it
	s.write("q.py", "#!"+python+"\n"+head)
	if got := text(s.pool.Sense(t.Context(), s.request("q.py"))); !strings.Contains(got, "others than root can change its interpreter") {
		t.Errorf("root's promise says %s", got)
	}
}

func TestAModuleThatStartsThreadsIsImportedByThePromisesThemselves(t *testing.T) {
	s := newStage(t).asUser(65534)
	toolbox := s.egg("toolbox", map[string]string{
		"slapos/promise/plugin/check_it.py": "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,), daemon=True); t.start()\n" + checkIt,
	})
	for range 2 {
		if got := s.plugin(toolbox); got != "INFO hello, cold, vow's" {
			t.Errorf("the promise says %s", got)
		}
	}
}

func TestAModuleThatCannotBeImportedFailsItsPromiseAlone(t *testing.T) {
	s := newStage(t).asUser(65534)
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": "import no_such_thing\n"})
	if got := s.plugin(toolbox); !strings.Contains(got, "ModuleNotFoundError: No module named 'no_such_thing'") {
		t.Errorf("the promise says %s", got)
	}
	s.wellAfter("a release that lacks a module")
}

func TestTheInterpreterIsThatOfTheRelease(t *testing.T) {
	s := newStage(t)
	python, err := s.pool.interpreter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if python, err = filepath.EvalSymlinks(python); err != nil {
		t.Fatal(err)
	}
	toolbox := s.egg("toolbox", map[string]string{"slapos/promise/plugin/check_it.py": checkIt})
	bin := filepath.Join(filepath.Dir(filepath.Dir(toolbox)), "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	its := filepath.Join(bin, "python3")
	if err := os.Symlink(python, its); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "buildout"), []byte("#!"+its+"\nimport sys\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := s.plugin(toolbox); got != "INFO hello, warm, vow's" {
		t.Errorf("the promise says %s", got)
	}
	for key := range s.pool.slots {
		if !strings.HasPrefix(key, its+"\x00") {
			t.Errorf("the host is %q", key)
		}
	}
}

func TestAHostThatNobodyUsesEnds(t *testing.T) {
	s := newStage(t)
	s.pool.s.Idle = 100 * time.Millisecond
	s.wellAfter("nothing")
	for _, h := range s.hosts() {
		select {
		case <-h.ended:
		case <-time.After(10 * time.Second):
			t.Error("the host still runs")
		}
	}
	s.wellAfter("its end")
}
