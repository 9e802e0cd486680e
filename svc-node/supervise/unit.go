package supervise

import (
	"fmt"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// The restart rule of a service (docs/rules.md, "growing delay", with the supervisor's own numbers).
const (
	// Healthy is the uptime after which an end counts as a first one again. The same 10 s make a process's bang not
	// futile (docs/rules.md, "futile bangs").
	Healthy = 10 * time.Second
	// FirstDelay is waited before the second start in a row; the first is at once, since most deaths are single ones
	// and every millisecond is an outage.
	FirstDelay = time.Second
	// LastDelay bounds the delay: a service whose cause of death was repaired elsewhere waits no longer than this.
	LastDelay = time.Minute
	// KillAgain is the time between two KILLs of a process that did not die: it sleeps in the kernel, for example on a
	// disk that hangs, and nothing else can be done.
	KillAgain = 10 * time.Second
	// Hopeless is how long a Shutdown waits for a process that does not die of KILL: three of them.
	Hopeless = 3 * KillAgain
)

// State is where a unit is in its life.
//
//	                    launch                released, exec'ed
//	  (Apply, start) ───────────▶ Starting ───────────────────────▶ Running ──┐
//	                               ▲  │ ▲ exit or failed start:               │ exit that nobody asked for:
//	                      time's up│  │ │ the first in a row                  │ the first in a row ─▶ Starting
//	                               │  │ └─────────────────────────────────────┤
//	                             Delayed ◀──── the next ones ─────────────────┤ (a run ─▶ Done)
//	                               │  │                                       │
//	            stop, vanished     │  │ stop, restart, changed, vanished, shutdown
//	           ┌───────────────────┘  ▼                                       ▼
//	           │                 Stopping (TERM) ◀────────────────────────────┘
//	           │                      │      │ grace time over
//	           ▼        exit          │      ▼
//	        Stopped ◀─────────────────┴── Killing (KILL, again every 10 s)
//	           ▲                          │
//	           └──── wanted again ─▶ Starting; vanished ─▶ forgotten
//
//	Done: a run that ended; starts again when changed, on boot, or by hand.
type State uint8

// The states of a unit. Starting, Running, Stopping and Killing have a process (or are about to hear of one).
const (
	Starting State = iota + 1
	Running
	Delayed
	Stopping
	Killing
	Stopped
	Done
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Delayed:
		return "delayed"
	case Stopping:
		return "stopping"
	case Killing:
		return "killing"
	case Stopped:
		return "stopped"
	case Done:
		return "done"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Live reports whether a process exists, or may exist until we hear otherwise.
func (s State) Live() bool { return s == Starting || s == Running || s == Stopping || s == Killing }

// Settled reports whether the unit waits for nothing but its own process or its own timer.
func (s State) Settled() bool { return s == Running || s == Delayed || s == Stopped || s == Done }

// MarshalText writes the state as its name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) error {
	for state := Starting; state <= Done; state++ {
		if state.String() == string(text) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("cannot read process state %q", text)
}

// Want is what shall become of a unit.
type Want string

// The wants.
const (
	Up   Want = "up"
	Down Want = "down" // by hand, until the next Apply
	Gone Want = "gone" // no longer defined
)

// Unit is one process with all that is known of it.
type Unit struct {
	// Process is the definition to run next; it is the one that runs, unless the unit is Stopping or Killing.
	Process Process `json:"process"`
	State   State   `json:"state"`
	Want    Want    `json:"want"`
	// Since is when the unit entered its state.
	Since time.Time `json:"since"`
	// Incarnation, PID and Identity name the process of a live unit. PID is 0 until Spawned.
	Incarnation uint64 `json:"incarnation"`
	PID         int    `json:"pid,omitempty"`
	Identity    string `json:"identity,omitempty"`
	// RanSince is when the process became its executable; zero until then.
	RanSince time.Time `json:"ran_since,omitzero"`
	// Adopted says that an earlier supervisor started the process, so how it ends will not be known.
	Adopted bool `json:"adopted,omitempty"`
	// Unclaimed says that the process was found by its marker alone, with this fingerprint; Process has only the key.
	Unclaimed string `json:"unclaimed,omitempty"`
	// Due is the next try of a Delayed unit, the KILL of a Stopping one, the next KILL of a Killing one.
	Due time.Time `json:"due,omitzero"`
	// Failures counts the ends in a row without a healthy while between them.
	Failures int `json:"failures,omitempty"`
	// Restarts counts the starts after an end that nobody asked for, ever.
	Restarts int `json:"restarts,omitempty"`
	// Last is the last end in words.
	Last string `json:"last,omitempty"`
}

// Status is a unit with what its process uses, as measured by whoever runs it.
type Status struct {
	Unit
	// CPU is the processor time that the process itself has used, Memory its resident bytes; both 0 if none runs.
	// Children of the process are not counted.
	CPU    time.Duration `json:"cpu_ns"`
	Memory int64         `json:"memory"`
	// Problem says which of its limits are not held, and why; empty = all are.
	Problem string `json:"problem,omitempty"`
}

// Delay is the wait before the next start after the given number of earlier ends in a row.
func Delay(key Key, failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return backoff.Delay(failures, key.String(), FirstDelay, LastDelay)
}

// The inputs of a unit's life, besides the events that speak of its process.
type (
	define struct{ process Process }
	want   struct{ action Action }
	vanish struct{}
	halt   struct{} // the supervisor shuts down
	boot   struct{} // the machine restarted
	missed struct{} // the process ended while there was no supervisor
	adopt  struct{ alive Alive }
)

func (define) event() {}
func (want) event()   {}
func (vanish) event() {}
func (halt) event()   {}
func (boot) event()   {}
func (missed) event() {}
func (adopt) event()  {}

// life is one step of one unit: the unit as it becomes and what to do.
type life struct {
	unit    Unit
	now     time.Time
	closing bool
	// launch gives the next incarnation.
	launch  func() uint64
	effects []Effect
	gone    bool
	reason  string
}

// transition is the only function that changes a unit.
func (l *life) transition(event Event) {
	u := &l.unit
	switch e := event.(type) {
	case define:
		l.define(e.process)
	case want:
		l.want(e.action)
	case vanish:
		u.Want = Gone
		l.end("no longer defined")
	case halt:
		l.end("the supervisor stops")
	case boot:
		l.boot()
	case adopt:
		l.adopt(e.alive)
	case missed:
		if u.State == Starting && u.PID == 0 {
			l.start("its launch was not recorded") // its stub dies with the supervisor that made it
			return
		}
		l.exited(Ending{Unknown: true})

	case Spawned:
		u.PID, u.Identity = e.PID, e.Identity
		switch u.State {
		case Starting:
			l.record("waits before exec")
			l.do(Release{Key: u.Process.Key, Incarnation: u.Incarnation, PID: u.PID})
		case Stopping: // asked to stop in the meantime
			l.record("waits before exec")
			l.do(Terminate{Key: u.Process.Key, PID: u.PID})
		case Killing:
			l.record("waits before exec")
			l.do(Kill{Key: u.Process.Key, PID: u.PID})
		case Running, Delayed, Stopped, Done:
		}
	case Started:
		if u.State == Starting {
			u.RanSince = l.now
			l.enter(Running, "runs")
		}
	case StartFailed:
		l.exited(Ending{Failed: e.Reason})
	case Exited:
		l.exited(e.Ending)

	case Tick:
		if u.Due.IsZero() || l.now.Before(u.Due) {
			return
		}
		switch u.State {
		case Delayed:
			u.Restarts++
			l.start("its delay is over")
		case Stopping, Killing:
			u.Due = l.now.Add(KillAgain)
			l.enter(Killing, "did not end within its grace time")
			if u.PID != 0 {
				l.do(Kill{Key: u.Process.Key, PID: u.PID})
			}
		case Starting, Running, Stopped, Done:
		}
	}
}

// define takes the definition of an Apply.
func (l *life) define(process Process) {
	u := &l.unit
	same := u.Process.Equal(process)
	if u.Unclaimed != "" {
		same = u.Unclaimed == process.Fingerprint()
	}
	wanted, ranked := u.Want, u.Process.Rank != process.Rank
	u.Process, u.Want, u.Unclaimed = process, Up, ""
	switch {
	case u.State == Starting || u.State == Running:
		if same {
			if wanted != Up || ranked {
				l.record("wanted")
			}
			return
		}
		u.Failures = 0
		l.end("its definition changed")
	case u.State == Stopping || u.State == Killing:
		u.Failures = 0
		if !same || wanted != Up || ranked {
			l.record("starts again when it has ended")
		}
	case same && (u.State == Delayed || u.State == Done):
		if wanted != Up || ranked {
			l.record("wanted")
		}
	default:
		u.Failures = 0
		l.start("wanted")
	}
}

func (l *life) want(action Action) {
	u := &l.unit
	if action == Stop {
		u.Want = Down
		l.end("stopped by hand")
		return
	}
	if u.Want == Gone { // its definition is gone; only an Apply brings it back
		l.reason = "cannot " + string(action) + " " + u.Process.Key.String() + ": it is no longer defined"
		return
	}
	u.Want, u.Failures = Up, 0
	switch {
	case u.State == Stopping || u.State == Killing:
		l.record("starts again when it has ended")
	case !u.State.Live():
		l.start("started by hand")
	case action == Restart:
		l.end("restarted by hand")
	}
}

// end asks a live process to end; a unit without one settles at once. What comes next depends on Want.
func (l *life) end(reason string) {
	u := &l.unit
	switch u.State {
	case Starting, Running:
		u.Due = l.now.Add(u.Process.grace())
		l.enter(Stopping, reason)
		if u.PID != 0 {
			l.do(Terminate{Key: u.Process.Key, PID: u.PID})
		}
	case Stopping, Killing:
		l.record(reason)
	case Done:
		l.settle(Done, reason)
	case Delayed, Stopped:
		l.settle(Stopped, reason)
	}
}

// settle puts a unit without a process to rest, or forgets it.
func (l *life) settle(state State, reason string) {
	u := &l.unit
	u.PID, u.Identity, u.RanSince, u.Due, u.Adopted = 0, "", time.Time{}, time.Time{}, false
	if u.Want == Gone {
		l.gone, l.reason = true, u.Process.Key.String()+" forgotten: "+reason
		l.do(Forget{u.Process.Key})
		return
	}
	l.enter(state, reason)
}

func (l *life) start(reason string) {
	u := &l.unit
	if l.closing {
		l.settle(Stopped, reason+", but the supervisor stops")
		return
	}
	u.Incarnation = l.launch()
	u.PID, u.Identity, u.RanSince, u.Due, u.Adopted = 0, "", time.Time{}, time.Time{}, false
	l.enter(Starting, reason)
	l.do(Launch{Process: u.Process.clone(), Incarnation: u.Incarnation})
}

// exited is the end of the process, however it came.
func (l *life) exited(ending Ending) {
	u := &l.unit
	if !u.State.Live() {
		return
	}
	asked := u.State == Stopping || u.State == Killing
	uptime := time.Duration(0)
	if !u.RanSince.IsZero() {
		uptime = max(0, l.now.Sub(u.RanSince))
	}
	u.Last = ending.Words(uptime)
	l.do(Report{Exit{
		Key: u.Process.Key, Kind: u.Process.Kind, Incarnation: u.Incarnation, PID: u.PID, At: l.now, Uptime: uptime,
		Ending: ending, Watched: u.Process.Watched && !asked, Asked: asked, Reason: u.Last,
	}})

	ran := ending.Failed == "" // a run that never ran is tried again
	switch {
	case u.Unclaimed != "": // nobody told us how to start it
		u.Want = Gone
		l.settle(Stopped, u.Last)
	case asked && u.Want == Up:
		l.start("starts again: " + u.Last)
	case asked:
		l.settle(Stopped, u.Last)
	case u.Process.Kind == Run && ran:
		l.settle(Done, u.Last)
	default:
		l.again(uptime)
	}
}

// again starts a process that ended by itself: at once the first time, later with the growing delay.
func (l *life) again(uptime time.Duration) {
	u := &l.unit
	if uptime >= Healthy {
		u.Failures = 0
	}
	delay := Delay(u.Process.Key, u.Failures)
	u.Failures++
	switch {
	case delay == 0:
		u.Restarts++
		l.start(u.Last)
	case l.closing:
		l.settle(Stopped, u.Last)
	default:
		l.settle(Delayed, u.Last)
		u.Due = l.now.Add(delay)
		l.amend()
	}
}

// boot is the first step of a unit after the machine restarted.
func (l *life) boot() {
	u := &l.unit
	if u.Want == Gone || u.Unclaimed != "" {
		u.Want = Gone
		l.settle(Stopped, "the machine restarted")
		return
	}
	u.Failures = 0
	if u.Want == Down {
		l.settle(Stopped, "the machine restarted; stopped by hand before")
		return
	}
	l.start("the machine restarted")
}

// adopt takes over the process of an earlier supervisor.
func (l *life) adopt(alive Alive) {
	u := &l.unit
	u.PID, u.Identity, u.Adopted = alive.PID, alive.Identity, !alive.Child
	if alive.Incarnation > u.Incarnation { // newer than the journal, which lost its end
		u.Incarnation, u.RanSince = alive.Incarnation, l.now
	}
	switch u.State {
	case Starting: // released or dying: the stub ends if its supervisor could not release it
		u.RanSince = l.now
		l.enter(Running, "adopted")
	case Stopping:
		l.record("adopted")
		l.do(Terminate{Key: u.Process.Key, PID: u.PID})
	case Killing:
		l.record("adopted")
		l.do(Kill{Key: u.Process.Key, PID: u.PID})
	case Running, Delayed, Stopped, Done:
		u.Due = time.Time{}
		l.enter(Running, "adopted")
		switch {
		case u.Want != Up:
			l.end("not wanted")
		case alive.Incarnation != 0 && u.Unclaimed == "" && alive.Fingerprint != u.Process.Fingerprint():
			l.end("its definition changed")
		}
	}
}

func (l *life) enter(state State, reason string) {
	if l.unit.State != state {
		l.unit.State, l.unit.Since = state, l.now
	}
	l.record(reason)
}

func (l *life) record(reason string) {
	l.reason = fmt.Sprintf("%s %s: %s", l.unit.Process.Key, l.unit.State, reason)
	l.do(Record{l.unit.clone()})
}

// amend replaces the last record by the unit as it is now.
func (l *life) amend() { l.effects[len(l.effects)-1] = Record{l.unit.clone()} }

func (l *life) do(effect Effect) { l.effects = append(l.effects, effect) }

// hopeless reports whether a Shutdown goes on without the process.
func (u Unit) hopeless(now time.Time) bool {
	return u.State == Killing && !now.Before(u.Since.Add(Hopeless))
}

func (u Unit) clone() Unit {
	u.Process = u.Process.clone()
	return u
}
