package release

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildout is Debian's, made to work with its Python: zc.buildout 2.13.2 imports a name that Python 3.11 no longer has.
func buildout(t *testing.T) string {
	t.Helper()
	executable, err := exec.LookPath("buildout")
	if err != nil {
		t.Fatal("buildout is not installed: make setup")
	}
	dir := t.TempDir()
	script(t, filepath.Join(dir, "sitecustomize.py"), "import collections\nimport collections.abc\ncollections.MutableMapping = collections.abc.MutableMapping\n")
	wrapper := filepath.Join(dir, "buildout")
	script(t, wrapper, "#!/bin/sh\nPYTHONPATH="+dir+" exec "+executable+" \"$@\"\n")
	return wrapper
}

func script(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// A release as authors write them: a profile that extends another one beside it, and a recipe of its own.
var built = map[string]string{
	"stack/base.cfg": "[buildout]\ndevelop = ${:recipe-directory}\nrecipe-directory = %s/recipe\nparts = instance\n",
	"software.cfg":   "[buildout]\nextends = stack/base.cfg\n\n[instance]\nrecipe = made\ntext = [buildout]\n  parts =\n",
	"recipe/setup.py": "from setuptools import setup\n" +
		"setup(name='made', version='1', py_modules=['made'], entry_points={'zc.buildout': ['default = made:Recipe']})\n",
	"recipe/made.py": "import os, sys\nclass Recipe(object):\n" +
		"    def __init__(self, buildout, name, options):\n        self.options, self.directory = options, buildout['buildout']['directory']\n" +
		"    def install(self):\n        print('making the instance profile')\n        path = os.path.join(self.directory, 'instance.cfg')\n" +
		"        with open(path, 'w') as f:\n            f.write(self.options['text'])\n        return path\n    update = install\n",
}

func softwareProfile(t *testing.T, change func(files map[string]string)) string {
	t.Helper()
	files := map[string]string{}
	for name, content := range built {
		files[name] = content
	}
	if change != nil {
		change(files)
	}
	dir := directory(t, files)
	base := filepath.Join(dir, "stack", "base.cfg")
	script(t, base, strings.ReplaceAll(files["stack/base.cfg"], "%s", dir))
	return filepath.Join(dir, "software.cfg")
}

func TestAProfileIsBuiltByTheRealBuildout(t *testing.T) {
	r := newRoot(t, Settings{Buildout: buildout(t)})
	url := "file://" + softwareProfile(t, nil)
	w := &watcher{}
	if err := r.Install(t.Context(), url, w); err != nil {
		t.Fatal(err)
	}
	dir := r.Directory(url)
	if content, err := os.ReadFile(filepath.Join(dir, "instance.cfg")); err != nil || !strings.HasPrefix(string(content), "[buildout]") {
		t.Errorf("the build made %s, %v", content, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, buildLog))
	if err != nil || !strings.Contains(string(log), "making the instance profile") {
		t.Errorf("the log is %s, %v", log, err)
	}
	if w.String() != "build" || w.done[0] != int64(len(log)) {
		t.Errorf("the steps were %s, %d bytes of %d", w, w.done, len(log))
	}
	if info, err := os.Stat(filepath.Join(dir, "instance.cfg")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its mode is %v, %v", info, err)
	}
	if !r.Installed(url) || len(beside(t, r)) != 1 {
		t.Errorf("in the software root are %v", beside(t, r))
	}
}

func TestAProfileFromAServerIsVerifiedFirst(t *testing.T) {
	path := softwareProfile(t, func(files map[string]string) {
		files["software.cfg"] = "[buildout]\nextends = %s/stack/base.cfg\n[instance]\nrecipe = made\ntext = x\n"
	})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.ReplaceAll(string(content), "%s", filepath.Dir(path)))
	s := serve(t, text)
	r := newRoot(t, Settings{Buildout: buildout(t)})
	w := &watcher{}
	if err := r.Install(t.Context(), s.URL+"/software.cfg"+sha256Of([]byte("other")), w); !errors.Is(err, errChecksum) || w.String() != "download verify" {
		t.Errorf("the steps were %s: %v", w, err)
	}
	url := s.URL + "/software.cfg" + sha256Of(text)
	if err := r.Install(t.Context(), url, nil); err != nil || !r.Installed(url) {
		t.Error(err)
	}
	// Without a checksum buildout reads it itself.
	if err := r.Install(t.Context(), s.URL+"/software.cfg", nil); err != nil {
		t.Error(err)
	}
}

