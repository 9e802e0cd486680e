package sensor

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// attack executes a script and returns the partition's directory and what it recorded.
func attack(t *testing.T, runner *child.Runner, user privilege.User, script string, timeout time.Duration) (string, *typev1.SenseGroup) {
	t.Helper()
	dir := write(t, map[string]string{"p": "#!/bin/sh\n" + script})
	if user.Switch {
		for at := dir; at != "/"; at = filepath.Dir(at) {
			if err := os.Chmod(at, 0o755); err != nil { //nolint:gosec // the way of the partition's user
				t.Fatal(err)
			}
		}
		for _, part := range []string{"", "etc", "etc/promise", "etc/promise/p"} {
			if err := os.Chown(filepath.Join(dir, part), int(user.UID), int(user.GID)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, NewExecutable(runner).Sense(t.Context(), Request{
		Directory: dir, User: user, Env: []string{"PATH=/usr/bin:/bin"},
		Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: timeout},
	})
}

func TestAProcessThatLeavesItsGroupAndSessionIsFoundAndFailsThePromise(t *testing.T) {
	for name, script := range map[string]string{
		"holds its output":          "setsid sleep 600 &\necho $! > child\necho done\n",
		"holds the lifeline alone":  "setsid sleep 600 >/dev/null 2>&1 </dev/null &\necho $! > child\necho done\n",
		"forks twice":               "(setsid sh -c 'sleep 600 & echo $! > child; wait' >/dev/null 2>&1 &)\nwhile ! test -s child; do :; done\necho done\n",
		"writes without end":        "setsid sh -c 'echo $$ > child; while :; do echo noise; done' &\nwhile ! test -s child; do :; done\n",
		"ignores what can be":       "trap '' TERM HUP INT\nsetsid sh -c \"trap '' TERM HUP INT; sleep 600\" &\necho $! > child\necho done\n",
		"stays in the group, alone": "sleep 600 >/dev/null 2>&1 3>&- &\necho $! > child\necho done\n",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			dir, g := attack(t, child.NewRunner(), privilege.User{}, script, 20*time.Second)
			if e := entry(t, g); e.GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR || !strings.Contains(e.GetMessage(), "left processes behind, which are ended now: ") {
				t.Errorf("it says %v", e)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			gone(t, filepath.Join(dir, "child"))
		})
	}
}

func TestAProcessThatLetsGoOfTheLifelineIsFoundByTheNextSweep(t *testing.T) {
	runner := child.NewRunner()
	dir, g := attack(t, runner, privilege.User{}, "setsid sh -c 'echo $$ > child; exec sleep 600' >/dev/null 2>&1 3>&- &\nwhile ! test -s child; do :; done\necho done\n", 20*time.Second)
	if e := entry(t, g); e.GetMessage() != "done" {
		t.Errorf("it says %v", e)
	}
	other := exec.CommandContext(t.Context(), "sleep", "600") // of another partition: not ours to end
	other.Env = []string{"VOW_SENSED=0123456789abcdef/x.1"}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	k := Kinds{KindExecutable: NewExecutable(runner)}
	if ended := k.Sweep([]string{dir}); len(ended) != 1 || !strings.HasPrefix(ended[0], "s") {
		t.Errorf("ended are %v", ended)
	}
	gone(t, filepath.Join(dir, "child"))
	if stat, err := os.ReadFile("/proc/" + strconv.Itoa(other.Process.Pid) + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
		t.Error("a stranger's process was ended")
	}
	_ = other.Process.Kill()
	_ = other.Wait()
	if ended := k.Sweep([]string{dir}); len(ended) != 0 {
		t.Errorf("a second sweep ends %v", ended)
	}
}

func TestASweepLeavesSensorsThatRunAlone(t *testing.T) {
	runner := child.NewRunner()
	dir := write(t, map[string]string{"p": "#!/bin/sh\n: > began\nwhile ! test -e go; do sleep 0.01; done\necho survived\n"})
	done := make(chan *typev1.SenseGroup, 1)
	go func() {
		done <- NewExecutable(runner).Sense(t.Context(), Request{
			Directory: dir, Env: []string{"PATH=/usr/bin:/bin"},
			Promise: Promise{Name: "p", File: "etc/promise/p", Path: filepath.Join(dir, "etc", "promise", "p"), Timeout: 20 * time.Second},
		})
	}()
	for _, err := os.Stat(filepath.Join(dir, "began")); err != nil; _, err = os.Stat(filepath.Join(dir, "began")) {
		runtime.Gosched()
	}
	if ended := runner.Sweep([]string{dir}); len(ended) != 0 {
		t.Errorf("ended are %v", ended)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := entry(t, <-done); e.GetMessage() != "survived" {
		t.Errorf("it says %v", e)
	}
}

func TestEndlessOutputEndsWithTheTimeoutAndIsBounded(t *testing.T) {
	_, g := attack(t, child.NewRunner(), privilege.User{}, "exec yes noise\n", time.Second)
	if e := entry(t, g); !strings.HasPrefix(e.GetMessage(), "timed out after 1s: ") || len([]rune(e.GetMessage())) != MaxCharacters {
		t.Errorf("it says %d characters: %.80s", len(e.GetMessage()), e.GetMessage())
	}
}

func TestManyProcessesLeftBehindAllEnd(t *testing.T) {
	dir, g := attack(t, child.NewRunner(), privilege.User{}, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do setsid sleep 600 & echo $! > child$i; done\n", 20*time.Second)
	if e := entry(t, g); e.GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR || strings.Count(e.GetMessage(), "(") > 5 {
		t.Errorf("it says %v", e)
	}
	for i := 1; i <= 20; i++ {
		gone(t, filepath.Join(dir, "child"+strconv.Itoa(i)))
	}
}

// A partition with a user of its own cannot signal the agent. Without (a laptop), it can: the supervisor starts the agent
// again, which app/supervisor tests.
func TestAPartitionsUserCannotKillTheAgent(t *testing.T) {
	user, want := privilege.User{}, "exit 7"
	script := "exit 7\n" // as ourselves it would work: nothing is tried
	if os.Getuid() == 0 {
		user, script, want = privilege.Other("nobody", 65534, 65534), "kill -9 $PPID\n", "ermitted"
	}
	_, g := attack(t, child.NewRunner(), user, script, 20*time.Second)
	if e := entry(t, g); e.GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR || !strings.Contains(e.GetMessage(), want) {
		t.Errorf("it says %v", e)
	}
}

func TestAnExecutableIsNotRootAndCannotBecomeIt(t *testing.T) {
	script := "id -u; id -G; grep -E 'NoNewPrivs|CapEff' /proc/self/status | tr '\\t' ' '; cat /etc/shadow >/dev/null 2>&1 && echo READ; chroot / true 2>/dev/null && echo CHROOT; kill -0 1 2>/dev/null && echo KILL; exit 1\n"
	if os.Getuid() != 0 {
		_, g := attack(t, child.NewRunner(), privilege.User{}, script, 20*time.Second)
		if e := entry(t, g); !strings.HasPrefix(e.GetMessage(), "exit 1: "+strconv.Itoa(os.Getuid())) {
			t.Errorf("it says %v", e)
		}
		return
	}
	_, g := attack(t, child.NewRunner(), privilege.Other("nobody", 65534, 65534), script, 20*time.Second)
	if e := entry(t, g); e.GetMessage() != "exit 1: 65534\n65534\nCapEff: 0000000000000000\nNoNewPrivs: 1" {
		t.Errorf("it says %q", e.GetMessage())
	}
}
