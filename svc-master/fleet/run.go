package fleet

import (
	"slices"
	"time"
)

// The life of a run:
//
//	       BeginRun (token+1)                 ReportRun of this token
//	 ──────────────────────────▶ in progress ─────────────────────────▶ ended: success or failure
//	                              │
//	                              └─ BeginRun of another run, or the allocation ends ──▶ superseded: its report is refused
//
// A local run was made by the node while svc-master was away: it is reported only, without having begun here.

// BeginRun is a node about to run a partition.
type BeginRun struct {
	AllocationID string
	// RunID is the key.
	RunID   string
	Cause   Cause
	Attempt uint32
	// DueAt and OrderedAt are by svc-scheduler's clock; for the timeline.
	DueAt, OrderedAt time.Time
	Trace            Trace
}

// BeginRunAnswer is what to do; what is wanted is read from the tree by the instance.
type BeginRunAnswer struct {
	// Token of this run.
	Token uint64
	// Wanted is the generation that a success of this run settles.
	Wanted Generation
	// InstanceID of the partition, and what is wanted of it.
	InstanceID string
	State      State
}

// BeginRun raises the partition's token and returns what is wanted now. The same run gets the same token and generation again as long as no newer run began.
// Errors: InvalidArgument, FailedPrecondition (the allocation is not current, a newer run began, the run has ended).
func (t *Tree) BeginRun(e BeginRun, now time.Time) (BeginRunAnswer, Effects, error) {
	if e.RunID == "" {
		return BeginRunAnswer{}, Effects{}, invalid("run_id", "cannot begin a run of %s: it has no id", e.AllocationID)
	}
	m := t.view().members[e.AllocationID]
	if m == nil {
		return BeginRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot begin run %s: %s is not a current allocation", e.RunID, e.AllocationID)
	}
	p, state := m.partition, t.Desired(m.instance)
	if p.Run != nil && p.Run.ID == e.RunID {
		if p.Run.Destroys {
			state = Destroyed // an answer may be repeated after more is wanted, but never after less
		}
		return BeginRunAnswer{Token: p.Run.Token, Wanted: p.Run.Wanted, InstanceID: p.InstanceID, State: state}, Effects{}, nil
	}
	if ended := p.ended(e.RunID); ended != nil {
		if ended.Superseded {
			return BeginRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot begin run %s: a newer run of %s began", e.RunID, e.AllocationID)
		}
		return BeginRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot begin run %s: it has ended", e.RunID)
	}

	if t.Paused(now) {
		return BeginRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot begin run %s of tree %q: it is %s", e.RunID, t.Title, t.Pause.words())
	}

	var fx Effects
	fx.Changed.partition(p.InstanceID)
	if p.Run != nil {
		p.remember(Ended{RunID: p.Run.ID, Superseded: true})
	}
	p.paced(now)
	p.Token++
	p.Run = &Run{
		ID: e.RunID, Token: p.Token, Wanted: t.Wanted(p), Cause: e.Cause, Attempt: e.Attempt, BegunAt: now, Destroys: state == Destroyed, Trace: e.Trace,
	}
	p.Awaiting = 0
	p.begunRows()
	fx.Feed = []FeedEntry{{
		Kind: FeedBegun, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, InstanceIDs: []string{p.InstanceID},
		Computer: p.Computer, Partition: p.Name, AllocationID: p.AllocationID,
		Run: &RunHint{ID: e.RunID, Token: p.Token, Generation: p.Run.Wanted}, At: now, Trace: e.Trace,
	}}
	if c := t.Convergence; c != nil && t.concerned(c, p.InstanceID) {
		if !e.DueAt.IsZero() {
			c.tell(&fx, TimelineEntry{At: earlier(e.DueAt, now), Moment: MomentDue, InstanceID: p.InstanceID, RunID: e.RunID, Name: e.Cause.String()})
		}
		if !e.OrderedAt.IsZero() {
			c.tell(&fx, TimelineEntry{At: earlier(e.OrderedAt, now), Moment: MomentOrdered, InstanceID: p.InstanceID, RunID: e.RunID})
		}
		c.tell(&fx, TimelineEntry{At: now, Moment: MomentBegun, InstanceID: p.InstanceID, RunID: e.RunID, Name: e.Cause.String()})
	}
	return BeginRunAnswer{Token: p.Token, Wanted: p.Run.Wanted, InstanceID: p.InstanceID, State: state}, fx, nil
}

