package fleet

import (
	"slices"
	"time"
)

// Convergence is what follows a bang, until each partition of the tree has run successfully since.
//
//	  bang accepted
//	       │
//	       ▼      bang joined (counted), a member ran
//	┌───  Open  ◀──────┐
//	│      │  └────────┘
//	│      ├─ the last bang awaiting is satisfied ──▶ Converged
//	│      ├─ the root is destroyed ────────────────▶ Superseded
//	└──────┴─ by hand, or open for 24 h ────────────▶ Abandoned
//
// A failed run keeps it open. Joined bangs do not make it grow: they are kept as (count, newest generation, the first and the last few).
type Convergence struct {
	// ID is `<tree>.c<n>`, Number the n.
	ID     string
	Number uint64
	TreeID string
	// Title of the root when it opened.
	Title string
	State ConvergenceState
	// Bang, Origin and Source of the bang that opened it; Trace is the context of its `bang` span.
	BangID string
	Origin Origin
	Source string
	Trace  Trace
	// Joined counts the bangs that joined.
	Joined uint64
	// Satisfied counts the bangs that were satisfied.
	Satisfied uint64
	OpenedAt  time.Time
	// ClosedAt and Reason are set when it ended.
	ClosedAt time.Time
	Reason   string
	// Whole is true when it concerns the whole tree; else Origins are the instances whose chains of requesters it concerns, at most MaxScopes.
	Whole   bool
	Origins []string
	// Awaiting are the bangs that are not satisfied, by scope; never empty while open, at most MaxScopes and one.
	Awaiting []Awaiting
	// Timeline is the moments in the order in which they were told, at most MaxTimeline; Moments sorts them.
	Timeline []TimelineEntry
	// Dropped counts the moments that were not kept.
	Dropped uint64
	// Members and NotWaitedFor are set when it ended: the progress of each member at that moment, and who was not waited for, with the reason.
	Members      []Member
	NotWaitedFor []string
}

// Awaiting is the bangs of one scope that are not satisfied, in two groups: Current is waited for; bangs that come meanwhile gather in Next.
type Awaiting struct {
	// Instance whose chain of requesters is the scope; empty = the whole tree.
	Instance string
	Current  Group
	Next     Group
}

// Group is bangs that are told satisfied together: when every member of the scope has settled Generation, that of the newest. So a bang that came while
// others awaited may be told satisfied up to one round of runs late, never early; the first one of a convergence, and its end, are exact.
type Group struct {
	Count uint64
	// Generation of the newest of them.
	Generation Generation
	// First and Last of them, oldest first: at most MaxBangsTold each, no bang in both.
	First, Last []BangRef
}

// BangRef is a bang that awaits.
type BangRef struct {
	Number     uint64
	Generation Generation
	At         time.Time
}

// TimelineEntry is one moment.
type TimelineEntry struct {
	At         time.Time
	Moment     Moment
	InstanceID string
	RunID      string
	// Name of the step, promise or process.
	Name     string
	Duration time.Duration
	Result   Result
	Text     string
	// Folds counts the joined bangs told by this one entry.
	Folds uint64
}

// Step is one step of a run as its node reports it.
type Step struct {
	Name string
	// Offset since BeginRun, by the node's monotonic clock.
	Offset, Duration time.Duration
	Result           Result
}

// Abandon ends the open convergence by hand.
type Abandon struct {
	// ConvergenceID, or empty for whichever is open.
	ConvergenceID string
	// Reason, and who, in words.
	Reason string
	Trace  Trace
}

// Tick lets time pass: a convergence that is open for 24 h is abandoned. Once a minute per tree with an open convergence is often enough.
type Tick struct{}

// Closing is the answer of Abandon and Tick.
type Closing struct {
	// ConvergenceID that ended; empty = none.
	ConvergenceID string
}

