package supervisor_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

func TestASupervisorKilledWithNineIsReplacedWithoutTouchingAService(t *testing.T) {
	h := newHost(t)
	before := h.apply(h.sleeper("a"), h.sleeper("b"), h.sleeper("c"))
	h.crash()
	if left := h.marked(); len(left) != 3 {
		t.Fatalf("processes %v live on, want 3", left)
	}
	h.kill(before["b"].PID) // while nobody looks
	h.start()
	after := h.settled()
	for _, name := range []string{"a", "c"} {
		if after[name].PID != before[name].PID || after[name].State != supervise.Running || !after[name].Adopted {
			t.Errorf("%s was %+v, is %+v", name, before[name], after[name])
		}
	}
	exits := h.subscribe()
	if e := h.next(exits); e.Name != "b" || !e.Ending.Unknown || !e.Watched || e.PID != before["b"].PID {
		t.Errorf("the unseen exit is reported as %+v", e)
	}
	if after["b"].State != supervise.Running || after["b"].PID == before["b"].PID {
		t.Errorf("b is %+v", after["b"])
	}
	if left := h.marked(); len(left) != 3 {
		t.Errorf("processes %v run, want 3", left)
	}

	h.kill(after["a"].PID) // an adopted one
	if e := h.next(exits); e.Name != "a" || !e.Ending.Unknown || !e.Watched || !strings.Contains(e.Reason, "unknown: adopted") {
		t.Errorf("the adopted process's exit is reported as %+v", e)
	}
	if a := h.settled()["a"]; a.State != supervise.Running || a.Adopted {
		t.Errorf("a is %+v", a)
	}
	// Adopting and applying the same again changes nothing.
	if c := h.apply(h.sleeper("a"), h.sleeper("b"), h.sleeper("c"))["c"]; c.PID != before["c"].PID {
		t.Errorf("c was restarted: %+v", c)
	}
}

func TestALostJournalDoesNotDoubleAService(t *testing.T) {
	h := newHost(t)
	before := h.apply(h.sleeper("a"), h.sleeper("b"))
	h.crash()
	if err := os.Remove(filepath.Join(h.dir, "journal")); err != nil {
		t.Fatal(err)
	}
	h.start()
	changed := h.sleeper("b")
	changed.Revision = "2"
	after := h.apply(h.sleeper("a"), changed)
	if after["a"].PID != before["a"].PID {
		t.Errorf("a was %d, is %+v", before["a"].PID, after["a"])
	}
	if after["b"].PID == before["b"].PID || after["b"].State != supervise.Running {
		t.Errorf("b, whose definition changed, is %+v", after["b"])
	}
	if left := h.marked(); len(left) != 2 {
		t.Errorf("processes %v run, want 2", left)
	}
}

func TestReexecutionKeepsEveryChildAndLearnsHowTheyEnd(t *testing.T) {
	h := newHost(t)
	exits := h.subscribe()
	before := h.apply(h.sleeper("a"), h.sleeper("b"))
	if err := h.client.Reexec(h.ctx); err != nil {
		t.Fatal(err)
	}
	info, err := h.client.Info(h.ctx)
	if err != nil || info.PID != h.cmd.Process.Pid {
		t.Fatalf("the supervisor is %+v, %v", info, err)
	}
	after := h.settled()
	for name := range before {
		if after[name].PID != before[name].PID || after[name].Adopted {
			t.Errorf("%s was %+v, is %+v", name, before[name], after[name])
		}
	}
	h.kill(after["a"].PID)
	if e := h.next(exits); e.Ending.Signal != 9 {
		t.Errorf("the end after a re-execution is %+v", e)
	}
	if err := h.cmd.Process.Signal(syscall.SIGUSR2); err != nil { // by signal as well
		t.Fatal(err)
	}
	h.kill(h.settled()["b"].PID)
	if e := h.next(exits); e.Name != "b" || e.Ending.Signal != 9 {
		t.Errorf("the end around a re-execution is %+v", e)
	}
}

func TestAReexecutionWithoutAnExecutableIsRefusedAndOneWithAnotherWorks(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	install := func() {
		if err := os.WriteFile(program+".new", []byte(read(t, executable)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	install()
	h := newHostOf(t, []string{program, "vow-supervisor"})
	before := h.apply(h.sleeper("web"))["web"]
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := h.client.Reexec(h.ctx); err == nil || !strings.Contains(err.Error(), program+" is not there or not executable") {
		t.Errorf("without an executable it answers %v", err)
	}
	h.kill(before.PID) // stubs of a deleted executable work
	h.next(h.subscribe())
	middle := h.settled()["web"]
	if middle.State != supervise.Running {
		t.Errorf("it is %+v", middle)
	}
	install()
	if err := h.client.Reexec(h.ctx); err != nil {
		t.Fatal(err)
	}
	if after := h.settled()["web"]; after.PID != middle.PID || after.Adopted {
		t.Errorf("it was %+v, is %+v", middle, after)
	}
}

func TestTwoSupervisorsNeverShareAFolder(t *testing.T) {
	h := newHost(t)
	h.apply(h.sleeper("a"))
	first := h.cmd
	second := &host{t: t, ctx: h.ctx, dir: h.dir, client: h.client, program: h.program}
	second.start() // Dial is answered by the first
	if err := second.cmd.Wait(); err == nil || second.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("the second supervisor ended with %v", err)
	}
	if out := second.output.String(); !strings.Contains(out, "another supervisor is running on it") {
		t.Errorf("the second supervisor said %q", out)
	}
	if info, err := h.client.Info(h.ctx); err != nil || info.PID != first.Process.Pid {
		t.Errorf("the first supervisor is %+v, %v", info, err)
	}
}

func TestAfterAShutdownTheNextSupervisorStartsWhatWasWanted(t *testing.T) {
	h := newHost(t)
	h.apply(h.sleeper("web"))
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if left := h.marked(); len(left) > 0 {
		t.Fatalf("processes %v are left", left)
	}
	h.start()
	if u := h.settled()["web"]; u.State != supervise.Running {
		t.Errorf("it is %+v", u)
	}
}
