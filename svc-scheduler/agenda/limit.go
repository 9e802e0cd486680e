package agenda

import "time"

// Bounds, each with its reason.
const (
	// BeginWithin is how long after an order its BeginRun must be in the feed; then the order is handed over again with the same run id.
	BeginWithin = 5 * time.Second
	// MaxHanded is how often an order is handed over before it is withdrawn and its run gets another id: two minutes. A new epoch does so at once. An id that svc-master
	// refuses for ever (the run ended or was superseded while the feed was lost) must not keep a partition from running.
	MaxHanded = 24
	// RunBound ends the wait for the report of a run that began: far beyond the one minute that is a monitoring crime, and
	// enough for the copy of a release. A node that still carries it out is superseded by the next BeginRun.
	RunBound = 30 * time.Minute
	// FirstDelay, MaxDelay and MaxUnavailableDelay shape the growing delay (docs/rules.md, growing delay).
	FirstDelay          = time.Second
	MaxDelay            = time.Hour
	MaxUnavailableDelay = 10 * time.Minute
	// BootSpread is the time over which the runs after a boot are spread (docs/rules.md, boot).
	BootSpread = 5 * time.Minute
	// OverdueSpread is the longest time over which periodic runs are spread that an outage left overdue, and overduePart the part of its period for each: what
	// the grid of 95 % leaves.
	OverdueSpread = 5 * time.Minute
	overduePart   = 20
	// Fresh is how long beyond its period a result is believed (docs/rules.md, periodicity).
	Fresh = time.Minute
	// MaxHold bounds how long an order holds back its run: the largest fan-out is handed over within it, and it is a fifth of BeginWithin.
	MaxHold = time.Second
	// MaxPeriod is the longest period (docs/rules.md, periodicity); also what stands for a period that is not positive.
	MaxPeriod = 24 * time.Hour
	// MaxBangs is how many bangs an entry remembers by name: the links that a run's span may have. More are counted as folds.
	MaxBangs = 8
	// MaxRequests is how many ids of RunNow requests an entry remembers, newest first: retries of a call come within seconds.
	MaxRequests = 8
	// FreshBang is how old the one bang behind a run may be for the run to be its child in one trace.
	FreshBang = 60 * time.Second
	// MaxTraceTargets is the largest fan-out that stays one trace.
	MaxTraceTargets = 100
	// LongestDueTurn makes each fourth contended order go to the partition that has been due longest whatever its cause,
	// so that a storm of bangs delays periodic runs and never starves them.
	LongestDueTurn = 4
)

// Unavailable is the error type of a run that waits for something requested: its growing delay ends at MaxUnavailableDelay.
const Unavailable = "not_available"
