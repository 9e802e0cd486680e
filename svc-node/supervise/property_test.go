package supervise_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/svc-node/supervise"
)

func TestWhateverHappensWhatIsWantedRunsOnceAndEveryEndIsReported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		script := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "script")
		if problem := play(script); problem != "" {
			t.Fatal(problem)
		}
	})
}

func FuzzScript(f *testing.F) {
	f.Add([]byte{0, 3, 1, 9, 0, 2, 8, 8, 5, 1, 7, 200})
	f.Add([]byte{0, 255, 9, 1, 0, 7, 9, 2, 0, 0, 9, 3, 2, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if problem := play(script); problem != "" {
			t.Fatal(problem)
		}
	})
}

// play reads a script of bytes as a story of applies, deaths, hands and crashes, and compares the end of it with a dumb
// model: a map of what is wanted. It returns the first broken promise.
func play(script []byte) string {
	w := newWorld()
	wanted := map[supervise.Key]supervise.Process{}
	down := map[supervise.Key]bool{}
	next := func() int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b)
	}
	for len(script) > 0 && w.problem == "" {
		switch next() % 8 {
		case 0: // apply: four bits choose the processes, the next byte their revisions
			partition := fmt.Sprint("p", next()%2)
			choice, revision := next(), next()
			var processes []supervise.Process
			for i := range 3 {
				if choice>>i&1 == 1 {
					processes = append(processes, definition(partition, i, revision>>(2*i)&3))
				}
			}
			maps.DeleteFunc(wanted, func(k supervise.Key, _ supervise.Process) bool { return k.Partition == partition })
			maps.DeleteFunc(down, func(k supervise.Key, _ bool) bool { return k.Partition == partition })
			for _, p := range processes {
				wanted[p.Key] = p
			}
			w.send(supervise.Apply{Partition: partition, Processes: processes})
		case 1, 2: // a process dies by itself
			if p := pick(w, next()); p != nil {
				before, unit := len(w.exits), must(w.set.Unit(p.definition.Key))
				w.die(p, supervise.Ending{Code: next() % 3})
				checkReport(w, p, unit, w.exits[before:])
			}
		case 3:
			w.now = w.now.Add(time.Duration(next()) * 100 * time.Millisecond)
			w.send(supervise.Tick{})
		case 4:
			keys := sorted(wanted)
			if len(keys) == 0 {
				continue
			}
			key := keys[next()%len(keys)]
			action := []supervise.Action{supervise.Start, supervise.Stop, supervise.Restart}[next()%3]
			down[key] = action == supervise.Stop
			w.send(supervise.Hand{Key: key, Do: action})
		case 5: // the supervisor dies now, or after a few more effects
			if after := next() % 6; after > 0 {
				w.crashAfter = after
			} else {
				w.crash()
			}
		case 6: // a late report of an incarnation long gone
			for _, u := range w.set.Units() {
				before := fmt.Sprint(u)
				w.send(supervise.Exited{Key: u.Process.Key, Incarnation: u.Incarnation + 1000, Ending: supervise.Ending{Code: 1}})
				if after := fmt.Sprint(must(w.set.Unit(u.Process.Key))); after != before {
					w.fail("a report of another incarnation changed %s to %s", before, after)
				}
			}
		case 7:
			w.settle()
		}
		w.running()
	}
	w.crashAfter = -1
	w.settle()
	compare(w, wanted, down)
	shutdown(w)
	return w.problem
}

