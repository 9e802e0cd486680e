package fleet

import (
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// Bang tells that a promise or a process of a partition is broken, or that somebody wants the tree to run again.
type Bang struct {
	// RequestID is the key of a manual or computer bang, kept by the store. Bangs of promises and processes are recognised here, by (allocation, source,
	// last successful run, run in progress, exit sequence).
	RequestID string
	// AllocationID of the partition that bangs; empty = the tree, for manual and computer bangs only.
	AllocationID string
	Origin       Origin
	// Source is the name of the promise or process, or who bangs.
	Source string
	// Message is what was noticed, for people.
	Message string
	// LastSuccessRunID and RunInProgress are the partition's runs as the source knows them.
	LastSuccessRunID, RunInProgress string
	// NoticedAt by the clock of who noticed; only shown.
	NoticedAt time.Time
	// NotAllowed is true when the promise may not bang.
	NotAllowed bool
	// ExitSequence counts the exits of the process.
	ExitSequence uint64
	// Up is how long the process had been up.
	Up time.Duration
	// Trace is the context of the `bang` span.
	Trace Trace
}

// BangAnswer is what was decided.
type BangAnswer struct {
	BangID  string
	Number  uint64
	Outcome Outcome
	// Reason in words, when it was withheld or waits.
	Reason string
	// ConvergenceID that it opened or joined.
	ConvergenceID string
	// Generation that it made.
	Generation Generation
	// Until is when the quota opens again, of a refused one.
	Until time.Time
	// Delay of a futile one.
	Delay time.Duration
	// Trace of the bang.
	Trace Trace
}

// Err is the error that a refused bang is answered with, after its effects are committed; nil for every other outcome.
func (a *BangAnswer) Err() error {
	if a.Outcome != Refused {
		return nil
	}
	return &Error{Kind: Exhausted, Until: a.Until, Message: "cannot bang tree " + TreeID(a.BangID) + ": " + strings.TrimPrefix(a.Reason, "refused: ")}
}

// Bang decides about a bang. The first that applies decides (docs/rules.md: a withheld bang, futile bangs, quota, scope):
//
//  1. its key was seen: the first answer, no effects;
//  2. the allocation is not current: FailedPrecondition;
//  3. it is not allowed to bang: NotAllowed, a warning;
//  4. of a promise or process while an earlier bang of the partition awaits BeginRun, or while its latest run failed and none is in progress: Muted;
//  5. from the third futile in a row of its source: it goes on with a delay, and is Futile instead of Accepted or Joined;
//  6. a convergence is open and concerns all that it concerns: Joined;
//  7. the quota is used up: Refused;
//  8. Accepted: a convergence opens; or Joined when one is open and widened.
//
// Errors: InvalidArgument, FailedPrecondition (allocation not current; the instance or the tree is destroyed). A refused bang is recorded, so it is no
// error here: see [BangAnswer.Err].
func (t *Tree) Bang(e Bang, now time.Time) (BangAnswer, Effects, error) {
	if err := e.check(t); err != nil {
		return BangAnswer{}, Effects{}, err
	}
	d := t.view()
	var m *member
	var key string
	if e.AllocationID != "" {
		if m = d.members[e.AllocationID]; m == nil {
			return BangAnswer{}, Effects{}, fail(FailedPrecondition, "cannot bang for %s: it is not a current allocation", e.AllocationID)
		}
		if e.sensed() {
			key = e.sensedKey()
			for i := range m.partition.Keys {
				if m.partition.Keys[i].Key == key {
					return m.partition.Keys[i].Answer, Effects{}, nil
				}
			}
		}
		if m.instance.State == Destroyed {
			return BangAnswer{}, Effects{}, fail(FailedPrecondition, "cannot bang for %s: instance %q is being destroyed", e.AllocationID, m.instance.Title)
		}
	}
	if t.Doomed() || t.RootID == "" {
		return BangAnswer{}, Effects{}, fail(FailedPrecondition, "cannot bang tree %s: it is destroyed", t.ID)
	}

	unsettled := d.unsettled > 0
	t.LastBang++
	fx := Effects{Keep: !e.sensed() && e.RequestID != "", Changed: Changed{Header: true}}
	bang := &BangRecord{
		ID: t.id('b', t.LastBang), Number: t.LastBang, Origin: e.Origin, Source: e.Source, Message: e.Message, At: now, NoticedAt: e.NoticedAt, Trace: e.Trace,
	}
	fx.Bang = bang
	answer := BangAnswer{BangID: bang.ID, Number: bang.Number, Trace: e.Trace}
	if m != nil {
		bang.InstanceID = m.instance.ID
		fx.Changed.partition(m.instance.ID)
	}

	bang.Outcome, bang.Reason = withhold(&e, m)
	if bang.Outcome == OutcomeUnspecified {
		bang.Delay, bang.Reason = futile(&e, m, now)
		answer.Until = t.wake(&fx, &e, m, now)
	} else {
		t.tellWithheld(&fx, bang, now)
	}
	if m != nil {
		m.partition.alarm(bang, now)
		t.judge(&fx, m.instance, now)
	}
	if !e.sensed() {
		t.auditBang(&fx, m)
	}
	answer.Outcome, answer.Reason, answer.ConvergenceID, answer.Generation, answer.Delay = bang.Outcome, bang.Reason, bang.ConvergenceID, bang.Generation, bang.Delay
	if key != "" {
		m.partition.keep(key, answer)
	}
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// auditBang tells a bang of a person; those that machines notice are many, and have their records.
func (t *Tree) auditBang(fx *Effects, m *member) {
	entry := AuditEntry{Kind: AuditBanged, BangID: fx.Bang.ID, Outcome: fx.Bang.Outcome, Reason: fx.Bang.Message}
	if m != nil {
		fx.audit(entry, m.instance, m.partition)
		return
	}
	entry.Title, entry.Reason = t.Title, head(entry.Reason)
	fx.Audit = append(fx.Audit, entry)
}

// check validates what can be judged without looking at the partition.
func (e *Bang) check(t *Tree) error {
	switch {
	case e.Origin < OriginPromise || e.Origin > OriginComputer:
		return invalid("origin", "cannot bang tree %s: origin %d is unknown", t.ID, e.Origin)
	case e.Source == "" || len(e.Source) > MaxSource:
		return invalid("source", "cannot bang tree %s: source must have 1 to %d bytes", t.ID, MaxSource)
	case len(e.Message) > MaxMessage:
		return invalid("message", "cannot bang tree %s: message has %d bytes, more than %d", t.ID, len(e.Message), MaxMessage)
	case e.sensed() && e.AllocationID == "":
		return invalid("allocation_id", "cannot bang tree %s: a %s bangs for an allocation", t.ID, e.Origin)
	}
	return nil
}

// sensed tells whether a machine noticed: only such bangs are muted or futile.
func (e *Bang) sensed() bool { return e.Origin == OriginPromise || e.Origin == OriginProcess }

// sensedKey recognises a repeated bang of a promise or process within its allocation.
func (e *Bang) sensedKey() string {
	var b strings.Builder
	b.Grow(len(e.Source) + len(e.LastSuccessRunID) + len(e.RunInProgress) + 24)
	b.WriteByte('0' + byte(e.Origin))
	b.WriteString(e.Source)
	b.WriteByte(0)
	b.WriteString(e.LastSuccessRunID)
	b.WriteByte(0)
	b.WriteString(e.RunInProgress)
	b.WriteByte(0)
	b.WriteString(strconv.FormatUint(e.ExitSequence, 10))
	return b.String()
}

// withhold decides steps 3 and 4.
func withhold(e *Bang, m *member) (Outcome, string) {
	if m == nil {
		return OutcomeUnspecified, ""
	}
	p := m.partition
	switch {
	case e.NotAllowed:
		return NotAllowed, "not allowed: " + e.Origin.String() + " " + e.Source + " may not bang"
	case !e.sensed():
		return OutcomeUnspecified, ""
	case p.Awaiting > 0:
		return Muted, "muted: bang " + strconv.FormatUint(p.Awaiting, 10) + " of this partition awaits its run"
	case p.Run == nil && p.Latest != nil && p.Latest.Result != Success:
		return Muted, "muted: the latest run failed; it is tried again with the growing delay"
	}
	if row := p.row(e.Origin, e.Source); row != nil && row.Awaiting > 0 {
		return Muted, "muted: futile bang " + strconv.FormatUint(row.Awaiting, 10) + " of this source awaits its run"
	}
	return OutcomeUnspecified, ""
}

// wake carries out steps 6 to 8: the bang makes a generation, or is refused; then it returns when the quota opens again.
func (t *Tree) wake(fx *Effects, e *Bang, m *member, now time.Time) (until time.Time) {
	bang, c := fx.Bang, t.Convergence
	scope := ""
	if m != nil && m.partition.Options.Policy == PolicyAncestors && (c == nil || max(len(c.Origins), len(c.Awaiting)) < MaxScopes) {
		scope = m.instance.ID
	}
	covered := c != nil && t.covers(c, scope)
	if !covered {
		var ok bool
		if until, ok = t.Quota.spend(t.QuotaLimit(), now); !ok {
			bang.Outcome, bang.Delay = Refused, 0
			bang.Reason = "refused: " + strconv.FormatUint(uint64(t.QuotaLimit()), 10) + " bangs of this day are used up; the quota opens again at " + until.Format(time.RFC3339)
			t.tellWithheld(fx, bang, now)
			return until
		}
	}
	bang.Generation = t.next()
	switch {
	case bang.Delay > 0:
		bang.Outcome = Futile
	case c == nil:
		bang.Outcome = Accepted
	default:
		bang.Outcome = Joined
	}
	mark := BangMark{Number: bang.Number, Generation: bang.Generation, At: now, Delay: bang.Delay, Trace: bang.Trace}
	hint := &BangHint{ID: bang.ID, Number: bang.Number, At: now, Trace: bang.Trace, Delay: bang.Delay}
	if scope == "" {
		t.Banged = mark
		if bang.Delay == 0 {
			t.BangedNow = bang.Generation
		}
		t.index.unsettled = len(t.index.order) // everybody is wanted at a generation that nobody can have settled
	} else {
		for _, i := range t.chain(scope) {
			if p := t.Partitions[i.ID]; p != nil {
				t.moved(p, func() { p.Banged = mark })
				fx.Changed.partition(i.ID)
				hint.InstanceIDs = append(hint.InstanceIDs, i.ID)
			}
		}
	}
	if m != nil {
		m.partition.await(bang, e)
	}
	fx.Feed = append(fx.Feed, FeedEntry{
		Kind: FeedBang, TreeID: t.ID, Generation: bang.Generation, Membership: t.Membership, Bang: hint, At: now, Trace: bang.Trace,
	})
	if c == nil {
		t.open(fx, bang)
		c = t.Convergence
	} else {
		c.Joined++
		c.tell(fx, TimelineEntry{At: now, Moment: MomentJoined, InstanceID: bang.InstanceID, Name: bang.Source, Folds: 1})
	}
	bang.ConvergenceID = c.ID
	fx.Changed.Convergence = true
	t.await(c, scope, BangRef{Number: bang.Number, Generation: bang.Generation, At: now})
	t.progress(fx, bang.Trace, now) // with nobody to wait for, it is satisfied at once
	return time.Time{}
}

// tellWithheld tells the feed that a bang made no run.
func (t *Tree) tellWithheld(fx *Effects, bang *BangRecord, now time.Time) {
	entry := FeedEntry{Kind: FeedWithheld, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, At: now, Trace: bang.Trace}
	if bang.InstanceID != "" {
		entry.InstanceIDs = []string{bang.InstanceID}
	}
	fx.Feed = append(fx.Feed, entry)
}

// await remembers that a bang of the partition awaits BeginRun. One that waits with the growing delay holds back its own source only: other sources bang
// as before.
func (p *Partition) await(bang *BangRecord, e *Bang) {
	if bang.Delay > 0 {
		p.row(e.Origin, e.Source).Awaiting = bang.Number
		return
	}
	p.Awaiting = bang.Number
}

// alarm makes the partition Red until a later success, or gives it a warning when the promise may not bang.
func (p *Partition) alarm(bang *BangRecord, now time.Time) {
	alarm := &Alarm{Number: bang.Number, Outcome: bang.Outcome, Origin: bang.Origin, Source: bang.Source, Reason: bang.Reason, At: now, Token: p.Token}
	if alarm.Reason == "" {
		alarm.Reason = head(bang.Message)
	}
	switch {
	case bang.Outcome == NotAllowed:
		p.Warning = alarm
	case p.Alarm == nil:
		p.Alarm = alarm
	case bang.Outcome == Muted && p.Alarm.Outcome.Wakes():
		covering := *p.Alarm // the one that was sent covers it, and tells more
		covering.Token = p.Token
		p.Alarm = &covering
	default:
		alarm.At = p.Alarm.At
		p.Alarm = alarm
	}
}

// keep remembers the answer of a bang.
func (p *Partition) keep(key string, answer BangAnswer) {
	if len(p.Keys) < MaxBangKeys {
		p.Keys = append(p.Keys, BangKey{Key: key, Answer: answer})
		return
	}
	p.Keys[p.KeyCursor] = BangKey{Key: key, Answer: answer}
	p.KeyCursor = (p.KeyCursor + 1) % MaxBangKeys
}

// delayOf is the growing delay of something that happened attempt times too often.
func delayOf(attempt uint32, id string) time.Duration {
	return backoff.Delay(int(attempt), id, FirstDelay, LastDelay)
}
