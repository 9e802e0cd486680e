package endpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFlagWinsOverTheEnvironmentOverTheFileOverTheFixedPorts(t *testing.T) {
	dir := t.TempDir()
	written := Set{Master: "127.0.0.1:1", Scheduler: "127.0.0.1:2", Promise: "127.0.0.1:3", Node: "unix:/n", Computer: "c"}
	if err := written.Write(dir); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VOW_SCHEDULER_ADDRESS", "127.0.0.1:22")
	t.Setenv("VOW_PROMISE_ADDRESS", "127.0.0.1:33")
	got, err := Find(dir, Set{Promise: "127.0.0.1:333"})
	if err != nil {
		t.Fatal(err)
	}
	want := written
	want.Scheduler, want.Promise = "127.0.0.1:22", "127.0.0.1:333"
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	fixed, err := Find(t.TempDir(), Set{})
	if err != nil || fixed.Master != Master {
		t.Fatalf("without a file: %+v, %v; want the fixed port", fixed, err)
	}
}

// Whoever has no home, as a maintainer script, has no file; one in the working directory is somebody else's.
func TestWithoutADirectoryNoFileIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := (Set{Master: "127.0.0.1:1"}).Write("."); err != nil {
		t.Fatal(err)
	}
	found, err := Find("", Set{Scheduler: "127.0.0.1:2"})
	if err != nil || found.Master != Master || found.Scheduler != "127.0.0.1:2" {
		t.Fatalf("without a directory: %+v, %v; want the fixed port and the flag", found, err)
	}
}

func TestABrokenEndpointsFileIsToldWithItsPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir, Set{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v, want an error that names %s", err, path)
	}
}
