package real

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// up is a running `vow up`.
type up struct {
	command *exec.Cmd
	result  upResult
}

// upResult is what `vow up -o json` says when its sample is Green.
type upResult struct {
	Endpoints struct{ Master, Scheduler, Promise, Console, Node string }
	Tree      struct {
		ID     string `json:"tree_id"`
		Colour struct{ Colour string }
	}
}

// startUp runs `vow up` on a directory until it says that the sample is Green.
func startUp(t *testing.T, dir string, flags ...string) *up {
	t.Helper()
	args := append([]string{"up", "-o", "json", "--data", dir, "--master", "127.0.0.1:0", "--scheduler", "127.0.0.1:0", "--promise", "127.0.0.1:0", "--console", "", "--no-admin"}, flags...)
	u := &up{command: exec.Command(executable(t, "vow"), args...)}
	log, err := os.OpenFile(filepath.Join(dir, "up.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	u.command.Stderr = log
	out, err := u.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.command.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(&u.result); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("vow up: %v\n%s", errors.Join(err, u.command.Wait()), said)
	}
	if u.result.Tree.Colour.Colour != "COLOUR_GREEN" {
		t.Fatalf("the sample is %q", u.result.Tree.Colour.Colour)
	}
	return u
}

// processes is the processes of a directory's services: pid by name.
func processes(t *testing.T, dir string) map[string]int {
	t.Helper()
	found := map[string]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		words := strings.Split(string(command), "\x00")
		switch {
		case strings.Contains(words[0], filepath.Join(dir, "redis")): // redis-server names itself after its socket
			found["redis-server"] = pid
		case words[0] != filepath.Join(dir, "bin", "vow") || len(words) < 2:
		case words[1] == "sample":
			found["sample "+words[len(words)-2]] = pid
		default:
			found[words[1]] = pid
		}
	}
	return found
}

// TestServicesOutliveAKilledVowUpAndTheNextOneAdoptsThem kills `vow up` with -9: Redis, the supervisor and the services live on; the next `vow up` goes on with the same processes, and its end ends all.
func TestServicesOutliveAKilledVowUpAndTheNextOneAdoptsThem(t *testing.T) {
	dir := shortDir(t)
	first := startUp(t, dir)
	before := processes(t, dir)
	if len(before) != 5 {
		t.Fatalf("%v run, want redis-server, the supervisor, the agent and two services", before)
	}
	if err := first.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.command.Wait() // killed
	second := startUp(t, dir)
	after := processes(t, dir)
	for name, pid := range before {
		if name != "agent" && after[name] != pid {
			t.Errorf("%s was process %d and is %d now", name, pid, after[name])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%v run now, %v ran before", after, before)
	}

	twice := exec.Command(executable(t, "vow"), "up", "--data", dir)
	if out, err := twice.CombinedOutput(); err == nil || !strings.Contains(string(out), "another vow up runs on it") {
		t.Errorf("a second vow up on one directory: %v\n%s", err, out)
	}

	if err := second.command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := second.command.Wait(); err != nil {
		t.Errorf("vow up ended with %v", err)
	}
	if left := processes(t, dir); len(left) > 0 {
		t.Errorf("%v still run after SIGINT", left)
	}
}

// TestTheEmbeddedStoreKeepsTheFleetOverAStop runs `vow up` without Redis twice on one directory: the tree is the same one.
func TestTheEmbeddedStoreKeepsTheFleetOverAStop(t *testing.T) {
	dir := shortDir(t)
	var trees []string
	for range 2 {
		u := startUp(t, dir, "--embedded")
		out, err := exec.Command(executable(t, "vow"), "tree", "hello", "-o", "json", "--data", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		var tree struct {
			ID string `json:"tree_id"`
		}
		if err := json.Unmarshal(out, &tree); err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree.ID)
		if err := u.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := u.command.Wait(); err != nil {
			t.Errorf("vow up ended with %v", err)
		}
	}
	if trees[0] != trees[1] || trees[0] == "" {
		t.Errorf("tree %q was %q before the stop", trees[1], trees[0])
	}
}
