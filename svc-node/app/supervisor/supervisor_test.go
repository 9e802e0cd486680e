package supervisor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

func hashOf(dir string) string {
	real, _ := filepath.EvalSymlinks(dir)
	return fmt.Sprintf("%016x", backoff.Hash(real))
}

func TestAKilledServiceIsReplacedAtOnceAndReportedOnce(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	before := h.apply(h.sleeper("web"))["web"]
	h.kill(before.PID)
	e := h.next(exits)
	if e.Key.String() != "p0/web" || e.PID != before.PID || !e.Watched || e.Asked || e.Ending.Signal != 9 || e.Seq != 1 {
		t.Errorf("the exit is reported as %+v", e)
	}
	if !strings.HasPrefix(e.Reason, "killed by SIGKILL after ") {
		t.Errorf("the reason is %q", e.Reason)
	}
	after := h.settled()["web"]
	if after.State != supervise.Running || after.PID == before.PID || after.Restarts != 1 {
		t.Errorf("the replacement is %+v", after)
	}
	if left := h.marked(); !slices.Equal(left, []int{after.PID}) {
		t.Errorf("processes %v run, want %d only", left, after.PID)
	}

	// Unacknowledged, it is delivered to whoever asks next; acknowledged, never again.
	again := h.subscribe()
	if e := h.next(again); e.Seq != 1 {
		t.Errorf("the exit is delivered again as %d", e.Seq)
	}
	if err := h.client.Ack(h.ctx, 1); err != nil {
		t.Fatal(err)
	}
	h.kill(after.PID)
	if e := h.next(h.subscribe()); e.Seq != 2 {
		t.Errorf("after the acknowledgement exit %d is delivered", e.Seq)
	}
}