// Abandon ends the open convergence by hand. Errors: NotFound when it is not open.
func (t *Tree) Abandon(e Abandon, now time.Time) (Closing, Effects, error) {
	if t.Convergence == nil {
		return Closing{}, Effects{}, fail(NotFound, "cannot abandon a convergence of tree %s: none is open", t.ID)
	}
	if e.ConvergenceID != "" && e.ConvergenceID != t.Convergence.ID {
		return Closing{}, Effects{}, fail(NotFound, "cannot abandon convergence %s: it is not open", e.ConvergenceID)
	}
	reason := e.Reason
	if reason == "" {
		reason = "by hand"
	}
	fx := Effects{Audit: []AuditEntry{{Kind: AuditAbandoned, Title: t.Title, Reason: head(reason)}}}
	t.close(&fx, Abandoned, reason, e.Trace, now)
	return Closing{ConvergenceID: fx.Closed.ID}, fx, nil
}

// Tick lets time pass. It never fails.
func (t *Tree) Tick(_ Tick, now time.Time) (Closing, Effects, error) {
	if t.Convergence == nil || now.Sub(t.Convergence.OpenedAt) < AbandonAfter {
		return Closing{}, Effects{}, nil
	}
	fx := Effects{Audit: []AuditEntry{{Kind: AuditAbandoned, System: SystemTime, Title: t.Title, Reason: "open for 24 h"}}}
	t.close(&fx, Abandoned, "open for 24 h", Trace{}, now)
	return Closing{ConvergenceID: fx.Closed.ID}, fx, nil
}

// open opens a convergence for a bang.
func (t *Tree) open(fx *Effects, bang *BangRecord) {
	t.LastConvergence++
	c := &Convergence{
		ID: t.id('c', t.LastConvergence), Number: t.LastConvergence, TreeID: t.ID, Title: t.Title, State: Open,
		BangID: bang.ID, Origin: bang.Origin, Source: bang.Source, Trace: bang.Trace, OpenedAt: bang.At,
	}
	t.Convergence = c
	fx.Changed.Header, fx.Changed.Convergence = true, true
	noticed := bang.NoticedAt
	if noticed.IsZero() || noticed.After(bang.At) {
		noticed = bang.At // the clock of who noticed is only shown, and never later than the record
	}
	c.tell(fx, TimelineEntry{At: noticed, Moment: MomentNoticed, InstanceID: bang.InstanceID, Name: bang.Source, Text: head(bang.Message)})
	c.tell(fx, TimelineEntry{At: bang.At, Moment: MomentBanged, InstanceID: bang.InstanceID, Name: bang.Source})
}

// covers tells whether a bang of a scope concerns nobody that the convergence does not concern already.
func (t *Tree) covers(c *Convergence, scope string) bool {
	if scope != "" {
		return t.concerned(c, scope)
	}
	return c.Whole || slices.ContainsFunc(c.Awaiting, func(a Awaiting) bool { return a.Instance == "" })
}

// concerned tells whether the convergence concerns an instance: by what it awaits, or awaited before.
func (t *Tree) concerned(c *Convergence, id string) bool {
	for i := range c.Awaiting {
		if of := c.Awaiting[i].Instance; of == "" || t.above(id, of) {
			return true
		}
	}
	return c.Whole || slices.ContainsFunc(c.Origins, func(origin string) bool { return t.above(id, origin) })
}

// await adds a bang to the ones of its scope.
func (t *Tree) await(c *Convergence, scope string, bang BangRef) {
	switch {
	case scope == "":
		c.Whole = true
	case !slices.Contains(c.Origins, scope):
		c.Origins = append(c.Origins, scope)
	}
	at := slices.IndexFunc(c.Awaiting, func(a Awaiting) bool { return a.Instance == scope })
	if at < 0 {
		c.Awaiting = append(c.Awaiting, Awaiting{Instance: scope})
		at = len(c.Awaiting) - 1
		t.index.behind = append(t.index.behind, 0)
	}
	a := &c.Awaiting[at]
	if a.Current.Count > 0 {
		a.Next.add(bang)
		return
	}
	a.Current.add(bang)
	t.index.behind[at] = t.behind(a.Instance, a.Current.Generation)
}