// compare holds when everything has settled: exactly the wanted services run, by their wanted definitions.
func compare(w *world, wanted map[supervise.Key]supervise.Process, down map[supervise.Key]bool) {
	running := w.running()
	for key, p := range running {
		if want, ok := wanted[key]; !ok || !want.Equal(p.definition) || down[key] {
			w.fail("%s runs by definition %q, wanted is %q", key, p.definition.Revision, want.Revision)
		}
	}
	for key, want := range wanted {
		p := running[key]
		if want.Kind == supervise.Service && want.Revision != "missing" && !down[key] && (p == nil || p.waiting) {
			w.fail("%s is wanted and does not run", key)
		}
	}
	for _, u := range w.set.Units() {
		if _, ok := wanted[u.Process.Key]; !ok {
			w.fail("%s is kept though nobody wants it: %+v", u.Process.Key, u)
		}
	}
	for i, e := range w.exits {
		if again := slices.IndexFunc(w.exits[:i], func(o supervise.Exit) bool { return o.Incarnation == e.Incarnation }); again >= 0 {
			w.fail("incarnation %d of %s ended twice: %q and %q", e.Incarnation, e.Key, w.exits[again].Reason, e.Reason)
		}
		if e.Watched && (e.Asked || e.Kind != supervise.Service) {
			w.fail("the end of %s asks for a bang: %+v", e.Key, e)
		}
	}
	for _, p := range w.processes {
		reported := slices.ContainsFunc(w.exits, func(e supervise.Exit) bool { return e.Incarnation == p.incarnation })
		if p.dead && !p.unrecorded && !reported {
			w.fail("the end of process %d of %s was never reported", p.pid, p.definition.Key)
		}
	}
}

func checkReport(w *world, p *process, before supervise.Unit, reports []supervise.Exit) {
	if w.crashes > 0 && len(reports) != 1 {
		return // the crash may have come first; compare looks at the whole
	}
	asked := before.State == supervise.Stopping || before.State == supervise.Killing
	if len(reports) == 0 || reports[0].PID != p.pid {
		w.fail("the end of process %d of %s gave the reports %+v", p.pid, p.definition.Key, reports)
		return
	}
	if want := p.definition.Kind == supervise.Service && !asked; reports[0].Watched != want {
		w.fail("the end of %s while %s is watched: %v", p.definition.Key, before.State, reports[0].Watched)
	}
}

func shutdown(w *world) {
	w.send(supervise.Apply{Processes: []supervise.Process{{Key: supervise.AgentKey(), Kind: supervise.Agent, Path: "/agent", Dir: "/"}}})
	w.send(supervise.Shutdown{})
	agentGone := false
	for range 100 {
		for _, u := range w.set.Units() {
			if p := w.processes[u.PID]; p != nil && !p.dead && u.State == supervise.Stopping {
				agentGone = agentGone || u.Process.Kind == supervise.Agent
				if !agentGone {
					w.fail("%s is stopped before the agent", u.Process.Key)
				}
				for _, other := range w.set.Units() {
					if u.Process.Kind != supervise.Agent && other.Process.Rank < u.Process.Rank && other.State.Live() {
						w.fail("%s is stopped while %s of a lower rank is %s", u.Process.Key, other.Process.Key, other.State)
					}
				}
				w.die(p, supervise.Ending{Signal: 15})
			}
		}
	}
	if !w.finished {
		w.fail("the shutdown does not finish: %+v", w.set.Units())
	}
}

func definition(partition string, i, revision int) supervise.Process {
	p := supervise.Process{
		Key: supervise.Key{Partition: partition, Name: fmt.Sprint("s", i)}, Kind: supervise.Service, Watched: true, Path: "/bin/s",
		Dir: "/", Revision: fmt.Sprint("r", revision), Rank: (i + revision) % 3,
	}
	if i == 2 {
		p.Kind, p.Watched = supervise.Run, false
	}
	if revision == 3 {
		p.Revision = "missing"
	}
	return p
}

func pick(w *world, n int) *process {
	keys := slices.Sorted(maps.Keys(w.processes))
	keys = slices.DeleteFunc(keys, func(pid int) bool { return w.processes[pid].dead })
	if len(keys) == 0 {
		return nil
	}
	return w.processes[keys[n%len(keys)]]
}

func sorted(wanted map[supervise.Key]supervise.Process) []supervise.Key {
	return slices.SortedFunc(maps.Keys(wanted), func(a, b supervise.Key) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
}

func must(u supervise.Unit, _ bool) supervise.Unit { return u }