func TestTheAgentIsRestartedWithoutTouchingAService(t *testing.T) {
	work := t.TempDir()
	agent := filepath.Join(work, "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, "--agent", "--", agent, "--flag")
	exits := h.subscribe()
	before := h.apply(h.sleeper("web"))["web"]
	agentUnit := func() supervisorapi.Status {
		units, err := h.client.Settle(h.ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(units, func(u supervisorapi.Status) bool { return u.Process.Key == supervise.AgentKey() })
		return units[i]
	}
	h.kill(agentUnit().PID)
	if e := h.next(exits); e.Key != supervise.AgentKey() || e.Watched {
		t.Errorf("the agent's exit is %+v", e)
	}
	if a := agentUnit(); a.State != supervise.Running || a.Restarts != 1 {
		t.Errorf("the agent is %+v", a)
	}
	if after := h.settled()["web"]; after.PID != before.PID {
		t.Errorf("the service was %d, is %d", before.PID, after.PID)
	}
}

func TestAServiceThatIgnoresTermIsKilledWithItsGroupAfterItsGraceTime(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	ready := filepath.Join(h.work, "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	stubborn := h.service("stubborn", h.script("stubborn", "trap '' TERM; sleep 1000 & echo > "+ready+"; while :; do wait; sleep 1; done"))
	stubborn.Grace = 100 * time.Millisecond
	h.apply(stubborn)
	read(t, ready) // it ignores TERM from here on
	h.apply()
	e := h.next(exits)
	if !e.Asked || e.Watched || e.Ending.Signal != 9 || e.Uptime < 100*time.Millisecond {
		t.Errorf("the end is %+v", e)
	}
	h.gone(h.marked()...) // its group is killed, and in the kernel's hands
}

func TestAStartThatFailsSaysWhatToRepairAndIsTriedAgain(t *testing.T) {
	h := newHost(t)
	path := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(h.work, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(h.work, "link")
	if err := os.Symlink("/nowhere/program", link); err != nil {
		t.Fatal(err)
	}
	noDir := h.sleeper("nodir")
	noDir.Dir = "/nowhere"
	cases := map[string]struct {
		process supervise.Process
		want    string
	}{
		"missing":     {h.service("missing", "/nowhere/program"), "/nowhere/program: no such file or directory"},
		"link":        {h.service("link", link), link + " is a symbolic link to /nowhere/program, which does not exist"},
		"interpreter": {h.service("interpreter", path("i", "#!/opt/python9 -u\n", 0o755)), "/opt/python9, does not exist (its first line)"},
		"return":      {h.service("return", path("r", "#!/bin/sh\r\ntrue\r\n", 0o755)), "ends with a carriage return"},
		"mode":        {h.service("mode", path("m", "#!/bin/sh\n", 0o644)), "is not executable (mode 0644)"},
		"garbage":     {h.service("garbage", path("g", "hello\n", 0o755)), "is neither a program for this machine nor a script that begins with #!"},
		"folder":      {h.service("folder", h.work), "is a folder"},
		"nodir":       {noDir, "its working directory /nowhere: no such file or directory"},
	}
	var all []supervise.Process
	for _, c := range cases {
		all = append(all, c.process)
	}
	exits := h.subscribe()
	for name, unit := range h.apply(all...) {
		if !strings.Contains(unit.Last, cases[name].want) || !strings.HasPrefix(unit.Last, "cannot start it") {
			t.Errorf("%s: %q does not say %q", name, unit.Last, cases[name].want)
		}
		if unit.State != supervise.Delayed || unit.Failures < 2 || unit.Due.IsZero() {
			t.Errorf("%s is %s after %d failures, next try %v", name, unit.State, unit.Failures, unit.Due)
		}
	}
	if e := h.next(exits); !e.Watched || e.Ending.Failed == "" || e.Uptime != 0 {
		t.Errorf("a failed start is reported as %+v", e)
	}

	// Repaired, it runs without being told.
	path("i", "#!/bin/sh\nexec sleep 1000\n", 0o755)
	for h.list()["interpreter"].State != supervise.Running {
		h.next(exits) // the others go on failing, which is our clock
	}
}

func (h *host) list() map[string]supervisorapi.Status {
	h.t.Helper()
	units, err := h.client.List(h.ctx, "p0")
	if err != nil {
		h.t.Fatal(err)
	}
	byName := map[string]supervisorapi.Status{}
	for _, u := range units {
		byName[u.Process.Name] = u
	}
	return byName
}

func TestARunRunsOncePerChange(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	once := h.service("once", h.script("once", "echo ran; exit 3"))
	once.Kind, once.Watched = supervise.Run, false
	h.apply(once)
	if e := h.next(exits); e.Watched || e.Ending.Code != 3 || !strings.HasPrefix(e.Reason, "exit 3 after ") {
		t.Errorf("the end of a run is %+v", e)
	}
	if u := h.settled()["once"]; u.State != supervise.Done {
		t.Errorf("the run is %+v", u)
	}
	h.apply(once) // the same
	h.crash()
	h.start() // not a boot
	once.Revision = "2"
	h.apply(once)
	if e := h.next(exits); e.Seq != 2 {
		t.Errorf("the changed run ended as %+v", e)
	}
	if out := read(t, once.Log.Path); out != "ran\nran\n" {
		t.Errorf("it wrote %q", out)
	}
}

func TestADaemonThatForksTwiceIsReaped(t *testing.T) {
	h := newHost(t)
	fifo := filepath.Join(h.work, "pid")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// A new session each time: the daemon leaves the service's group, its parent dies, the service stays.
	path := h.script("daemon", "(setsid sh -c 'echo $$ > "+fifo+"; exec sleep 1000' &)\nexec sleep 1000")
	h.apply(h.service("daemon", path))
	var pid int
	if _, err := fmt.Sscan(read(t, fifo), &pid); err != nil {
		t.Fatal(err)
	}
	h.kill(pid)
	for orphans := uint64(0); orphans == 0; {
		info, err := h.client.Info(h.ctx) // each a round trip through the loop that reaps; bounded by the context
		if err != nil {
			t.Fatalf("the orphan is not reaped: %v", err)
		}
		orphans = info.Orphans
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		t.Errorf("the orphan is still there: %s", stat)
	}
	h.apply()
	if left := h.marked(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestHandsActUntilTheNextApply(t *testing.T) {
	h := newHost(t)
	web := h.sleeper("web")
	first := h.apply(web)["web"]
	if err := h.client.Hand(h.ctx, web.Key, supervise.Stop); err != nil {
		t.Fatal(err)
	}
	if u := h.settled()["web"]; u.State != supervise.Stopped || u.Want != supervise.Down {
		t.Errorf("stopped by hand it is %+v", u)
	}
	if err := h.client.Hand(h.ctx, web.Key, supervise.Start); err != nil {
		t.Fatal(err)
	}
	if err := h.client.Hand(h.ctx, web.Key, supervise.Restart); err != nil {
		t.Fatal(err)
	}
	second := h.settled()["web"]
	if second.State != supervise.Running || second.PID == first.PID {
		t.Errorf("restarted by hand it is %+v", second)
	}
	if err := h.client.Hand(h.ctx, web.Key, supervise.Stop); err != nil {
		t.Fatal(err)
	}
	if u := h.apply(web)["web"]; u.State != supervise.Running {
		t.Errorf("after an apply it is %+v", u)
	}
	err := h.client.Hand(h.ctx, supervise.Key{Partition: "p0", Name: "wbe"}, supervise.Start)
	if err == nil || !strings.Contains(err.Error(), "cannot start p0/wbe: no such process") {
		t.Errorf("a typing error gives %v", err)
	}
}

func TestABadDefinitionIsRefusedAndChangesNothing(t *testing.T) {
	h := newHost(t)
	before := h.apply(h.sleeper("web"))["web"]
	bad := h.sleeper("bad")
	bad.Path = "bin/web"
	err := h.client.Apply(h.ctx, "p0", []supervise.Process{bad})
	if err == nil || !strings.Contains(err.Error(), `cannot apply p0/bad: path "bin/web" is not absolute`) {
		t.Errorf("it is refused with %v", err)
	}
	if after := h.settled(); len(after) != 1 || after["web"].PID != before.PID {
		t.Errorf("afterwards there is %+v", after)
	}
}

func TestOutputIsAppendedAndRotatedByRenamingAtAStart(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	talker := h.service("talker", h.script("talker", "echo $0 $VOW_X; echo oops >&2; exec sleep 1000"))
	talker.Env = append(talker.Env, "VOW_X=y")
	talker.Log.MaxBytes, talker.Log.Keep = 10, 2
	ready := func() string {
		for {
			if data, err := os.ReadFile(talker.Log.Path); err == nil && strings.HasSuffix(string(data), "oops\n") {
				return string(data)
			}
			if _, err := h.client.Info(h.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.apply(talker)
	first := ready()
	if want := talker.Path + " y\noops\n"; first != want {
		t.Errorf("it wrote %q, want %q", first, want)
	}
	h.kill(h.settled()["talker"].PID)
	h.next(exits)
	h.settled()
	ready()
	if old := read(t, talker.Log.Path+".1"); old != first {
		t.Errorf("the rotated file has %q", old)
	}
}

func TestRootStartsAServiceAsItsUserAndOthersAreToldThatTheyMayNot(t *testing.T) {
	h := newHost(t)
	p := h.service("user", "/bin/sh")
	p.Argv, p.Dir = []string{"sh", "-c", "echo $(id -u) $(id -g) $(id -G) $(pwd); exec sleep 1000"}, "/"
	p.Account = &supervise.Account{UID: 65534, GID: 65533, Groups: []uint32{65533, 4}}
	p.Log.Path = filepath.Join(h.openTo(p.Account), "user.log")
	unit := h.apply(p)["user"]
	if os.Getuid() != 0 {
		if !strings.Contains(unit.Last, "only root may start processes of others") {
			t.Errorf("its last end is %q", unit.Last)
		}
		return
	}
	for read(t, p.Log.Path) == "" {
		if _, err := h.client.Info(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if out := read(t, p.Log.Path); out != "65534 65533 65533 4 /\n" {
		t.Errorf("it runs as %q", out)
	}
	// As another user's process it is adopted all the same.
	h.crash()
	h.start()
	if after := h.settled()["user"]; after.PID != unit.PID {
		t.Errorf("it was %d, is %+v", unit.PID, after)
	}
}

// openTo is a folder that a user may write in: logs are opened as the user of their process.
func (h *host) openTo(account *supervise.Account) string {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "vow-user")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		if err := os.Chown(dir, int(account.UID), int(account.GID)); err != nil {
			h.t.Fatal(err)
		}
	}
	return dir
}

func TestABigEnvironmentArrives(t *testing.T) {
	h := newHost(t)
	p := h.service("big", "/bin/sh")
	p.Argv = []string{"sh", "-c", "printf %s \"$BIG\" | wc -c; exec sleep 1000"}
	p.Env = append(p.Env, "BIG="+strings.Repeat("x", 100_000))
	if u := h.apply(p)["big"]; u.State != supervise.Running {
		t.Fatalf("it is %s: %s", u.State, u.Last)
	}
	for read(t, p.Log.Path) == "" {
		if _, err := h.client.Info(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if out := read(t, p.Log.Path); out != "100000\n" {
		t.Errorf("of 100000 bytes %q arrive", out)
	}
}
