package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

// TestKilledAtRandomMomentsItLosesNothing kills agent, services and the supervisor with -9 while services start, crash,
// change and stop. Every process of a service writes its PID first of all; so in the end the files tell every process
// that ever ran, to be compared with the exits and with what runs.
func TestKilledAtRandomMomentsItLosesNothing(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	work := t.TempDir()
	agent := filepath.Join(work, "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, "--agent", "--", agent)
	lives, dies := h.script("lives", "echo $$; exec sleep 1000"), h.script("dies", "echo $$; exit 7")
	// Watched processes of each name; one crashes by itself, one runs once.
	define := func(revision int) []supervise.Process {
		var all []supervise.Process
		for i := range 4 {
			p := h.service(fmt.Sprint("s", i), lives)
			p.Grace = 200 * time.Millisecond
			if i == 0 { // changes with every revision
				p.Revision = fmt.Sprint(revision)
			}
			if i == 1 && revision%2 == 1 { // comes and goes
				continue
			}
			if i == 2 {
				p.Path = dies
			}
			if i == 3 {
				p.Kind, p.Watched = supervise.Run, false
			}
			all = append(all, p)
		}
		return all
	}

	supervisorKills := 0
	for round := range rounds {
		wanted := define(random.IntN(6))
		applied := make(chan error, 1)
		go func() { applied <- h.client.Apply(h.ctx, "p0", wanted) }()
		for range random.IntN(3) {
			<-time.After(time.Duration(random.IntN(8000)) * time.Microsecond)
			if victims := h.marked(); len(victims) > 0 {
				_ = syscall.Kill(victims[random.IntN(len(victims))], syscall.SIGKILL)
			}
		}
		if random.IntN(2) == 0 {
			<-applied
		}
		<-time.After(time.Duration(random.IntN(8000)) * time.Microsecond)
		if random.IntN(4) > 0 {
			h.crash()
			supervisorKills++
			h.start()
		} else if err := h.client.Reexec(h.ctx); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	t.Logf("%d rounds, the supervisor killed %d times", rounds, supervisorKills)

	last := slices.DeleteFunc(define(2), func(p supervise.Process) bool { return p.Path == dies })
	for name, u := range h.apply(last...) { // so that nothing happens any more while we look
		if u.State == supervise.Delayed { // killed twice in a row
			if err := h.client.Hand(h.ctx, supervise.Key{Partition: "p0", Name: name}, supervise.Start); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := h.settled()
	exits := h.everyExit()
	running := map[string]bool{}
	for _, p := range last {
		u := after[p.Name]
		if p.Kind == supervise.Service && u.State != supervise.Running {
			t.Errorf("%s was lost: it is %s", p.Key, u.State)
		}
		running[fmt.Sprint(u.PID)] = u.State == supervise.Running
	}
	for i, e := range exits {
		if e.Seq != uint64(i+1) {
			t.Fatalf("exit %d has number %d", i+1, e.Seq)
		}
	}
	for _, p := range define(0) {
		data, _ := os.ReadFile(p.Log.Path)
		for _, pid := range strings.Fields(string(data)) {
			n := 0
			for _, e := range exits {
				if e.Key == p.Key && fmt.Sprint(e.PID) == pid {
					n++
				}
			}
			switch {
			case running[pid] && n != 0:
				t.Errorf("process %s of %s runs, and its exit is reported %d times", pid, p.Key, n)
			case !running[pid] && n != 1:
				t.Errorf("process %s of %s ended, its exit is reported %d times", pid, p.Key, n)
			}
		}
	}
	perKey := map[string]int{}
	for _, pid := range h.marked() {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue
		}
		for _, v := range strings.Split(string(data), "\x00") {
			if value, ok := strings.CutPrefix(v, "VOW_SUPERVISED="); ok {
				perKey[value[:strings.LastIndexByte(value, '/')]]++
			}
		}
	}
	for key, n := range perKey {
		if n > 1 {
			t.Errorf("%s runs %d times", key, n)
		}
	}
}

// everyExit returns all exits in the journal, up to the last one at the time of the call.
func (h *host) everyExit() []supervise.Exit {
	h.t.Helper()
	info, err := h.client.Info(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	if info.Dropped > 0 {
		h.t.Fatalf("%d exits were dropped", info.Dropped)
	}
	var all []supervise.Exit
	exits := h.subscribe()
	for uint64(len(all)) < info.Last {
		all = append(all, h.next(exits))
	}
	slices.SortFunc(all, func(a, b supervise.Exit) int { return int(a.Seq) - int(b.Seq) })
	return all
}
