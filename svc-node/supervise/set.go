package supervise

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Set is all units of one supervisor. The zero value is empty and ready.
//
// Step consumes the Set it is given: use the one it returns.
type Set struct {
	units       map[Key]Unit
	incarnation uint64
	closing     bool
	finished    bool
}

// Restore makes a Set of recorded units. incarnation is the highest number ever recorded, of forgotten units too, so
// that no number is given twice. The first event must be Resume, which says what became of the processes.
func Restore(units []Unit, incarnation uint64) Set {
	s := Set{units: make(map[Key]Unit, len(units)), incarnation: incarnation}
	for _, u := range units {
		s.units[u.Process.Key] = u.clone()
		s.incarnation = max(s.incarnation, u.Incarnation)
	}
	return s
}

// Units returns all units in the order of their keys.
func (s Set) Units() []Unit {
	units := make([]Unit, 0, len(s.units))
	for _, key := range sortedKeys(s.units) {
		units = append(units, s.units[key].clone())
	}
	return units
}

// Unit returns one unit.
func (s Set) Unit(key Key) (Unit, bool) {
	u, ok := s.units[key]
	return u.clone(), ok
}

// Len is the number of units.
func (s Set) Len() int { return len(s.units) }

// Closing reports whether a Shutdown has begun.
func (s Set) Closing() bool { return s.closing }

// Settled reports whether no unit of the partition is being started or stopped.
func (s Set) Settled(partition string) bool {
	for key, u := range s.units {
		if key.Partition == partition && !u.State.Settled() {
			return false
		}
	}
	return true
}

// Due is when the next Tick has something to do; false = only another event can change anything.
func (s Set) Due() (time.Time, bool) {
	var due time.Time
	for _, u := range s.units {
		if !u.Due.IsZero() && (due.IsZero() || u.Due.Before(due)) {
			due = u.Due
		}
	}
	return due, !due.IsZero()
}

// Step is one step of the supervisor: what the event changes, what is to be done, and why, in words (one clause per
// unit that changed; empty = nothing changed).
func Step(s Set, event Event, now time.Time) (Set, []Effect, string) {
	p := step{set: s, now: now}
	if p.set.units == nil {
		p.set.units = make(map[Key]Unit)
	}
	switch e := event.(type) {
	case Apply:
		p.apply(e)
	case Hand:
		p.hand(e)
	case Shutdown:
		p.set.closing = true
	case Resume:
		p.resume(e)
	case Tick:
		for _, key := range sortedKeys(p.set.units) {
			p.unit(key, e)
		}
	case Spawned:
		p.report(e.Key, e.Incarnation, e)
	case Started:
		p.report(e.Key, e.Incarnation, e)
	case StartFailed:
		p.report(e.Key, e.Incarnation, e)
	case Exited:
		p.report(e.Key, e.Incarnation, e)
	}
	p.close()
	return p.set, p.effects, p.reason
}

type step struct {
	set     Set
	now     time.Time
	effects []Effect
	reason  string
}

// unit takes one unit through one transition.
func (p *step) unit(key Key, event Event) {
	u, ok := p.set.units[key]
	if !ok {
		p.say(fmt.Sprintf("%s is unknown", key))
		return
	}
	l := life{unit: u, now: p.now, closing: p.set.closing, launch: func() uint64 {
		p.set.incarnation++
		return p.set.incarnation
	}}
	l.transition(event)
	if l.gone {
		delete(p.set.units, key)
	} else {
		p.set.units[key] = l.unit
	}
	p.effects = append(p.effects, l.effects...)
	p.say(l.reason)
}

// report takes an event that speaks of one incarnation; others are late and change nothing.
func (p *step) report(key Key, incarnation uint64, event Event) {
	u, ok := p.set.units[key]
	if !ok || u.Incarnation != incarnation || !u.State.Live() {
		p.say(fmt.Sprintf("%s: %T of incarnation %d comes too late", key, event, incarnation))
		return
	}
	p.unit(key, event)
}

func (p *step) apply(e Apply) {
	if p.set.closing {
		p.say("cannot apply " + e.Partition + ": the supervisor stops")
		return
	}
	wanted := make(map[Key]bool, len(e.Processes))
	for _, process := range e.Processes {
		wanted[process.Key] = true
	}
	for _, key := range sortedKeys(p.set.units) { // first stop what is in the way
		if key.Partition == e.Partition && !wanted[key] && p.set.units[key].Want != Gone {
			p.unit(key, vanish{})
		}
	}
	for _, process := range e.Processes {
		if _, ok := p.set.units[process.Key]; !ok {
			p.set.units[process.Key] = Unit{Process: Process{Key: process.Key}, State: Stopped, Want: Up, Since: p.now}
		}
		p.unit(process.Key, define{process.clone()})
	}
}

func (p *step) hand(e Hand) {
	if p.set.closing {
		p.say("cannot " + string(e.Do) + " " + e.Key.String() + ": the supervisor stops")
		return
	}
	p.unit(e.Key, want{e.Do})
}

func (p *step) resume(e Resume) {
	for key, alive := range e.Alive {
		p.set.incarnation = max(p.set.incarnation, alive.Incarnation)
		if _, ok := p.set.units[key]; !ok { // only its marker knows of it
			p.set.units[key] = Unit{
				Process: Process{Key: key, Kind: Service, Watched: true}, State: Stopped, Want: Up, Since: p.now,
				Unclaimed: alive.Fingerprint,
			}
		}
	}
	for _, key := range sortedKeys(p.set.units) {
		u := p.set.units[key]
		if limit := p.now.Add(LastDelay * 2); u.Due.After(limit) { // the clock was set back
			u.Due = limit
			p.set.units[key] = u
		}
		alive, runs := e.Alive[key]
		switch {
		case runs:
			p.unit(key, adopt{alive})
		case e.Rebooted:
			p.unit(key, boot{})
		case u.State.Live():
			p.unit(key, missed{})
		case u.State == Stopped && u.Want == Up: // stopped by a Shutdown
			p.unit(key, want{Start})
		}
	}
}

// close carries a Shutdown on: first the agent, so that nobody wonders about the services, then the others by rank.
func (p *step) close() {
	if !p.set.closing || p.set.finished {
		return
	}
	for _, rank := range p.set.ranks() {
		live := false
		for _, key := range sortedKeys(p.set.units) {
			if p.set.units[key].Process.rank() != rank {
				continue
			}
			switch u := p.set.units[key]; u.State {
			case Starting, Running, Delayed:
				p.unit(key, halt{})
			case Stopping, Killing, Stopped, Done:
			}
			u := p.set.units[key]
			live = live || u.State.Live() && !u.hopeless(p.now)
		}
		if live {
			return
		}
	}
	p.set.finished = true
	p.effects = append(p.effects, Finished{})
	p.say("everything has stopped")
}

// ranks are the steps of a Shutdown, in order.
func (s Set) ranks() []int {
	ranks := make(map[int]bool)
	for key := range s.units {
		ranks[s.units[key].Process.rank()] = true
	}
	return slices.Sorted(maps.Keys(ranks))
}

func (p *step) say(reason string) {
	switch {
	case reason == "":
	case p.reason == "":
		p.reason = reason
	default:
		p.reason += "; " + reason
	}
}
