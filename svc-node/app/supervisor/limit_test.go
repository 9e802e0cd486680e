package supervisor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// told holds where the machine does not permit a limit: the service runs all the same, and the supervisor says so.
func (h *host) told(unit supervisorapi.Status, limit string) {
	h.t.Helper()
	info, err := h.client.Info(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	want := "its limit of " + limit + " is not held: "
	if unit.State != supervise.Running || !strings.HasPrefix(unit.Problem, want) || !strings.Contains(info.Problem, "p0/"+unit.Process.Name+": "+want) {
		h.t.Errorf("without the permission it is %s and says %q, the supervisor says %q", unit.State, unit.Problem, info.Problem)
	}
	h.t.Logf("this machine does not permit it: %s", unit.Problem)
}

// groups are the cgroups of the host's supervisor, wherever they are mounted.
func (h *host) groups() []string {
	var groups []string
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.Contains(line, " - cgroup") {
			_ = filepath.WalkDir(fields[4], func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "vow-"+hashOf(h.dir)+".") {
					groups = append(groups, path)
				}
				return nil
			})
		}
	}
	return groups
}

func TestAServiceBeyondItsMemoryIsReportedAsThatOrTheMissingLimitIs(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	// Doubles a string until something gives; without a limit it stops at 256 MiB and stays.
	hungry := h.service("hungry", h.script("hungry", `
a=xxxxxxxxxxxxxxxx; while [ ${#a} -lt 268435456 ]; do a=$a$a; done; exec sleep 1000`))
	hungry.Limits.Memory = 64 << 20
	unit := h.apply(hungry)["hungry"]
	if unit.Problem != "" {
		h.told(unit, "memory")
		return
	}
	e := h.next(exits)
	if !e.Watched || e.Ending.Memory != 64<<20 || !strings.HasPrefix(e.Reason, "out of memory after ") || !strings.Contains(e.Reason, "its limit of 64 MiB") {
		t.Errorf("its end is reported as %q: %+v", e.Reason, e)
	}
	if len(h.groups()) == 0 {
		t.Error("it has no cgroup")
	}
	h.apply() // whatever is starting
	if left := h.groups(); len(left) > 0 {
		t.Errorf("cgroups %v are left", left)
	}
}