func TestABuildThatFailsSaysItsEndAndIsContinued(t *testing.T) {
	r := newRoot(t, Settings{Buildout: buildout(t)})
	path := softwareProfile(t, func(files map[string]string) {
		files["software.cfg"] = strings.Replace(built["software.cfg"], "text =", "test =", 1)
	})
	url := "file://" + path
	err := r.Install(t.Context(), url, nil)
	if err == nil || !strings.Contains(err.Error(), "Missing option: instance:text") || !strings.Contains(err.Error(), "exit status 1") || r.Installed(url) {
		t.Fatalf("the error is %v", err)
	}
	if !exists(r.Directory(url), buildLog) || !exists(r.Directory(url), "develop-eggs") {
		t.Error("neither log nor what was built is kept")
	}
	script(t, path, built["software.cfg"])
	if err := r.Install(t.Context(), url, nil); err != nil || !r.Installed(url) {
		t.Errorf("the next attempt: %v", err)
	}
}

func TestABuildThatLeavesNoInstanceProfileIsNoRelease(t *testing.T) {
	r := newRoot(t, Settings{Buildout: buildout(t)})
	url := "file://" + softwareProfile(t, func(files map[string]string) { files["software.cfg"] = "[buildout]\nparts =\n" })
	if err := r.Install(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "the build left no instance.cfg") || r.Installed(url) {
		t.Error(err)
	}
}

// What a build says of a URL is told without what is secret in it, and the command line has none of it.
func TestABuildTellsNoPasswordAndNoSignature(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "buildout")
	script(t, fake, "#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline; cat buildout.cfg; exit 1\n")
	r := newRoot(t, Settings{Buildout: fake})
	err := r.Install(t.Context(), "https://user:s3cret@host/software.cfg?X-Signature=s3cret-too", nil)
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "user:") || !strings.Contains(err.Error(), "https://REDACTED@host/software.cfg?REDACTED") {
		t.Errorf("the error is %v", err)
	}
}

// slow stands for a build that takes long: it starts a child, as make does, and says so.
const slow = "#!/bin/sh\n(trap '' TERM HUP; echo $$ > pid; exec sleep 600) &\necho waiting\nwait\n"

func TestABuildThatIsNoLongerWantedIsEndedWithItsChildren(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "buildout")
	script(t, fake, slow)
	r := newRoot(t, Settings{Buildout: fake})
	url := "file://" + softwareProfile(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Install(ctx, url, &watcher{at: func(Step, int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if alive := building(r.Directory(url)); len(alive) != 0 {
		t.Errorf("%v are left", alive)
	}
}

func TestWhatAKilledAgentLeftBuildingIsEndedByTheNext(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "buildout")
	script(t, fake, slow)
	r := newRoot(t)
	url := "file://" + softwareProfile(t, nil)
	killedAt(t, r, url, fake, Build)
	if alive := building(r.Directory(url)); len(alive) == 0 {
		t.Fatal("the child of the build ended by itself: there is nothing to test")
	}
	next := newRootIn(t, r.dir, Settings{Buildout: buildout(t)})
	if err := next.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	if alive := building(r.Directory(url)); len(alive) != 0 {
		t.Errorf("%v build beside each other", alive)
	}
}

func newRootIn(t *testing.T, dir string, s Settings) *Root {
	t.Helper()
	r, err := NewRoot(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// building lists the processes of a build.
func building(dir string) (pids []string) {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		content, err := os.ReadFile(path)
		if err == nil && strings.Contains("\x00"+string(content), "\x00"+buildMarker+"="+dir+"\x00") {
			pids = append(pids, path)
		}
	}
	return pids
}
