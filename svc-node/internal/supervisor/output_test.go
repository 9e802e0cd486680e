package supervisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

func TestARunningProcesssLogIsRotatedUnderIt(t *testing.T) {
	log := supervise.Log{Path: filepath.Join(t.TempDir(), "log"), MaxBytes: 4, Keep: 2}
	file, err := openOutput(supervise.Process{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, text := range []string{"first", "second", "third", "4th"} {
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := rotate(log); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{log.Path: "4th", log.Path + ".1": "third", log.Path + ".2": "second"} {
		if got, err := os.ReadFile(path); string(got) != want {
			t.Errorf("%s has %q (%v), want %q", path, got, err, want)
		}
	}
	if _, err := os.Stat(log.Path + ".3"); err == nil {
		t.Error("a third file is kept")
	}
}

func TestASymbolicLinkInPlaceOfALogIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := supervise.Log{Path: filepath.Join(dir, "log"), MaxBytes: 1}
	if err := os.Symlink(target, log.Path); err != nil {
		t.Fatal(err)
	}
	if file, err := openOutput(supervise.Process{Log: log}); err == nil {
		_ = file.Close()
		t.Error("it is opened")
	}
	if err := rotate(log); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(target); string(got) != "content" {
		t.Errorf("it was changed to %q", got)
	}
}
