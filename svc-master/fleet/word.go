package fleet

// The enumerations have the numbers of proto/vow, so that translating is a conversion.

// State is what is wanted of an instance.
type State uint8

// States, as vow.type.v1.RequestedState.
const (
	StateUnspecified State = iota
	Started
	Stopped
	Destroyed
)

func (s State) String() string { return word(s, "unspecified", "started", "stopped", "destroyed") }

// Cause is why a run was scheduled, in the order in which causes win.
type Cause uint8

// Causes, as vow.type.v1.Cause.
const (
	CauseUnspecified Cause = iota
	CauseManual
	CauseBang
	CauseChanged
	CauseBoot
	CauseRetry
	CausePeriodicity
)

func (c Cause) String() string {
	return word(c, "unspecified", "manual", "bang", "changed", "boot", "retry", "periodicity")
}

// Result is how a run or a step ended.
type Result uint8

// Results, as vow.type.v1.RunResult.
const (
	ResultUnspecified Result = iota
	Success
	Failure
	Timeout
	Cancellation
	Skip
	ResultError
)

func (r Result) String() string {
	return word(r, "unspecified", "success", "failure", "timeout", "cancellation", "skip", "error")
}

// Origin is who noticed what a bang tells.
type Origin uint8

// Origins, as vow.type.v1.BangOrigin.
const (
	OriginUnspecified Origin = iota
	OriginPromise
	OriginProcess
	OriginManual
	OriginComputer
)

func (o Origin) String() string {
	return word(o, "unspecified", "promise", "process", "manual", "computer")
}

// Outcome is what was decided about a bang.
type Outcome uint8

// Outcomes, as vow.master.v1.BangOutcome.
const (
	OutcomeUnspecified Outcome = iota
	Accepted
	Joined
	Muted
	Futile
	Refused
	NotAllowed
)

func (o Outcome) String() string {
	return word(o, "unspecified", "accepted", "joined", "muted", "futile", "refused", "not allowed")
}

// Wakes tells whether a bang of this outcome makes a generation.
func (o Outcome) Wakes() bool { return o == Accepted || o == Joined || o == Futile }

// Policy is the scope of a bang.
type Policy uint8

// Policies, as vow.master.v1.BangPolicy; unspecified is the same as PolicyTree.
const (
	PolicyUnspecified Policy = iota
	PolicyTree
	PolicyAncestors
)

func (p Policy) String() string { return word(p, "tree", "tree", "ancestors") }

// ConvergenceState is where a convergence stands.
type ConvergenceState uint8

// States of a convergence, as vow.master.v1.ConvergenceState.
const (
	ConvergenceUnspecified ConvergenceState = iota
	Open
	Converged
	Superseded
	Abandoned
)

func (s ConvergenceState) String() string {
	return word(s, "unspecified", "open", "converged", "superseded", "abandoned")
}

// Moment is what a timeline entry tells.
type Moment uint8

// Moments, as vow.master.v1.Moment.
const (
	MomentUnspecified Moment = iota
	MomentNoticed
	MomentBanged
	MomentDue
	MomentOrdered
	MomentBegun
	MomentStep
	MomentReported
	MomentSatisfied
	MomentJoined
	MomentClosed
)

func (m Moment) String() string {
	return word(m, "unspecified", "noticed", "banged", "due", "ordered", "begun", "step", "reported", "satisfied", "joined", "closed")
}

// FeedKind is what a feed entry tells.
type FeedKind uint8

// Kinds of feed entries, as vow.master.v1.FeedEntryKind.
const (
	FeedUnspecified FeedKind = iota
	FeedChanged
	FeedBang
	FeedBegun
	FeedReported
	FeedClosed
	FeedWithheld
)

func (k FeedKind) String() string {
	return word(k, "unspecified", "changed", "bang", "begun", "reported", "closed", "withheld")
}

// word names a value of an enumeration.
func word[T ~uint8](v T, words ...string) string {
	if int(v) < len(words) {
		return words[v]
	}
	return "unknown"
}
