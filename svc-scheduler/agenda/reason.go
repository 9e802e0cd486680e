package agenda

import (
	"fmt"
	"time"
)

// Reason says in words why the entry runs next, or what it waits for.
func (e *Entry) Reason(now time.Time) string {
	switch e.State {
	case Ordered:
		return fmt.Sprintf("ordered (%s), not begun: %s", e.Run.Cause, e.why(e.Run.Cause))
	case Running:
		if c, _ := e.NextCause(now); c != None {
			return "running, and due again after it: " + e.why(c)
		}
		return "running"
	case Waiting:
	}
	c, at := e.NextCause(now)
	if at.After(now) && (c == FromBang || c == Changed) {
		return "held back until " + stamp(at) + ": " + e.why(c)
	}
	return e.why(c)
}

// Explain is Reason with what holds the whole computer back.
func (a *Agenda) Explain(e *Entry, now time.Time) string {
	why := e.Reason(now)
	if e.State != Waiting {
		return why
	}
	p, paused := a.PauseOf(e, now)
	switch {
	case paused && p == a.Pause:
		return "computer " + p.String() + "; then " + why
	case paused:
		return "tree " + p.String() + "; then " + why
	case !a.Connected:
		return "computer has no stream; then " + why
	}
	if c, _ := e.DueCause(now); c != None && a.active >= a.Slots {
		return fmt.Sprintf("waits for one of %d slots; then %s", a.Slots, why)
	}
	return why
}

// why says what a cause means for this entry.
func (e *Entry) why(c Cause) string {
	switch c {
	case Manual:
		return "a person asked for it"
	case FromBang:
		if len(e.Bangs) == 0 {
			return "a bang of its tree, generation " + e.BangWanted.String()
		}
		if folds := e.Folds(); folds > 0 {
			return fmt.Sprintf("bang %s and %d before it", e.Bangs[0].ID, folds)
		}
		return "bang " + e.Bangs[0].ID
	case Changed:
		return "its desired state changed, generation " + e.Changed.String()
	case Boot:
		return "the computer booted"
	case Retry:
		what := e.ErrorType
		if what == "" {
			what = "run"
		}
		result := e.Result
		switch result {
		case "":
			return fmt.Sprintf("growing delay, attempt %d: generation %s is not settled", e.Attempt+1, e.Wanted)
		case "failure":
			result = "failed"
		}
		return fmt.Sprintf("growing delay, attempt %d: %s %s", e.Attempt+1, what, result)
	case Periodicity:
		return "periodicity of " + e.Period.String()
	case None:
	}
	return "nothing is due"
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
