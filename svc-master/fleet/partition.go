package fleet

import "time"

// Partition is what is known about an allocated instance, and what wakes it.
type Partition struct {
	// InstanceID is the instance that it holds.
	InstanceID string
	// AllocationID is `<tree>.a<n>`; what was said about an earlier tenant never touches a later one.
	AllocationID string
	// Computer and Name say where.
	Computer, Name string
	// AllocatedAt is when.
	AllocatedAt time.Time
	// ComputerPeriod is the computer's periodicity, 0 = MaxPeriod.
	ComputerPeriod time.Duration
	// Addresses are the partition's, as the computer was registered; nil = they are not known.
	Addresses []string
	// Options are what the release on this computer says about its instances.
	Options Options

	// Changed is the last generation that woke it by a change: desired state, a child's connection parameters, a release that became available.
	Changed Generation
	// Banged is the newest bang of the policy `ancestors` that concerns it; those of the whole tree are in the header.
	Banged BangMark
	// Settled is the highest wanted generation that a successful run had been given.
	Settled Generation

	// Token of the newest run, from 1; raised by each BeginRun.
	Token uint64
	// Run in progress; nil = none.
	Run *Run
	// Latest is the run that sets the colour; nil = none was reported.
	Latest *Report
	// LastSuccessRunID is the latest run that was a success.
	LastSuccessRunID string
	// FailuresInRow counts reported runs since the last success.
	FailuresInRow uint32
	// ResultSince is when the first of the latest results that are alike was reported: since when it fails, or is Green if it is.
	ResultSince time.Time
	// Recent are the newest ended runs, oldest first: at most MaxRecentRuns.
	Recent []Ended
	// Boots are the boots of the machine whose local runs were heard of, newest last: at most MaxBoots.
	Boots []Boot
	// RunsIn counts the runs reported during convergence number RunsOf.
	RunsIn uint32
	RunsOf uint64

	// Awaiting is the number of the bang of this partition that awaits BeginRun; 0 = none. Bangs of a storm are in their row instead.
	Awaiting uint64
	// Alarm is the newest bang of this partition, sent or withheld, that no later success answered; nil = none.
	Alarm *Alarm
	// Warning is the newest bang that was not allowed, since the last success; nil = none.
	Warning *Alarm
	// Keys are those of its newest bangs: at most MaxBangKeys; KeyCursor is the one to overwrite next once they are full.
	Keys      []BangKey
	KeyCursor uint32
	// Rows of its sources, in the order in which they began: at most MaxFutileRows.
	Rows []Row
	// RetainedUntil is until when the node keeps the content of the destroyed instance, by its clock; zero = it does not.
	RetainedUntil time.Time
	// Publishing watches for a publish loop.
	Publishing Publishing
	// Sleepless counts runs in a row that began within Sleep of the end of the one before; SleeplessSince is when the row began.
	Sleepless      uint32
	SleeplessSince time.Time
}

// Options is what a software release says about its instances.
type Options struct {
	// Period is the longest time between two runs; 0 = the release adds none.
	Period time.Duration
	// Quota of bangs per UTC day; nil = DefaultQuota, 0 = unlimited. That of the root's release counts for the tree.
	Quota *uint32
	// Policy is the scope of bangs.
	Policy Policy
}

// Period is the longest time between two runs: min(24 h, computer, release), and at least a minute (docs/rules.md, periodicity).
func (p *Partition) Period() time.Duration {
	period := MaxPeriod
	if p.ComputerPeriod > 0 {
		period = min(period, p.ComputerPeriod)
	}
	if p.Options.Period > 0 {
		period = min(period, p.Options.Period)
	}
	return max(period, MinPeriod)
}

// Run is a run in progress.
type Run struct {
	ID    string
	Token uint64
	// Wanted is the generation that a success settles.
	Wanted  Generation
	Cause   Cause
	Attempt uint32
	BegunAt time.Time
	// Destroys is true when the run was told to remove the partition's content.
	Destroys bool
	// Published is true when the run changed connection parameters.
	Published bool
	Trace     Trace
}

// Report is a reported run.
type Report struct {
	RunID  string
	Cause  Cause
	Result Result
	// Error in full, at most MaxErrorKept bytes; Type is its class.
	Error, ErrorType string
	ReportedAt       time.Time
	// Duration by the node's monotonic clock.
	Duration time.Duration
	// Attempt counts the runs since the last success, this one included, from 1.
	Attempt          uint32
	EvaluatedLocally bool
	Changed          bool
	// Local is true for a run that the node made by itself.
	Local bool
	// Problems are what is wrong with the partition though no run fails of it: at most MaxProblems.
	Problems []string
}

// Ended is a run that cannot be reported or begun again, with the answer that it got.
type Ended struct {
	RunID string
	// Superseded is true for a run that a newer one replaced; it has no answer.
	Superseded bool
	Answer     ReportRunAnswer
}

// Boot is how far the local runs of one boot of the machine were heard of.
type Boot struct {
	ID       string
	Sequence uint64
}

// Alarm is a bang as its own partition remembers it.
type Alarm struct {
	// Number of the bang.
	Number  uint64
	Outcome Outcome
	Origin  Origin
	Source  string
	// Reason why it was withheld, or what was noticed when it was sent.
	Reason string
	// At is when the first of the alarms that no success answered was recorded.
	At time.Time
	// Token of the newest run when it was recorded: only a run that began later answers it.
	Token uint64
}

// BangKey is the key of a bang of a promise or a process, with its first answer.
type BangKey struct {
	Key    string
	Answer BangAnswer
}
