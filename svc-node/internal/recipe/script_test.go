package recipe

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// script writes what a profile's part makes to disk, to run it.
func script(t *testing.T, w *world, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(w.files[name].content), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestThePortPromiseSaysWhetherAnythingListens(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:check_port_listening\nhostname = 127.0.0.1\npath = /p/c\nport = " + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) + "\n")
	path := script(t, w, "/p/c")
	if out, err := exec.Command(path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("with a listener: %v, %s", err, out)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path)
	out, _ := command.CombinedOutput()
	if command.ProcessState.ExitCode() != 127 || !strings.HasSuffix(string(out), "isn't listening\n") {
		t.Errorf("without a listener: exit %d, %q", command.ProcessState.ExitCode(), out)
	}
}

func TestWrappersPassWordsAndEnvironmentOn(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = /p/w\nenvironment =\n  A=it's $HOME\ncommand-line = /bin/sh -c 'printf \"%s|\" \"$A\" \"$@\"' sh 'two words' \"$HOME\" \"it's\"\n")
	out, err := exec.Command(script(t, w, "/p/w"), "last").CombinedOutput()
	if want := "it's $HOME|two words|$HOME|it's|last|"; err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestAWrapperWithAPidfileRunsOnce(t *testing.T) {
	w := newWorld(t)
	pidfile := filepath.Join(t.TempDir(), "pid")
	w.must("[a]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = /p/w\npidfile = " + pidfile + "\ncommand-line = /bin/true\n")
	path := script(t, w, "/p/w")
	if out, err := exec.Command(path).CombinedOutput(); err != nil {
		t.Errorf("first: %v, %s", err, out)
	}
	if err := os.WriteFile(pidfile, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path).CombinedOutput(); err == nil || !strings.Contains(string(out), "already running") {
		t.Errorf("while it runs: %v, %s", err, out)
	}
}
