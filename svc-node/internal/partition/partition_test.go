package partition

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

func newDirectory(t *testing.T) Directory {
	t.Helper()
	d, err := NewRoot(t.TempDir(), privilege.Own("web")).Directory("slappart0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ensure(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d Directory) write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	full := filepath.Join(d.Path, path)
	_ = os.Remove(full) // there may be none
	if err := os.WriteFile(full, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestTheLockExcludesTwoRunsInOneProcessAndInTwo(t *testing.T) {
	dir := t.TempDir()
	lock, err := TryLock(dir, "slappart0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(dir, "slappart0"); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock gives %v", err)
	}
	other := exec.Command("flock", "--nonblock", filepath.Join(dir, "slappart0.lock"), "true")
	if err := other.Run(); err == nil {
		t.Error("another process took the lock")
	}
	if elsewhere, err := TryLock(dir, "slappart1"); err != nil {
		t.Errorf("another partition is locked too: %v", err)
	} else {
		elsewhere.Unlock()
	}
	lock.Unlock()
	again, err := TryLock(dir, "slappart0")
	if err != nil {
		t.Fatalf("it stays locked: %v", err)
	}
	again.Unlock()
}

func TestNamesThatLeaveTheInstanceRootAreRefused(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/etc"} {
		if _, err := NewRoot("/srv", privilege.User{}).Directory(name); err == nil {
			t.Errorf("%q is a partition", name)
		}
	}
}

func TestProcessesAreTheExecutablesAndChangeWithTheirContent(t *testing.T) {
	d := newDirectory(t)
	d.write(t, "etc/service/web", "#!/bin/sh\nserve\n", 0o755)
	d.write(t, "etc/services/cache", "#!/bin/sh\ncache\n", 0o755)
	d.write(t, "etc/run/migrate", "#!/bin/sh\nmigrate\n", 0o755)
	d.write(t, "etc/service/notes.txt", "not executable", 0o644)
	revisions := NewRevisions()
	first, err := d.Processes(revisions)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, p := range first {
		told = append(told, p.Name+":"+p.Kind.String()+":"+map[bool]string{true: "watched", false: "unwatched"}[p.Watched])
	}
	if got := strings.Join(told, " "); got != "web:service:watched cache:service:watched migrate:run:unwatched" {
		t.Fatalf("processes are %s", got)
	}
	same, err := d.Processes(revisions)
	if err != nil || !same[0].Equal(first[0]) {
		t.Errorf("nothing changed, and a process did: %v %v", same[0], err)
	}
	d.write(t, "etc/service/web", "#!/bin/sh\nserve --new\n", 0o755)
	changed, err := d.Processes(revisions)
	if err != nil || changed[0].Equal(first[0]) || !changed[1].Equal(first[1]) {
		t.Errorf("web changed and cache did not: %v %v", changed, err)
	}
	d.write(t, "etc/run/web", "#!/bin/sh\n", 0o755)
	if _, err := d.Processes(revisions); err == nil || !strings.Contains(err.Error(), "same name") {
		t.Errorf("two processes of one name give %v", err)
	}
}

func TestALinkToNowhereIsAServiceThatCannotStartAndOneThatIsRepairedAChange(t *testing.T) {
	d := newDirectory(t)
	program := filepath.Join(d.Path, "program")
	d.write(t, "etc/service/notes.txt", "not executable", 0o644)
	if err := os.Symlink(program, filepath.Join(d.Path, "etc/service/web")); err != nil {
		t.Fatal(err)
	}
	revisions := NewRevisions()
	lost, err := d.Processes(revisions)
	if err != nil || len(lost) != 1 || lost[0].Name != "web" {
		t.Fatalf("processes are %v, %v", lost, err)
	}
	d.write(t, "program", "#!/bin/sh\n", 0o755)
	if repaired, err := d.Processes(revisions); err != nil || len(repaired) != 1 || repaired[0].Equal(lost[0]) {
		t.Errorf("repaired it is %v, %v", repaired, err)
	}
}

func TestClearingFollowsNoLink(t *testing.T) {
	d := newDirectory(t)
	outside := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(d.Path, "var", "data")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Clear(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("what a link leads to is gone")
	}
	if left, err := os.ReadDir(d.Path); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestTheEnvironmentHasNothingOfTheAgents(t *testing.T) {
	t.Setenv("SECRET", "1")
	d := newDirectory(t)
	for _, e := range d.Environment() {
		if strings.HasPrefix(e, "SECRET=") {
			t.Error("the agent's environment leaks")
		}
	}
	if d.Environment()[0] != "HOME="+d.Path {
		t.Errorf("environment is %v", d.Environment())
	}
}