func (g *Group) add(bang BangRef) {
	g.Count++
	g.Generation = newer(g.Generation, bang.Generation)
	switch {
	case len(g.First) < MaxBangsTold:
		g.First = append(g.First, bang)
	case len(g.Last) < MaxBangsTold:
		g.Last = append(g.Last, bang)
	default:
		copy(g.Last, g.Last[1:])
		g.Last[MaxBangsTold-1] = bang
	}
}

// progress satisfies what can be, and closes the convergence when nothing awaits any more. Called after a member settled, left or stopped.
func (t *Tree) progress(fx *Effects, trace Trace, now time.Time) {
	c := t.Convergence
	if c == nil {
		return
	}
	d := t.view()
	for at := 0; at < len(c.Awaiting); {
		a := &c.Awaiting[at]
		if d.behind[at] > 0 {
			at++
			continue
		}
		fx.Satisfied = append(fx.Satisfied, a.Current)
		fx.Changed.Convergence = true
		c.Satisfied += a.Current.Count
		c.tell(fx, TimelineEntry{At: now, Moment: MomentSatisfied, InstanceID: a.Instance, Folds: a.Current.Count - 1})
		if a.Next.Count > 0 {
			a.Current, a.Next = a.Next, Group{}
			d.behind[at] = t.behind(a.Instance, a.Current.Generation)
			continue
		}
		c.Awaiting = slices.Delete(c.Awaiting, at, at+1)
		d.behind = slices.Delete(d.behind, at, at+1)
	}
	if len(c.Awaiting) == 0 {
		t.close(fx, Converged, "", trace, now)
	}
}

// close ends the open convergence.
func (t *Tree) close(fx *Effects, state ConvergenceState, reason string, trace Trace, now time.Time) {
	c := t.Convergence
	c.Members, c.NotWaitedFor = t.Members(nil, now, time.Time{})
	c.State, c.ClosedAt, c.Reason = state, now, reason
	c.tell(fx, TimelineEntry{At: now, Moment: MomentClosed, Name: state.String(), Text: reason})
	t.Convergence = nil
	if t.index != nil {
		t.index.behind = nil
	}
	fx.Closed = c
	fx.Changed.Convergence = true
	fx.Feed = append(fx.Feed, FeedEntry{
		Kind: FeedClosed, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, At: now, ConvergenceID: c.ID, Trace: trace,
	})
}

// tell adds a moment. Joined bangs in a row are one moment; beyond the bound moments are counted, and only the end is still told.
func (c *Convergence) tell(fx *Effects, e TimelineEntry) {
	last := len(c.Timeline) - 1
	switch {
	case e.Moment == MomentJoined && last >= 0 && c.Timeline[last].Moment == MomentJoined:
		c.Timeline[last].Folds += e.Folds
		fx.Changed.timeline(last)
	case len(c.Timeline) < MaxTimeline:
		c.Timeline = append(c.Timeline, e)
		fx.Changed.timeline(last + 1)
	case e.Moment == MomentClosed:
		c.Timeline[last] = e
		c.Dropped++
		fx.Changed.timeline(last)
	default:
		c.Dropped++
		fx.Changed.Convergence = true
	}
}

// Moments is the timeline in the order of time; what came at one instant stays in the order in which it was told.
func (c *Convergence) Moments() []TimelineEntry {
	moments := slices.Clone(c.Timeline)
	slices.SortStableFunc(moments, func(a, b TimelineEntry) int { return a.At.Compare(b.At) })
	return moments
}

// Duration is how long it lasted, or has lasted.
func (c *Convergence) Duration(now time.Time) time.Duration {
	if c.State != Open {
		now = c.ClosedAt
	}
	return max(now.Sub(c.OpenedAt), 0)
}

// head is the beginning of a text for people, cut at a character.
func head(s string) string { return headOf(s, MaxTextKept) }

// headOf is the beginning of a text, cut at a character.
func headOf(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut]
}

// tail is the end of an error, cut at a character: the end of an error tells most.
func tail(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := len(s) - limit
	for cut < len(s) && s[cut]&0xC0 == 0x80 {
		cut++
	}
	return s[cut:]
}
