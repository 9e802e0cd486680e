package real

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
)

// TestWatchTellsABangToItsEndAndStopsWhenInterrupted has `vow watch` look at a real fleet while it is banged by hand, and interrupts it.
func TestWatchTellsABangToItsEndAndStopsWhenInterrupted(t *testing.T) {
	dir := shortDir(t)
	u := startUp(t, dir, "--embedded")
	defer func() {
		_ = u.command.Process.Signal(syscall.SIGTERM)
		if err := u.command.Wait(); err != nil {
			t.Errorf("vow up ended with %v", err)
		}
	}()
	watch := exec.Command(executable(t, "vow"), "watch", "-o", "json", "--data", dir)
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Process.Kill() }() // if it did not end
	told := make(chan map[string]any, 100)
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var change map[string]any
			if json.Unmarshal(lines.Bytes(), &change) == nil {
				told <- change
			}
		}
	}()
	expect := func(kind, key, value string) {
		t.Helper()
		await(t, kind+" "+value, func() bool {
			select {
			case change, open := <-told:
				if !open {
					t.Fatal("vow watch ended by itself")
				}
				return change["kind"] == kind && change[key] == value
			default:
				return false
			}
		})
	}
	expect("tree", "colour", "Green")
	if out, err := exec.Command(executable(t, "vow"), "bang", "hello", "--data", dir).CombinedOutput(); err != nil {
		t.Fatalf("vow bang: %v\n%s", err, out)
	}
	expect("convergence", "state", "converged")
	if err := watch.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for range told { // until its end
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("vow watch ended with %v", err)
	}
}