func TestALimitedServiceIsAdoptedWithItsGroupAndStoppedAsAWhole(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	fifo := filepath.Join(h.work, "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The daemon leaves group and session and forgets the marker.
	p := h.service("limited", h.script("limited", "setsid env -i sh -c 'echo $$ > "+fifo+"; exec sleep 1000' &\nexec sleep 1000"))
	p.Limits = supervise.Limits{Processes: 20, CPU: 500}
	unit := h.apply(p)["limited"]
	var daemon int
	if _, err := fmt.Sscan(read(t, fifo), &daemon); err != nil {
		t.Fatal(err)
	}
	h.crash()
	h.start()
	if after := h.settled()["limited"]; after.PID != unit.PID || after.Problem != unit.Problem {
		t.Errorf("it was %+v, is %+v", unit, after)
	}
	h.kill(unit.PID)
	h.next(exits)
	if unit.Problem != "" {
		if strings.Contains(unit.Problem, "processes") {
			h.told(h.settled()["limited"], "CPU")
			_ = syscall.Kill(daemon, syscall.SIGKILL) // nothing but a group can find it
			_ = syscall.Kill(h.daemonOf(fifo), syscall.SIGKILL)
			return
		}
	}
	if second := h.daemonOf(fifo); second == daemon {
		t.Errorf("the same daemon %d answers", daemon)
	}
	if alive(daemon) {
		t.Errorf("daemon %d survives its service", daemon)
	}
}

// daemonOf reads the PID that the next daemon writes.
func (h *host) daemonOf(fifo string) (pid int) {
	h.t.Helper()
	if _, err := fmt.Sscan(read(h.t, fifo), &pid); err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func TestAForkBombIsBoundedAndStopsWithItsService(t *testing.T) {
	h := newHost(t)
	const most, tries = 15, 60 // a tame bomb: without a limit it has 60 processes
	bomb := h.service("bomb", "/bin/sh")
	bomb.Dir, bomb.Argv = "/", []string{"sh", "-c", fmt.Sprintf("n=0; while [ $n -lt %d ]; do sleep 1000 & n=$((n+1)); done; echo all; exec sleep 1000", tries)}
	bomb.Limits.Processes = most
	if os.Getuid() == 0 { // a user of its own, that the limit of a user can be used for where there is no cgroup
		bomb.Account = &supervise.Account{UID: 64999, GID: 64999}
		bomb.Log.Path = filepath.Join(h.openTo(bomb.Account), "bomb.log")
	}
	exits := h.subscribe()
	unit := h.apply(bomb)["bomb"]
	bounded := unit.Problem == "" || os.Getuid() == 0
	if !bounded {
		h.told(unit, "processes")
	}
	// It either ends, since the shell cannot fork, or says that it has all.
	for seen := 0; bounded; {
		if n := len(h.marked()); n > most {
			t.Fatalf("%d processes run, the limit is %d", n, most)
		}
		select {
		case e := <-exits:
			if e.Ending.Code == 0 || !e.Watched {
				t.Errorf("it ended with %+v", e)
			}
			seen++
		default:
		}
		if strings.Contains(read(t, bomb.Log.Path), "all") {
			t.Fatal("the bomb has all its processes")
		}
		if seen > 0 {
			break
		}
		if _, err := h.client.Info(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if bounded && !strings.Contains(strings.ToLower(read(t, bomb.Log.Path)), "fork") {
		t.Errorf("its output is %q", read(t, bomb.Log.Path))
	}
	h.apply()
	h.gone(h.marked()...) // killed, and in the kernel's hands
}

func TestOpenFilesAreLimitedWithoutACgroup(t *testing.T) {
	h := newHost(t)
	p := h.service("files", h.script("files", "ulimit -Sn; ulimit -Hn; exec sleep 1000"))
	p.Limits.OpenFiles = 77
	free := h.service("free", h.script("free", "ulimit -Sn; ulimit -Hn; exec sleep 1000"))
	h.apply(p, free)
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	if got := h.says(p, 2); got != "77\n77\n" {
		t.Errorf("limited to 77 it may have %q", got)
	}
	if got := h.says(free, 2); !strings.HasSuffix(got, fmt.Sprintf("\n%d\n", own.Max)) || strings.HasPrefix(got, "77") {
		t.Errorf("without a limit it may have %q, the supervisor %d", got, own.Max)
	}
}

// says waits until the output of a process has so many lines.
func (h *host) says(p supervise.Process, lines int) string {
	h.t.Helper()
	for {
		if out := read(h.t, p.Log.Path); strings.Count(out, "\n") >= lines {
			return out
		}
		if _, err := h.client.Info(h.ctx); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestADaemonThatForksTwiceAndItsParentLeavesIsToldToStayInTheForeground(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	fifo := filepath.Join(h.work, "pid")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	path := h.script("daemon", "setsid sh -c 'sh -c \"exec sleep 1000\" & echo $$ $! > "+fifo+"; wait' &\nread x < "+fifo+".go; exit 0")
	if err := syscall.Mkfifo(fifo+".go", 0o600); err != nil {
		t.Fatal(err)
	}
	h.apply(h.service("daemon", path))
	var daemon, worker int
	if _, err := fmt.Sscan(read(t, fifo), &daemon, &worker); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fifo+".go", []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	e := h.next(exits)
	if !e.Watched || e.Ending.Left != 1 || !strings.HasPrefix(e.Reason, "exit 0 after ") ||
		!strings.HasSuffix(e.Reason, "; a process that it left in the background was killed: a service must stay in the foreground") {
		t.Errorf("its end is reported as %q: %+v", e.Reason, e)
	}
	h.gone(daemon, worker)
}

// gone waits until none of the processes is there.
func (h *host) gone(pids ...int) {
	h.t.Helper()
	for _, pid := range pids {
		for alive(pid) {
			if _, err := h.client.Info(h.ctx); err != nil { // bounded by the context
				h.t.Fatalf("process %d is left: %v", pid, err)
			}
		}
	}
}

func TestAFullDiskKeepsNoServiceDown(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: a journal that cannot be written stands for the full disk, see TestAWriteThatFailsIsToldAndRepairedByTheNext in internal/supervisor")
		return
	}
	h := &host{t: t, ctx: t.Context(), dir: t.TempDir(), work: t.TempDir()}
	if err := syscall.Mount("tmpfs", h.dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Logf("root may not mount here (%v): see TestAWriteThatFailsIsToldAndRepairedByTheNext in internal/supervisor", err)
		return
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	disk := h.dir
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h = newHostIn(t, filepath.Join(disk, "state"), []string{executable, "vow-supervisor"})
	exits := h.subscribe()
	before := h.apply(h.sleeper("web"))["web"]

	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = filler.Write(make([]byte, 512))
	}
	_ = filler.Close()
	pid := before.PID
	for h.problem() == "" { // until the journal needs another page
		h.kill(pid)
		if e := h.next(exits); e.PID != pid {
			t.Fatalf("the end of %d is reported as %+v", pid, e)
		}
		if err := h.client.Hand(h.ctx, before.Process.Key, supervise.Start); err != nil { // without the growing delay
			t.Fatal(err)
		}
		u := h.settled()["web"]
		if u.State != supervise.Running || u.PID == pid {
			t.Fatalf("on a full disk it is %+v", u)
		}
		pid = u.PID
	}
	if p := h.problem(); p != "cannot write the journal: no space left on device" {
		t.Errorf("the supervisor says %q", p)
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	if err := h.client.Hand(h.ctx, before.Process.Key, supervise.Restart); err != nil {
		t.Fatal(err)
	}
	after := h.settled()["web"]
	if p := h.problem(); p != "" {
		t.Errorf("with room again the supervisor says %q", p)
	}
	h.crash() // and the journal is whole
	h.start()
	if u := h.settled()["web"]; u.PID != after.PID {
		t.Errorf("it was %+v, is %+v", after, u)
	}
}

func (h *host) problem() string {
	h.t.Helper()
	info, err := h.client.Info(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return info.Problem
}

func TestAShutdownStopsByRank(t *testing.T) {
	h := newHost(t)
	order := filepath.Join(h.work, "order")
	ready := filepath.Join(h.work, "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	path := h.script("ranked", `trap 'echo $(basename $0) $1 >> `+order+`; exit 0' TERM; echo > `+ready+`; while :; do sleep 0.01; done`)
	for rank, partition := range []string{"front", "store", "disk"} {
		p := h.service("s", path)
		p.Partition, p.Rank, p.Argv = partition, rank, []string{path, partition}
		if err := h.client.Apply(h.ctx, partition, []supervise.Process{p}); err != nil {
			t.Fatal(err)
		}
		read(t, ready)
	}
	if err := h.client.Shutdown(h.ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	h.cmd = nil
	if got := read(t, order); got != "ranked front\nranked store\nranked disk\n" {
		t.Errorf("they stopped in the order %q", got)
	}
}

// A service that ignores TERM holds a shutdown up for its grace time, and no longer.
func TestAShutdownIsBoundedByTheGraceTime(t *testing.T) {
	h := newHost(t)
	ready := filepath.Join(h.work, "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	deaf := h.service("deaf", h.script("deaf", "trap '' TERM; echo > "+ready+"; while :; do sleep 1000; done"))
	deaf.Grace = 50 * time.Millisecond
	h.apply(deaf)
	read(t, ready)
	began := time.Now()
	if err := h.client.Shutdown(h.ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < deaf.Grace || took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	h.cmd = nil
}

func TestTheSupervisorsPrecedenceIsNotThatOfItsServices(t *testing.T) {
	h := newHost(t)
	priority := func(pid int) string {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		nice := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[16]
		return nice + " " + strings.TrimSpace(read(t, fmt.Sprintf("/proc/%d/oom_score_adj", pid)))
	}
	mine := priority(os.Getpid())
	for _, when := range []string{"at first", "after a re-execution"} {
		web := h.sleeper("web")
		web.Revision = when
		if got := priority(h.apply(web)["web"].PID); got != mine {
			t.Errorf("%s a service has nice and OOM score %s, started by %s", when, got, mine)
		}
		if got := priority(h.cmd.Process.Pid); os.Getuid() == 0 && got == mine {
			t.Errorf("%s root's supervisor has %s like everybody", when, got)
		}
		if err := h.client.Reexec(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
}