// ReportRun tells how a run ended.
type ReportRun struct {
	AllocationID string
	// RunID is the key.
	RunID string
	// Token from BeginRun. Of a local run: the last token that the node had been given for this allocation, 0 = none.
	Token  uint64
	Result Result
	// Error in full; ErrorType its class.
	Error, ErrorType string
	// Changed is true when the run changed something.
	Changed          bool
	Verdicts         []Verdict
	EvaluatedLocally bool
	Steps            []Step
	Duration         time.Duration
	// Local is set for a run that the node made by itself.
	Local *LocalRun
	// Cause of a local run.
	Cause Cause
	// RetainedUntil is until when the node keeps the content of a destroyed instance; zero = it does not. Such a success does not end the allocation.
	RetainedUntil time.Time
	// Problems are what is wrong with the partition though no run fails of it; those beyond MaxProblems are cut off.
	Problems []string
	Trace    Trace
	// Requested is what the run requested; nil = it does not tell.
	Requested *Requested
}

// LocalRun orders the runs that a node made by itself.
type LocalRun struct {
	BootID string
	// Sequence counts the local runs of this boot, from 1.
	Sequence uint64
}

// Verdict is what the window of a promise says.
type Verdict struct {
	Promise             string
	TestFailed, Anomaly bool
}

// ReportRunAnswer is what the report did.
type ReportRunAnswer struct {
	// Settled is the generation settled; zero when the run was no success, or local.
	Settled Generation
	// ClosedConvergenceID is the convergence that it closed; empty = none.
	ClosedConvergenceID string
	// WantedMore is true when more is wanted of the partition already.
	WantedMore bool
}

// ReportRun settles exactly the generation that BeginRun returned, when the run was a success. A repeated report gets the first answer.
// Errors: InvalidArgument, FailedPrecondition (the allocation, the run or its token is not current).
func (t *Tree) ReportRun(e ReportRun, now time.Time) (ReportRunAnswer, Effects, error) {
	switch {
	case e.RunID == "":
		return ReportRunAnswer{}, Effects{}, invalid("run_id", "cannot report a run of %s: it has no id", e.AllocationID)
	case e.Result < Success || e.Result > ResultError:
		return ReportRunAnswer{}, Effects{}, invalid("result", "cannot report run %s: result %d is unknown", e.RunID, e.Result)
	}
	m := t.view().members[e.AllocationID]
	if m == nil {
		return ReportRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot report run %s: %s is not a current allocation", e.RunID, e.AllocationID)
	}
	p := m.partition
	if ended := p.ended(e.RunID); ended != nil {
		if ended.Superseded {
			return ReportRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot report run %s: a newer run of %s began", e.RunID, e.AllocationID)
		}
		return ended.Answer, Effects{}, nil
	}
	if e.Local != nil {
		return t.reportLocal(&e, m, now)
	}
	if p.Run == nil || p.Run.ID != e.RunID || p.Run.Token != e.Token {
		return ReportRunAnswer{}, Effects{}, fail(FailedPrecondition, "cannot report run %s: it is not the run in progress of %s, or %d is not its token", e.RunID, e.AllocationID, e.Token)
	}
	return t.reportRun(&e, m, now)
}

