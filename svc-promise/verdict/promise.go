package verdict

import "time"

// Runs is what is known of a partition's runs when a group is recorded.
type Runs struct {
	// LatestSuccess is true when the latest run was a success.
	LatestSuccess bool
	// LastSuccess is the id of the last successful run.
	LastSuccess string
	// InProgress is the id of the run in progress; empty = none.
	InProgress string
}

// Own is what a promise decided itself, instead of a rule; the zero value decides nothing.
type Own struct {
	// Decided is true when it did.
	Decided bool
	// Failed is what it decided.
	Failed bool
	// MayBang is true of an anomaly that is one (AnomalyResult); one that is not (TestResult from anomaly()) fails without a bang.
	MayBang bool
	// Message says why; empty = the group's message does.
	Message string
}

// Recorded is the event: a group was recorded.
type Recorded struct {
	Group Group
	// Test and Anomaly are the promise's rules as declared with this group.
	Test, Anomaly Rule
	// OwnTest and OwnAnomaly are what it decided itself; they stand instead of the rules while this group is the newest.
	OwnTest, OwnAnomaly Own
	// Testless is true when it is never tested, Anomalyless when it has no anomaly detector.
	Testless, Anomalyless bool
	// Runs is what is known of the partition's runs.
	Runs Runs
	// Asked is true when a run asked for the group.
	Asked bool
	// Replayed is true when it was sent before.
	Replayed bool
	// BangDisabled is true when the promise may not bang.
	BangDisabled bool
	// Muted is true while somebody has muted the promise: its anomaly is seen and does not bang.
	Muted bool
}

// Verdict is what the window of a promise says.
type Verdict struct {
	// TestFailed: a run of the partition that tests it is no success.
	TestFailed bool
	// Anomaly: there is one.
	Anomaly bool
	// Message is that of the newest group, or NoResult.
	Message string
	// Sequence is that of the newest group; 0 = none.
	Sequence uint64
	// At is when the newest group was sensed, by the node's clock.
	At time.Time
	// Since is when TestFailed and Anomaly became what they are, by the clock of the groups.
	Since time.Time
}

// Effect is what the shell has to do after a step.
type Effect uint8

// The effects of a step; several may be set.
const (
	// Bang: call svc-master.
	Bang Effect = 1 << iota
	// BangNotAllowed: tell svc-master, which makes a warning of it and no run.
	BangNotAllowed
	// Changed: TestFailed or Anomaly turned.
	Changed
)

// Has reports whether an effect is set.
func (e Effect) Has(one Effect) bool { return e&one != 0 }

// Promise is the state of one promise of one allocation. The zero value is a promise without groups.
//
//	          passing group                  failing groups, rule met
//	passing ◀──────────────── anomaly      passing ───────────────────▶ anomaly
//	                             │ newest group, not asked, not muted, latest run a success, state of runs not banged yet
//	                             └──▶ bang: with the newest group, or with a late one that completes its window
type Promise struct {
	window  Window
	verdict Verdict
	// declared is what the newest group says of the promise; late groups change nothing of it.
	declared declaration
	// banged is the state of the runs for which a bang left, while told is true; a pass forgets it.
	banged Runs
	told   bool
}

// declaration is what a group says of its promise.
type declaration struct {
	test, anomaly         Rule
	ownTest, ownAnomaly   Own
	testless, anomalyless bool
	// What decides whether it bangs.
	asked, replayed, muted, bangDisabled, failed bool
	runs                                         Runs
}

func (e *Recorded) declaration() declaration {
	return declaration{
		e.Test, e.Anomaly, e.OwnTest, e.OwnAnomaly, e.Testless, e.Anomalyless,
		e.Asked, e.Replayed, e.Muted, e.BangDisabled, e.Group.Failed, e.Runs,
	}
}

// Verdict is what the promise's window says now.
func (p *Promise) Verdict() Verdict {
	if p.verdict.Sequence == 0 {
		return Verdict{Message: NoResult}
	}
	return p.verdict
}

// Newest is the sequence of the newest group; 0 = none.
func (p *Promise) Newest() uint64 { return p.verdict.Sequence }

// Groups are the groups of the window, oldest first.
func (p *Promise) Groups() []Group { return p.window.Groups() }

// Step takes a group and returns what to do, and why in words.
func (p *Promise) Step(e Recorded) (Effect, string) {
	if e.Group.Sequence > p.verdict.Sequence {
		p.declared = e.declaration()
		p.window.Resize(max(e.Test.ResultCount, e.Anomaly.ResultCount))
	}
	if known, _ := p.window.Add(e.Group); known {
		return 0, "seen before"
	}
	effect := p.evaluate()
	newest := &p.declared
	switch {
	case !p.verdict.Anomaly:
		if !newest.failed {
			p.told = false
		}
		return effect, "no anomaly"
	case newest.asked:
		return effect, "anomaly, in a group that a run asked for: the run reports it"
	case newest.replayed:
		return effect, "anomaly, in a replayed group: it was told before"
	case newest.muted:
		return effect, "anomaly, but the promise is muted"
	case !newest.runs.LatestSuccess:
		return effect, "anomaly, while the latest run is no success: the growing delay has it"
	case p.told && p.banged == newest.runs:
		return effect, "anomaly, banged already for this state of the runs"
	}
	p.told, p.banged = true, newest.runs
	if newest.bangDisabled || (newest.ownAnomaly.Decided && !newest.ownAnomaly.MayBang) {
		return effect | BangNotAllowed, "anomaly, but the promise may not bang"
	}
	return effect | Bang, "anomaly"
}

// Runs is what was known of the partition's runs when the newest group was recorded: what a bang is told with.
func (p *Promise) Runs() Runs { return p.declared.runs }

// Complete is false when the window lacks a group that the node has.
func (p *Promise) Complete() bool { return p.window.Complete() }

// Unsent takes back the bang of the last step: it could not be told, and the next group tries again.
func (p *Promise) Unsent() { p.told = false }

// evaluate computes the verdict anew.
func (p *Promise) evaluate() Effect {
	newest, _ := p.window.Newest()
	now := p.declared.verdict(p.window.Groups(), newest)
	now.Sequence, now.At, now.Since = newest.Sequence, newest.At, p.verdict.Since
	first := p.verdict.Sequence == 0
	turned := now.TestFailed != p.verdict.TestFailed || now.Anomaly != p.verdict.Anomaly
	if first || turned {
		now.Since = newest.At
	}
	p.verdict = now
	if turned {
		return Changed
	}
	return 0
}

// verdict applies what the promise decided itself, and its rules where it decided nothing. The message is that of what failed: the test, then the anomaly.
func (d *declaration) verdict(groups []Group, newest Group) Verdict {
	if d.testless && d.anomalyless {
		return Verdict{TestFailed: true, Message: NeitherAllowed}
	}
	v := Verdict{Message: newest.Message}
	message := func(o Own) {
		if o.Message != "" {
			v.Message = o.Message
		}
	}
	if !d.anomalyless {
		v.Anomaly = d.ownAnomaly.fails(d.anomaly, groups)
	}
	if !d.testless {
		v.TestFailed = d.ownTest.fails(d.test, groups)
	}
	switch {
	case !d.testless && (v.TestFailed || !v.Anomaly):
		message(d.ownTest)
	case !d.anomalyless:
		message(d.ownAnomaly)
	}
	return v
}

// fails is what was decided, or what the rule says.
func (o Own) fails(otherwise Rule, groups []Group) bool {
	if o.Decided {
		return o.Failed
	}
	return otherwise.Fails(groups)
}
