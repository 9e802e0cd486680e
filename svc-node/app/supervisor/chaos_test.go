package supervisor_test

import (
	"cmp"
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

// chaos is how long and how often a test kills at random.
type chaos struct {
	moments int // kills of the supervisor, and of the agent
	bound   time.Duration
}

// chaosOf is 500 moments, in CI as many of them as a minute takes; 60 show a mistake to whoever is changing something.
func chaosOf() chaos {
	switch {
	case os.Getenv("VOW_SOAK") != "":
		return chaos{500, 30 * time.Minute}
	case testing.Short():
		return chaos{20, 10 * time.Second}
	case os.Getenv("CI") != "":
		return chaos{500, time.Minute}
	}
	return chaos{60, time.Minute}
}

// TestKilledAtRandomMomentsItLosesNothing kills agent, services and the supervisor with -9 while services start, crash,
// change and stop. Every process writes its marker first of all, which has its incarnation; so in the end the files tell
// every process that ever ran, to be compared with the exits and with what runs.
func TestKilledAtRandomMomentsItLosesNothing(t *testing.T) {
	plan := chaosOf()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	moment := func() { <-time.After(time.Duration(random.IntN(8000)) * time.Microsecond) }

	agent := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\necho $VOW_SUPERVISED; exec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHostOf(t, []string{build(t)}, "--agent", "--", agent)
	lives, dies := h.script("lives", "echo $VOW_SUPERVISED; exec sleep 1000"), h.script("dies", "echo $VOW_SUPERVISED; exit 7")
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
	// again starts what waits for its growing delay, so that there is something to kill.
	again := func(key supervise.Key) { _ = h.client.Hand(h.ctx, key, supervise.Start) }

	exits := &history{h: h}
	supervisors, agents, services, leaps := 0, 0, 0, 0
	began := time.Now()
	for (supervisors < plan.moments || agents < plan.moments) && time.Since(began) < plan.bound {
		wanted := define(random.IntN(6))
		applied := make(chan error, 1)
		go func() { applied <- h.client.Apply(h.ctx, "p0", wanted) }()
		again(supervise.AgentKey())
		moment()
		if pid := h.agent(); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
			agents++
		}
		for range random.IntN(3) {
			moment()
			if victims := h.marked(); len(victims) > 0 && syscall.Kill(victims[random.IntN(len(victims))], syscall.SIGKILL) == nil {
				services++
			}
		}
		again(supervise.Key{Partition: "p0", Name: fmt.Sprint("s", random.IntN(4))})
		if random.IntN(2) == 0 {
			<-applied
		}
		moment()
		h.crash()
		supervisors++
		h.start()
		if random.IntN(8) == 0 {
			leaps++
			if err := h.client.Reexec(h.ctx); err != nil {
				t.Fatalf("moment %d: %v", supervisors, err)
			}
		}
		if supervisors%50 == 0 {
			exits.read() // the journal keeps 4,096
		}
	}
	t.Logf("killed in %s: the supervisor %d times, the agent %d times, others %d times; re-executed %d times",
		time.Since(began).Round(time.Second), supervisors, agents, services, leaps)

	last := slices.DeleteFunc(define(2), func(p supervise.Process) bool { return p.Path == dies })
	for name, u := range h.apply(last...) { // so that nothing happens any more while we look
		if u.State == supervise.Delayed {
			again(supervise.Key{Partition: "p0", Name: name})
		}
	}
	again(supervise.AgentKey())
	if _, err := h.client.Settle(h.ctx, ""); err != nil {
		t.Fatal(err)
	}
	after := h.settled()
	exits.read()
	running := map[uint64]bool{}
	for _, p := range last {
		u := after[p.Name]
		if p.Kind == supervise.Service && u.State != supervise.Running {
			t.Errorf("%s was lost: it is %s", p.Key, u.State)
		}
		running[u.Incarnation] = u.State == supervise.Running
	}
	for i, e := range exits.all {
		if e.Seq != uint64(i+1) {
			t.Fatalf("exit %d has number %d", i+1, e.Seq)
		}
	}
	reported := map[uint64]int{}
	for _, e := range exits.all {
		reported[e.Incarnation]++
	}
	ran := 0
	check := func(log string) {
		data, _ := os.ReadFile(log)
		for line := range strings.Lines(string(data)) {
			var incarnation uint64
			if _, err := fmt.Sscanf(line[strings.LastIndexByte(line, '/')+1:], "%d.", &incarnation); err != nil {
				t.Fatalf("a process says %q: %v", line, err)
			}
			ran++
			switch n := reported[incarnation]; {
			case running[incarnation] && n != 0:
				t.Errorf("process %d of %s runs, and its exit is reported %d times", incarnation, log, n)
			case !running[incarnation] && n != 1:
				t.Errorf("process %d of %s ended, its exit is reported %d times", incarnation, log, n)
			}
		}
	}
	for _, p := range define(0) {
		check(p.Log.Path)
	}
	units, err := h.client.List(h.ctx, "")
	if err != nil || units[0].Process.Key != supervise.AgentKey() || units[0].State != supervise.Running {
		t.Fatalf("the agent is %+v, %v", units, err)
	}
	running[units[0].Incarnation] = true
	check(filepath.Join(h.dir, "agent.log"))
	t.Logf("%d processes ran, %d exits are reported", ran, len(exits.all))

	perKey := map[string]int{}
	for _, pid := range h.marked() {
		marker := markerOf(pid)
		perKey[marker[:strings.LastIndexByte(marker, '/')+1]]++
	}
	for key, n := range perKey {
		if n > 1 {
			t.Errorf("%s runs %d times", key, n)
		}
	}
}

// agent is the process of the agent, 0 if there is none.
func (h *host) agent() int {
	for _, pid := range h.marked() {
		if strings.HasPrefix(markerOf(pid), hashOf(h.dir)+"//agent/") {
			return pid
		}
	}
	return 0
}

func markerOf(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for variable := range strings.SplitSeq(string(data), "\x00") {
		if value, ok := strings.CutPrefix(variable, "VOW_SUPERVISED="); ok {
			return value
		}
	}
	return "/"
}

// history reads the exits as an agent does: what it has read it acknowledges.
type history struct {
	h   *host
	all []supervise.Exit
}

// read takes all exits up to the last one at the time of the call.
func (y *history) read() {
	h := y.h
	h.t.Helper()
	info, err := h.client.Info(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	if info.Dropped > 0 {
		h.t.Fatalf("%d exits were dropped", info.Dropped)
	}
	exits := h.subscribe()
	for uint64(len(y.all)) < info.Last {
		y.all = append(y.all, h.next(exits))
	}
	slices.SortFunc(y.all, func(a, b supervise.Exit) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := h.client.Ack(h.ctx, info.Last); err != nil {
		h.t.Fatal(err)
	}
}
