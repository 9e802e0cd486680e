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

// key is the state of the runs as far as it makes one bang differ from another.
func (r Runs) key() string { return r.LastSuccess + "/" + r.InProgress }

// Recorded is the event: a group was recorded.
type Recorded struct {
	Group Group
	// Test and Anomaly are the promise's rules as declared with this group.
	Test, Anomaly Rule
	// Runs is what is known of the partition's runs.
	Runs Runs
	// Asked is true when a run asked for the group.
	Asked bool
	// Replayed is true when it was sent before.
	Replayed bool
	// BangDisabled is true when the promise may not bang.
	BangDisabled bool
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
//	                             │ newest group, not asked, latest run a success, state of runs not banged yet
//	                             └──▶ bang
type Promise struct {
	window  Window
	verdict Verdict
	// banged is the state of the runs for which a bang left; a pass forgets it.
	banged string
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
	p.window.Resize(max(e.Test.ResultCount, e.Anomaly.ResultCount))
	known, newest := p.window.Add(e.Group)
	if known {
		return 0, "seen before"
	}
	effect := p.evaluate(e)
	switch {
	case !newest:
		return effect, "late: fills the window"
	case !p.verdict.Anomaly:
		if !e.Group.Failed {
			p.banged = ""
		}
		return effect, "no anomaly"
	case e.Asked:
		return effect, "anomaly, in a group that a run asked for: the run reports it"
	case e.Replayed:
		return effect, "anomaly, in a replayed group: it was told before"
	case !e.Runs.LatestSuccess:
		return effect, "anomaly, while the latest run is no success: the growing delay has it"
	case p.banged == e.Runs.key():
		return effect, "anomaly, banged already for this state of the runs"
	}
	p.banged = e.Runs.key()
	if e.BangDisabled {
		return effect | BangNotAllowed, "anomaly, but the promise may not bang"
	}
	return effect | Bang, "anomaly"
}

// Unsent takes back the bang of the last step: it could not be told, and the next group tries again.
func (p *Promise) Unsent() { p.banged = "" }

// evaluate computes the verdict anew.
func (p *Promise) evaluate(e Recorded) Effect {
	newest, _ := p.window.Newest()
	now := Verdict{
		TestFailed: e.Test.Fails(p.window.Groups()), Anomaly: e.Anomaly.Fails(p.window.Groups()),
		Message: newest.Message, Sequence: newest.Sequence, Since: p.verdict.Since,
	}
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
