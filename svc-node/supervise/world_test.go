package supervise_test

import (
	"fmt"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

// world is the dumb model of a machine: processes, a disk, and somebody who carries out effects one by one, so that a
// crash may fall between any two of them.
type world struct {
	set     supervise.Set
	now     time.Time
	nextPID int
	// processes are by PID; they survive a crash of the supervisor once released.
	processes map[int]*process
	// disk is what Record and Forget left.
	disk map[supervise.Key]supervise.Unit
	// incarnation is the highest number that Record wrote.
	incarnation uint64
	// exits are the reports, ended the processes that came to an end while somebody ran or was remembered.
	exits []supervise.Exit
	// todo are effects not carried out yet.
	todo     []supervise.Effect
	finished bool
	// crashAfter kills the supervisor after so many more effects; negative = never.
	crashAfter int
	crashes    int
	problem    string
	log        []string
}

type process struct {
	pid         int
	definition  supervise.Process
	incarnation uint64
	waiting     bool
	dead        bool
	child       bool
	// unrecorded says that the supervisor died before the process was on disk.
	unrecorded bool
}

func newWorld() *world {
	return &world{
		now: time.Unix(1_800_000_000, 0).UTC(), nextPID: 100, processes: map[int]*process{},
		disk: map[supervise.Key]supervise.Unit{}, crashAfter: -1,
	}
}

func (w *world) fail(format string, args ...any) {
	if w.problem == "" {
		w.problem = fmt.Sprintf(format, args...)
	}
}

// send takes one event through the core and carries out what follows.
func (w *world) send(event supervise.Event) {
	set, effects, reason := supervise.Step(w.set, event, w.now)
	w.set = set
	if reason != "" {
		w.log = append(w.log, reason)
	}
	stored := false
	for _, effect := range effects { // storing comes first, in one write
		switch e := effect.(type) {
		case supervise.Record:
			w.disk[e.Unit.Process.Key] = e.Unit
			w.incarnation = max(w.incarnation, e.Unit.Incarnation)
			stored = true
		case supervise.Forget:
			delete(w.disk, e.Key)
			stored = true
		case supervise.Report:
			e.Exit.Seq = uint64(len(w.exits) + 1)
			w.exits = append(w.exits, e.Exit)
			stored = true
		}
	}
	if stored && w.crashes0() {
		return
	}
	w.todo = append(w.todo, effects...)
	w.check()
	for len(w.todo) > 0 {
		effect := w.todo[0]
		w.todo = w.todo[1:]
		w.act(effect)
	}
}

// crashes0 counts down to the crash; true = it happened, and another supervisor has taken over.
func (w *world) crashes0() bool {
	if w.crashAfter < 0 {
		return false
	}
	w.crashAfter--
	if w.crashAfter >= 0 {
		return false
	}
	w.crash()
	return true
}

func (w *world) act(effect supervise.Effect) {
	switch e := effect.(type) {
	case supervise.Launch:
		for _, p := range w.processes {
			if !p.dead && p.definition.Key == e.Process.Key {
				w.fail("%s is launched while process %d of it is there", e.Process.Key, p.pid)
			}
		}
		if e.Process.Revision == "missing" {
			w.send(supervise.StartFailed{Key: e.Process.Key, Incarnation: e.Incarnation, Reason: "cannot start it: no such file"})
			return
		}
		w.nextPID++
		p := &process{
			pid: w.nextPID, definition: e.Process, incarnation: e.Incarnation, waiting: true, child: true, unrecorded: true,
		}
		w.processes[p.pid] = p
		if w.crashes0() {
			return
		}
		w.send(supervise.Spawned{Key: e.Process.Key, Incarnation: e.Incarnation, PID: p.pid, Identity: fmt.Sprint("boot/", p.pid)})
	case supervise.Release:
		p := w.processes[e.PID]
		if w.disk[e.Key].PID != e.PID {
			w.fail("%s is released before process %d is on disk", e.Key, e.PID)
		}
		if p.dead {
			return
		}
		p.waiting, p.unrecorded = false, false
		if w.crashes0() {
			return
		}
		w.send(supervise.Started{Key: e.Key, Incarnation: e.Incarnation})
	case supervise.Terminate, supervise.Kill:
		w.crashes0()
	case supervise.Finished:
		w.finished = true
		for _, p := range w.processes {
			if !p.dead {
				w.fail("finished while process %d of %s runs", p.pid, p.definition.Key)
			}
		}
	}
}

// die ends a process; the supervisor hears of it if it is there.
func (w *world) die(p *process, ending supervise.Ending) {
	p.dead = true
	if !p.child {
		ending = supervise.Ending{Unknown: true}
	}
	w.send(supervise.Exited{Key: p.definition.Key, Incarnation: p.incarnation, Ending: ending})
}

// crash kills the supervisor and starts the next one.
func (w *world) crash() {
	w.crashAfter, w.todo, w.crashes = -1, nil, w.crashes+1
	for _, p := range w.processes {
		p.child = false
		p.dead = p.dead || p.waiting // its gate closes, it leaves
	}
	var units []supervise.Unit
	for _, u := range w.disk {
		units = append(units, u)
	}
	alive := map[supervise.Key]supervise.Alive{}
	for key, u := range w.disk {
		if p := w.processes[u.PID]; p != nil && !p.dead && u.State.Live() {
			alive[key] = supervise.Alive{PID: p.pid, Identity: u.Identity}
		}
	}
	w.set = supervise.Restore(units, w.incarnation)
	w.send(supervise.Resume{Alive: alive})
}

// check holds after every step.
func (w *world) check() {
	for _, u := range w.set.Units() {
		key := u.Process.Key
		switch {
		case u.State == supervise.Delayed && u.Due.IsZero():
			w.fail("%s is delayed and has no time of its next try", key)
		case u.Want == supervise.Up && u.State == supervise.Stopped && !w.set.Closing():
			w.fail("%s is wanted but stopped: it was given up", key)
		case u.Want == supervise.Up && u.State == supervise.Done && u.Process.Kind != supervise.Run:
			w.fail("%s is a service and done", key)
		case u.Want != supervise.Up && (u.State == supervise.Running || u.State == supervise.Starting || u.State == supervise.Delayed):
			w.fail("%s is %s though it is not wanted", key, u.State)
		case (u.State == supervise.Stopping || u.State == supervise.Killing) && u.Due.IsZero():
			w.fail("%s is %s and nothing will kill it", key, u.State)
		}
		stored := w.disk[key]
		if stored.State != u.State || stored.PID != u.PID || stored.Incarnation != u.Incarnation || stored.Want != u.Want ||
			!stored.Process.Equal(u.Process) {
			w.fail("%s is %s (process %d, want %s) in memory, but %s (process %d, want %s) on disk",
				key, u.State, u.PID, u.Want, stored.State, stored.PID, stored.Want)
		}
	}
}

// running are the processes that exist, by key.
func (w *world) running() map[supervise.Key]*process {
	running := map[supervise.Key]*process{}
	for _, p := range w.processes {
		if !p.dead {
			if other := running[p.definition.Key]; other != nil {
				w.fail("%s runs twice: processes %d and %d", p.definition.Key, other.pid, p.pid)
			}
			running[p.definition.Key] = p
		}
	}
	return running
}

// settle lets time pass until nothing changes: what was told to end ends, delays run out.
func (w *world) settle() {
	for range 1000 {
		progress := false
		for _, u := range w.set.Units() {
			if p := w.processes[u.PID]; p != nil && !p.dead && (u.State == supervise.Stopping || u.State == supervise.Killing) {
				w.die(p, supervise.Ending{Signal: 15})
				progress = true
			}
		}
		if due, ok := w.set.Due(); ok && !w.onlyFailing() {
			w.now = maxTime(w.now, due)
			w.send(supervise.Tick{})
			progress = true
		}
		if !progress {
			return
		}
	}
	w.fail("it does not settle: %v", w.set.Units())
}

// onlyFailing says that all timers belong to processes that cannot start, which is a steady state too.
func (w *world) onlyFailing() bool {
	for _, u := range w.set.Units() {
		if !u.Due.IsZero() && (u.Process.Revision != "missing" || u.State != supervise.Delayed) {
			return false
		}
	}
	return true
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