func (t *Tree) reportRun(e *ReportRun, m *member, now time.Time) (ReportRunAnswer, Effects, error) {
	p, run := m.partition, m.partition.Run
	var fx Effects
	fx.Changed.partition(p.InstanceID)
	unsettled := t.Unsettled()

	p.Run = nil
	report := p.conclude(e, run.Cause, now)
	p.reportedRows(run.Token, e, now)
	if !run.Published {
		p.Publishing = Publishing{}
	}
	var answer ReportRunAnswer
	if e.Result == Success {
		first, before := p.LastSuccessRunID == "", p.Settled
		p.answered(run.Token, now)
		p.LastSuccessRunID = e.RunID
		answer.Settled = run.Wanted
		t.settle(m, run.Wanted)
		t.served(&fx, p, before)
		if first {
			t.firstReady(&fx, m.instance, e.Trace, now)
		}
		t.collect(&fx, m.instance, e.Requested, e.Trace, now)
	}
	fx.Run = &EndedRun{
		InstanceID: p.InstanceID, AllocationID: p.AllocationID, Computer: p.Computer, Partition: p.Name, Report: *report, Wanted: run.Wanted, Steps: e.Steps, BegunAt: run.BegunAt,
	}
	t.tellReported(&fx, p, e, run, report, now)
	t.judge(&fx, m.instance, now)
	answer.WantedMore = p.Settled.Less(t.Wanted(p))
	p.RetainedUntil = e.RetainedUntil
	if e.Result == Success && run.Destroys && e.RetainedUntil.IsZero() {
		fx.Keep = true // what recognises the report is gone with the allocation
		t.remove(&fx, m.instance, e.Trace, now)
		answer.WantedMore = false
	}
	t.progress(&fx, e.Trace, now)
	if fx.Closed != nil {
		answer.ClosedConvergenceID = fx.Closed.ID
	}
	p.remember(Ended{RunID: e.RunID, Answer: answer})
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// settle raises what a member has settled, and counts it off where the convergence waited for it.
func (t *Tree) settle(m *member, wanted Generation) {
	p := m.partition
	before := p.Settled
	if !before.Less(wanted) {
		return
	}
	t.moved(p, func() { p.Settled = wanted })
	c := t.Convergence
	if c == nil || !m.waited() {
		return
	}
	for at := range c.Awaiting {
		a := &c.Awaiting[at]
		if before.Less(a.Current.Generation) && !wanted.Less(a.Current.Generation) && (a.Instance == "" || t.above(m.instance.ID, a.Instance)) {
			t.index.behind[at]--
		}
	}
}

// tellReported tells the feed and the timeline of a run that ended.
func (t *Tree) tellReported(fx *Effects, p *Partition, e *ReportRun, run *Run, report *Report, now time.Time) {
	hint := &RunHint{ID: e.RunID, Result: e.Result, ErrorType: e.ErrorType}
	if run != nil {
		hint.Token, hint.Generation = run.Token, run.Wanted
	}
	fx.Feed = append(fx.Feed, FeedEntry{
		Kind: FeedReported, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, InstanceIDs: []string{p.InstanceID},
		Computer: p.Computer, Partition: p.Name, AllocationID: p.AllocationID, Run: hint, At: now, Trace: e.Trace,
	})
	c := t.Convergence
	if c == nil || run == nil || !t.concerned(c, p.InstanceID) {
		return
	}
	if p.RunsOf != c.Number {
		p.RunsOf, p.RunsIn = c.Number, 0
	}
	p.RunsIn++
	for _, s := range e.Steps {
		c.tell(fx, TimelineEntry{
			At: earlier(run.BegunAt.Add(s.Offset+s.Duration), now), Moment: MomentStep, InstanceID: p.InstanceID, RunID: e.RunID, Name: s.Name, Duration: s.Duration, Result: s.Result,
		})
	}
	c.tell(fx, TimelineEntry{
		At: now, Moment: MomentReported, InstanceID: p.InstanceID, RunID: e.RunID, Name: e.ErrorType, Duration: e.Duration, Result: e.Result, Text: tail(report.Error, MaxTextKept),
	})
}

// reportLocal accepts a run that the node made by itself into history. It settles nothing, as nobody told it what was wanted; it sets the colour only if it
// is the newest local run and no BeginRun came since (docs/rules.md, autonomy).
func (t *Tree) reportLocal(e *ReportRun, m *member, now time.Time) (ReportRunAnswer, Effects, error) {
	if e.Local.BootID == "" || e.Local.Sequence == 0 {
		return ReportRunAnswer{}, Effects{}, invalid("local", "cannot report local run %s: it needs a boot id and a sequence from 1", e.RunID)
	}
	p := m.partition
	var fx Effects
	fx.Changed.partition(p.InstanceID)
	newest := p.booted(*e.Local)
	var report *Report
	if newest && p.Run == nil && e.Token == p.Token {
		report = p.conclude(e, e.Cause, now)
		p.RetainedUntil = e.RetainedUntil
		if e.Result == Success {
			p.LastSuccessRunID = e.RunID
			p.answeredLocally(now)
		}
		t.tellReported(&fx, p, e, nil, report, now)
		t.judge(&fx, m.instance, now)
	} else {
		report = newReport(e, e.Cause, 1, now) // history: it tells followers nothing about now
	}
	fx.Run = &EndedRun{InstanceID: p.InstanceID, AllocationID: p.AllocationID, Computer: p.Computer, Partition: p.Name, Report: *report, Steps: e.Steps}
	answer := ReportRunAnswer{WantedMore: p.Settled.Less(t.Wanted(p))}
	p.remember(Ended{RunID: e.RunID, Answer: answer})
	return answer, fx, nil
}

// booted notes a local run and tells whether it is the newest: of the newest boot heard of, and after all others of that boot.
func (p *Partition) booted(l LocalRun) bool {
	at := slices.IndexFunc(p.Boots, func(b Boot) bool { return b.ID == l.BootID })
	if at < 0 {
		if len(p.Boots) == MaxBoots {
			p.Boots = slices.Delete(p.Boots, 0, 1)
		}
		p.Boots = append(p.Boots, Boot{ID: l.BootID, Sequence: l.Sequence})
		return true
	}
	if l.Sequence <= p.Boots[at].Sequence {
		return false
	}
	p.Boots[at].Sequence = l.Sequence
	return at == len(p.Boots)-1
}

// conclude makes a report the latest run of the partition.
func (p *Partition) conclude(e *ReportRun, cause Cause, now time.Time) *Report {
	report := newReport(e, cause, p.FailuresInRow+1, now)
	if p.Latest == nil || (p.Latest.Result == Success) != (e.Result == Success) || e.Result == Success && p.stale(now) {
		p.ResultSince = now
	}
	if e.Result == Success {
		p.FailuresInRow = 0
	} else {
		p.FailuresInRow++
	}
	p.Latest = report
	return report
}

func newReport(e *ReportRun, cause Cause, attempt uint32, now time.Time) *Report {
	return &Report{
		RunID: e.RunID, Cause: cause, Result: e.Result, Error: tail(e.Error, MaxErrorKept), ErrorType: e.ErrorType, ReportedAt: now, Duration: e.Duration,
		Attempt: attempt, EvaluatedLocally: e.EvaluatedLocally, Changed: e.Changed, Local: e.Local != nil,
		Problems: e.Problems[:min(len(e.Problems), MaxProblems)],
	}
}

// answered ends the alarms that a success of the run of token answers: those before it began.
func (p *Partition) answered(token uint64, now time.Time) {
	if p.Alarm != nil && token > p.Alarm.Token {
		p.Alarm, p.ResultSince = nil, now
	}
	if p.Warning != nil && token > p.Warning.Token {
		p.Warning = nil
	}
}

// answeredLocally ends withheld alarms after a local success; the run that a sent one made is still to come, and ends it.
func (p *Partition) answeredLocally(now time.Time) {
	if p.Alarm != nil && !p.Alarm.Outcome.Wakes() {
		p.Alarm, p.ResultSince = nil, now
	}
	p.Warning = nil
}

func (p *Partition) ended(run string) *Ended {
	for i := range p.Recent {
		if p.Recent[i].RunID == run {
			return &p.Recent[i]
		}
	}
	return nil
}

func (p *Partition) remember(e Ended) {
	if len(p.Recent) < MaxRecentRuns {
		p.Recent = append(p.Recent, e)
		return
	}
	copy(p.Recent, p.Recent[1:])
	p.Recent[MaxRecentRuns-1] = e
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
