package fleet

import "time"

// Pause is the newest pause of a tree, or the end of one: while it lasts no run of the tree begins (maintenance).
type Pause struct {
	// Generation that the pause, or its end, made: readings of it may overtake each other. Zero = the tree was never paused.
	Generation Generation
	// Until is when it ends; zero = it was ended by hand.
	Until time.Time
	// At is when it was paused, or ended.
	At time.Time
	// Reason is for people; By is who, as the caller says.
	Reason, By string
}

// MaxPause is how long a pause may last: maintenance that takes longer is told of again, so that nothing is forgotten in a pause.
const MaxPause = 30 * 24 * time.Hour

// PauseTree pauses the tree, or replaces its pause.
type PauseTree struct {
	// For is how long from now on; zero = MaxPause.
	For        time.Duration
	Reason, By string
	Trace      Trace
}

// ResumeTree ends a pause.
type ResumeTree struct {
	By    string
	Trace Trace
}

// PauseTree keeps runs of the tree from beginning. Errors: InvalidArgument, FailedPrecondition (it is being destroyed).
func (t *Tree) PauseTree(e PauseTree, now time.Time) (Pause, Effects, error) {
	switch {
	case e.For < 0 || e.For > MaxPause:
		return Pause{}, Effects{}, invalid("duration", "cannot pause tree %q for %s: at most %s", t.Title, e.For, MaxPause)
	case t.Doomed():
		return Pause{}, Effects{}, fail(FailedPrecondition, "cannot pause tree %q: it is being destroyed", t.Title)
	case e.For == 0:
		e.For = MaxPause
	}
	return t.pause(Pause{Until: now.Add(e.For), Reason: e.Reason, By: e.By}, e.Trace, now)
}

// ResumeTree lets runs begin again. A tree that is not paused stays as it is. It never fails.
func (t *Tree) ResumeTree(e ResumeTree, now time.Time) (Pause, Effects, error) {
	if !t.Paused(now) {
		return t.Pause, Effects{}, nil
	}
	return t.pause(Pause{By: e.By}, e.Trace, now)
}

// pause replaces the pause and tells the feed: whoever follows reads the allocations of a tree whose membership has another version.
func (t *Tree) pause(p Pause, trace Trace, now time.Time) (Pause, Effects, error) {
	p.Generation, p.At = t.next(), now
	kind, reason := AuditPaused, "until "+p.Until.UTC().Format(time.RFC3339)
	if p.Until.IsZero() {
		kind, reason = AuditResumed, "it was paused "+t.Pause.words()[len("paused "):]
	} else if p.Reason != "" {
		reason += ": " + p.Reason
	}
	t.Pause = p
	t.Membership++
	return p, Effects{
		Audit:   []AuditEntry{{Kind: kind, Title: t.Title, Reason: head(reason)}},
		Changed: Changed{Header: true},
		Feed:    []FeedEntry{{Kind: FeedChanged, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, At: now, Trace: trace}},
	}, nil
}

// Paused tells whether no run of the tree may begin.
func (t *Tree) Paused(now time.Time) bool { return now.Before(t.Pause.Until) }

// words says that the tree is paused.
func (p Pause) words() string {
	text := "paused until " + p.Until.UTC().Format(time.RFC3339)
	if p.By != "" {
		text += " by " + p.By
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}
