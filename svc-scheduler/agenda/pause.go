package agenda

import (
	"fmt"
	"slices"
	"time"
)

// Paused is a pause of a tree, or of a computer: until its end nothing that it holds is handed over. What began goes on.
type Paused struct {
	// Generation that the pause of a tree, or its end, made: readings overtake each other. Zero for a computer.
	Generation Generation
	// Until is when it ends; zero = it was ended, or there is none.
	Until time.Time
	// At is when it began. Reason is for people; By is who.
	At         time.Time
	Reason, By string
}

// MaxPause is the longest pause: maintenance that takes longer is told of again, so that nothing is forgotten in a pause.
const MaxPause = 30 * 24 * time.Hour

// Pause stops orders to the computer until an end; what began goes on. It replaces a pause that is there.
type Pause struct {
	// For is how long from now on; zero, or more than that, means MaxPause.
	For        time.Duration
	Reason, By string
}

// Resume lets orders flow again.
type Resume struct{ By string }

func (Pause) event()  {}
func (Resume) event() {}

// In tells whether the pause is in force.
func (p Paused) In(now time.Time) bool { return now.Before(p.Until) }

// String says it in words.
func (p Paused) String() string {
	text := "paused until " + p.Until.UTC().Format(time.RFC3339)
	if p.By != "" {
		text += " by " + p.By
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// From is the pause that begins now.
func (p Pause) From(now time.Time) Paused {
	if p.For <= 0 || p.For > MaxPause {
		p.For = MaxPause
	}
	return Paused{Until: now.Add(p.For), At: now, Reason: p.Reason, By: p.By}
}

func (a *Agenda) pause(ev Pause, now time.Time) {
	a.Pause, a.change.head = ev.From(now), true
	a.say("%s", a.Pause)
}

func (a *Agenda) resume(ev Resume) {
	if a.Pause == (Paused{}) {
		return
	}
	a.Pause, a.change.head = Paused{}, true
	if ev.By != "" {
		a.say("resumed by %s", ev.By)
	} else {
		a.say("resumed")
	}
}

// PauseOf is the pause that holds an entry, of its tree or of the computer, whichever ends later; false when none does.
func (a *Agenda) PauseOf(e *Entry, now time.Time) (Paused, bool) {
	p := e.Pause
	if a.Pause.Until.After(p.Until) {
		p = a.Pause
	}
	return p, p.In(now)
}

// takePause brings an entry up to the pause of its tree.
func (a *Agenda) takePause(e *Entry, p Paused, now time.Time) {
	if !p.Generation.After(e.Pause.Generation) {
		return
	}
	was := e.Pause.In(now)
	switch e.Pause = p; {
	case p.In(now):
		e.remember(now, "its tree is %s", p)
	case was && p.By != "":
		e.remember(now, "its tree is resumed by %s", p.By)
	case was:
		e.remember(now, "its tree is resumed")
	}
}

// hold takes back an order of a paused tree that did not begin. Its id is kept for the next order: the node may have it, and may not run twice.
func (a *Agenda) hold(e *Entry, now time.Time) {
	a.tell(e, now, "order %s of %s waits: %s", e.Run.ID, e.Partition, e.Pause)
	id := e.Run.ID
	a.move(e, Lose)
	e.Spare = id
	a.settle(e, now)
	a.changed(e)
}

// Cancel takes out the runs of a partition that are due or wait with a delay; the periodic one, or what comes meanwhile, is next. What is wanted stays
// wanted. It is refused by Cancellable. Idempotent by RequestID among the newest MaxRequests of the partition.
type Cancel struct{ Partition, RequestID, Reason, By string }

func (Cancel) event() {}

// Cancellable lists the causes for which a partition is due or waits, in their order, and says why its runs cannot be cancelled; a request that is known
// lists none.
func (e *Entry) Cancellable(request string) ([]Cause, error) {
	if request != "" && slices.Contains(e.Requests, request) {
		return nil, nil
	}
	switch e.State {
	case Ordered:
		return nil, fmt.Errorf("order %s was handed over to the node", e.Run.ID)
	case Running:
		return nil, fmt.Errorf("run %s began", e.Run.ID)
	case Waiting:
	}
	var causes []Cause
	for c := Manual; c < Periodicity; c++ {
		if !e.Due[c].IsZero() {
			causes = append(causes, c)
		}
	}
	if len(causes) == 0 {
		return nil, fmt.Errorf("only its periodic run is due, which is a promise; pause the tree instead")
	}
	return causes, nil
}

func (a *Agenda) cancel(ev Cancel, now time.Time) {
	e := a.Entries[ev.Partition]
	if e == nil {
		a.say("cancellation of %s ignored: no instance is allocated there", ev.Partition)
		return
	}
	causes, err := e.Cancellable(ev.RequestID)
	if err != nil {
		a.tell(e, now, "cannot cancel the run of %s: %v", ev.Partition, err)
		return
	}
	if len(causes) == 0 {
		a.say("request %s is known", ev.RequestID)
		return
	}
	e.asked(ev.RequestID)
	for _, c := range causes {
		e.Due[c] = time.Time{}
	}
	e.FirstBang, e.LastBang = 0, 0
	e.Cancelled = newest(e.Cancelled, e.Wanted)
	e.periodic(now)
	a.tell(e, now, "%s cancelled what was due (%s) up to generation %s: %s; next is the periodic run", orSomebody(ev.By), words(causes), e.Wanted, orNothing(ev.Reason))
	a.changed(e)
}

// words names causes.
type words []Cause

func (w words) String() string {
	var text string
	for i, c := range w {
		if i > 0 {
			text += ", "
		}
		text += c.String()
	}
	return text
}

func orSomebody(by string) string {
	if by == "" {
		return "somebody"
	}
	return by
}

func orNothing(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}
