package agenda

import (
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// Entry is one allocated partition: what is wanted of it, the run in hand, and when it is due for each cause.
type Entry struct {
	Partition    string
	AllocationID string
	InstanceID   string
	TreeID       string
	Title        string
	// Period is min(24 h, computer, release).
	Period time.Duration

	// Wanted is the last generation that concerns it, BangWanted the last that a bang made, Changed the last change of its desired state,
	// Answered the one that the newest begun run was given, Settled the highest that a success was given.
	Wanted, BangWanted, Changed, Answered, Settled Generation
	// Cancelled is the generation up to which its runs were cancelled: what is wanted up to it makes no run of its own.
	Cancelled Generation
	// Pause of its tree, the newest that is known, or the end of one: it is not handed over before the end.
	Pause Paused
	// Due is when it is due for each cause; zero = not due for it. Kept until a run begins that answers it.
	Due [Causes]time.Time
	// Bangs that are not settled, newest first, at most MaxBangs.
	Bangs []Bang
	// FirstBang and LastBang are the numbers of the first and last bang that no run has answered; 0 = none.
	FirstBang, LastBang uint64
	// Requests are the ids of the newest RunNow requests.
	Requests []string

	State State
	// Run in hand; zero while Waiting.
	Run Run
	// Spare is the id of a run that was handed over and did not begin because the node began one of its own: the next order takes it, so
	// that a node that still has the first order does not run twice.
	Spare string
	// Epoch and Token of the newest run that was seen to begin: an older one is late.
	Epoch, Token uint64

	// Attempt counts the failures since the last success or change.
	Attempt int
	// ErrorType and Result are those of the latest run, for reasons; empty after a success.
	ErrorType, Result string
	// LatestRun is the id of the latest reported run; LatestSeen when this agenda learnt it.
	LatestRun  string
	LatestSeen time.Time
	// Ran is when the latest success was reported: the periodic run follows from it. Zero = never.
	Ran time.Time
	// Learnt is when this agenda learnt of the allocation: an older reading does not remove it.
	Learnt time.Time

	key  string    // computer/partition: id of its phase and jitter
	next time.Time // when it needs attention
	held time.Time // a run for a bang begins no earlier; not stored: it is a fraction of a second
	spot int       // index among what needs attention later; -1 = it does not
	// changed marks an entry that the Apply in hand changed.
	changed bool
	// While it is ready: what it is due for and since when, its line and its places; nil and -1 otherwise.
	cause             Cause
	dueSince          time.Time
	line              *line
	inLine, inLongest int

	decisions []Decision // oldest first
}

// Run is the run in hand.
type Run struct {
	ID string
	// Cause, Due: of the first handing over.
	Cause Cause
	Due   time.Time
	// Ordered is when it was handed over last; Handed how often.
	Ordered time.Time
	Handed  int
	// Began is when its BeginRun was seen; zero = not yet. Generation is what it was given.
	Began      time.Time
	Generation Generation
	// Trace is the context of its `order run` span.
	Trace Trace
}

// Next is when the entry needs attention: its earliest due time or the end of its tree's pause, the handing over again of its order, or the end of the wait for its report.
func (e *Entry) Next() time.Time {
	switch e.State {
	case Ordered:
		return e.Run.Ordered.Add(BeginWithin)
	case Running:
		return e.Run.Began.Add(RunBound)
	case Waiting:
	}
	var next time.Time
	for _, t := range e.Due {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if !next.IsZero() && next.Before(e.Pause.Until) {
		return e.Pause.Until
	}
	return next
}

// unanswered tells whether something is wanted for which a run must be due.
func (e *Entry) unanswered() bool { return e.Wanted.After(e.Settled) && e.Wanted.After(e.Cancelled) }

// asked remembers the id of a request of a person.
func (e *Entry) asked(request string) {
	if request != "" {
		e.Requests = append([]string{request}, e.Requests[:min(len(e.Requests), MaxRequests-1)]...)
	}
}

// DueCause is the first cause in order that is due at now, with its time; None when nothing is.
func (e *Entry) DueCause(now time.Time) (Cause, time.Time) {
	for c := Manual; c <= Periodicity; c++ {
		if t := e.Due[c]; !t.IsZero() && !t.After(now) {
			return c, t
		}
	}
	return None, time.Time{}
}

// NextCause names the next run: the cause that is due, else the one that will be due first.
func (e *Entry) NextCause(now time.Time) (Cause, time.Time) {
	if c, t := e.DueCause(now); c != None {
		return c, t
	}
	cause, at := None, time.Time{}
	for c := Manual; c <= Periodicity; c++ {
		if t := e.Due[c]; !t.IsZero() && (at.IsZero() || t.Before(at)) {
			cause, at = c, t
		}
	}
	return cause, at
}

// due makes the entry due for a cause, at the earlier of two times.
func (e *Entry) due(c Cause, at time.Time) {
	if e.Due[c].IsZero() || at.Before(e.Due[c]) {
		e.Due[c] = at
	}
}

// answer clears what a run of generation g answers: everything but bangs and changes that came later (the dirty mark).
func (e *Entry) answer(g Generation) {
	first := g.After(e.Answered)
	e.Answered = newest(e.Answered, g)
	if !e.BangWanted.After(g) {
		e.Due[FromBang] = time.Time{}
		e.FirstBang, e.LastBang = 0, 0
	} else if first && e.FirstBang != 0 {
		// Of the bangs that came during the run the oldest known begins the next count.
		for _, b := range e.Bangs {
			if b.Generation.After(g) {
				e.FirstBang = b.Number
			}
		}
	}
	if !e.Changed.After(g) {
		e.Due[Changed] = time.Time{}
	}
}

// begin clears what any run answers, whatever its generation.
func (e *Entry) begin() {
	for _, c := range [...]Cause{Manual, Boot, Retry, Periodicity} {
		e.Due[c] = time.Time{}
	}
}

// succeed makes the periodic run follow from a success at the given time (docs/rules.md, periodicity).
func (e *Entry) succeed(at time.Time) {
	e.Attempt, e.ErrorType, e.Result = 0, "", ""
	e.Ran = at
	e.Due[Retry] = time.Time{}
	e.periodic(at)
}

// fail makes the retry due after the growing delay, from at on but never more than the delay after now (docs/rules.md, growing delay).
// The periodic run is suspended: a promise that never passes must not run once a minute because its release asks for it.
func (e *Entry) fail(at, now time.Time) {
	limit := MaxDelay
	if e.ErrorType == Unavailable {
		limit = MaxUnavailableDelay
	}
	if at.After(now) {
		at = now
	}
	e.Due[Retry] = at.Add(backoff.Delay(e.Attempt, e.key, FirstDelay, limit))
	e.Due[Periodicity] = time.Time{}
}

// periodic sets the periodic run to the first point of the partition's grid after since, unless a retry is due.
func (e *Entry) periodic(since time.Time) {
	if !e.Due[Retry].IsZero() {
		e.Due[Periodicity] = time.Time{}
		return
	}
	e.Due[Periodicity] = backoff.NextInGrid(e.key, e.Period, since)
}

// step moves the state; a step that is not possible is a bug of this package, which Check would show as well.
func (e *Entry) step(s Step) {
	next, ok := e.State.Next(s)
	if !ok {
		panic("cannot take this step in state " + e.State.String())
	}
	e.State = next
	if next == Waiting {
		e.Run = Run{}
	}
}

// clone copies the entry.
func (e *Entry) clone() *Entry {
	c := *e
	c.Bangs = append([]Bang(nil), e.Bangs...)
	c.Requests = append([]string(nil), e.Requests...)
	c.decisions = append([]Decision(nil), e.decisions...)
	c.line = nil
	return &c
}
