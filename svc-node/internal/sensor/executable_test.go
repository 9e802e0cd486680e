package sensor

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// write makes an executable of etc/promise and returns the partition's directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "etc", "promise")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		mode := os.FileMode(0o750)
		if strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".txt") {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sense executes one script.
func sense(t *testing.T, script string, timeout time.Duration) *typev1.SenseGroup {
	t.Helper()
	dir := write(t, map[string]string{"p": script})
	return NewExecutable(child.NewRunner()).Sense(t.Context(), Request{
		Directory: dir, Env: []string{"PATH=/usr/bin:/bin", "HOME=" + dir},
		Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: timeout},
	})
}

// entry is the only entry of a group.
func entry(t *testing.T, g *typev1.SenseGroup) *typev1.LogEntry {
	t.Helper()
	if len(g.GetEntries()) != 1 || g.GetError() != "" {
		t.Fatalf("group is %v", g)
	}
	return g.GetEntries()[0]
}

func TestExitZeroPassesAndAnyOtherEndFails(t *testing.T) {
	for _, c := range []struct {
		script, message string
		failed          bool
	}{
		{"#!/bin/sh\necho all well\n", "all well", false},
		{"#!/bin/sh\ntrue\n", "", false},
		{"#!/bin/sh\necho out; echo err >&2; exit 1\n", "exit 1: out\nerr", true},
		{"#!/bin/sh\nexit 3\n", "exit 3", true},
		{"#!/bin/sh\nkill -9 $$\n", "killed by signal killed", true},
	} {
		e := entry(t, sense(t, c.script, 5*time.Second))
		if failed := e.GetLevel() == typev1.LogLevel_LOG_LEVEL_ERROR; failed != c.failed || e.GetMessage() != c.message {
			t.Errorf("%q says %q at %s", c.script, e.GetMessage(), e.GetLevel())
		}
	}
}

func TestASensorThatHangsIsKilledWithAllItStarted(t *testing.T) {
	began := time.Now()
	dir := write(t, map[string]string{"p": "#!/bin/sh\nsleep 600 &\necho $! > child\necho waiting\nsleep 600\n"})
	g := NewExecutable(child.NewRunner()).Sense(t.Context(), Request{
		Directory: dir, Env: []string{"PATH=/usr/bin:/bin"},
		Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: 300 * time.Millisecond},
	})
	if e := entry(t, g); e.GetMessage() != "timed out after 300ms: waiting" || e.GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR {
		t.Errorf("entry is %v", e)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	gone(t, filepath.Join(dir, "child"))
}

func TestAProcessThatASensorLeavesBehindEndsAndFailsIt(t *testing.T) {
	dir := write(t, map[string]string{"p": "#!/bin/sh\nsleep 600 &\necho $! > child\necho done\n"})
	g := NewExecutable(child.NewRunner()).Sense(t.Context(), Request{
		Directory: dir, Env: []string{"PATH=/usr/bin:/bin"},
		Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: 20 * time.Second},
	})
	e := entry(t, g)
	if !strings.Contains(e.GetMessage(), "left processes behind, which are ended now: sleep (") || !strings.HasSuffix(e.GetMessage(), ": done") || e.GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR {
		t.Errorf("entry is %v", e)
	}
	gone(t, filepath.Join(dir, "child"))
}

// gone checks that the process whose id is in a file does not run any more.
func gone(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		// It may be a zombie until its new parent reaps it.
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d still runs", pid)
}

func TestHugeOutputKeepsItsLast5000Characters(t *testing.T) {
	e := entry(t, sense(t, "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x\necho THE END\nexit 1\n", 20*time.Second))
	if n := utf8.RuneCountInString(e.GetMessage()); n != MaxCharacters || !strings.HasSuffix(e.GetMessage(), "xTHE END") {
		t.Errorf("%d characters, ending in %q", n, e.GetMessage()[len(e.GetMessage())-20:])
	}
}

func TestBinaryOutputBecomesText(t *testing.T) {
	e := entry(t, sense(t, "#!/bin/sh\nprintf 'a\\377\\376\\000b'\nexit 1\n", 5*time.Second))
	if !utf8.ValidString(e.GetMessage()) || !strings.HasPrefix(e.GetMessage(), "exit 1: a\uFFFD") {
		t.Errorf("message is %q", e.GetMessage())
	}
}

func TestASensorThatCannotBeExecutedSaysWhy(t *testing.T) {
	for script, want := range map[string]string{
		"#!/no/such/interpreter\n":    "the interpreter that its first line names does not exist",
		"not a script and no program": "neither a program nor a script",
	} {
		g := sense(t, script, 5*time.Second)
		if !strings.Contains(g.GetError(), want) || !strings.Contains(g.GetError(), "etc/promise/p") || len(g.GetEntries()) != 0 {
			t.Errorf("%q gives %v", script, g)
		}
	}
}

func TestAStoppedAgentBlamesNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := write(t, map[string]string{"p": "#!/bin/sh\nsleep 600\n"})
	g := NewExecutable(child.NewRunner()).Sense(ctx, Request{Directory: dir, Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: time.Minute}})
	if !strings.Contains(g.GetError(), "stopped") {
		t.Errorf("group is %v", g)
	}
}

func TestPromisesAreTheExecutablesWithTheirConfiguration(t *testing.T) {
	dir := write(t, map[string]string{
		"plain": "#!/bin/sh\n", "tuned": "#!/bin/sh\n", "words": "#!/bin/sh\n", "broken": "#!/bin/sh\n", "fast": "#!/bin/sh\n", "readme.txt": "",
		"tuned.json": `{"periodicity": 30, "timeout": 2.5, "bang-on-failure": false}`, "words.json": `{"bang-on-failure": "False"}`,
		"broken.json": `{"periodicity": `, "fast.json": `{"periodicity": 0.001}`, "orphan.json": `{}`,
	})
	promises, err := Promises(dir)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Promise{}
	var names []string
	for _, p := range promises {
		byName[p.Name] = p
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "broken fast plain tuned words" {
		t.Fatalf("promises are %s", got)
	}
	if p := byName["plain"]; p.Period != 2*time.Minute || p.Timeout != 20*time.Second || p.BangDisabled || p.Problem != "" {
		t.Errorf("plain is %+v", p)
	}
	if p := byName["tuned"]; p.Period != 30*time.Second || p.Timeout != 2500*time.Millisecond || !p.BangDisabled {
		t.Errorf("tuned is %+v", p)
	}
	if !byName["words"].BangDisabled {
		t.Error(`"False" is not false`)
	}
	for _, name := range []string{"broken", "fast"} {
		if p := byName[name]; p.Period != 2*time.Minute || !strings.Contains(p.Problem, name+".json") {
			t.Errorf("%s is %+v", name, p)
		}
	}
	if none, err := Promises(t.TempDir()); err != nil || len(none) != 0 {
		t.Errorf("a directory without promises has %v, %v", none, err)
	}
}

// FuzzConfiguration: whatever a profile writes there, a promise has a usable period and time-out.
func FuzzConfiguration(f *testing.F) {
	f.Add(`{"periodicity": 30, "timeout": 2.5, "bang-on-failure": "false"}`)
	f.Add(`{"periodicity": 1e300}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "p.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := Promise{Name: "p", Period: DefaultPeriod, Timeout: DefaultTimeout}
		p.configure(path)
		if p.Period < MinPeriod || p.Period > 24*time.Hour || p.Timeout <= 0 || p.Timeout > MaxTimeout {
			t.Errorf("promise is %+v", p)
		}
	})
}
