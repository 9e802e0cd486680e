package converge

import (
	"fmt"
	"slices"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// When a partition runs without an order (docs/rules.md, autonomy).
const (
	// Slack is waited past the period before the node runs a partition by itself. svc-scheduler orders at 95 % of the
	// period and freshness ends one minute past it: half a minute lets a late order win and is still in time.
	Slack = 30 * time.Second
	// Alone is how long a link must be lost before the node retries failed runs by itself: longer than a restart of
	// the control plane takes.
	Alone = 30 * time.Second
	// BootSpread is the time over which the first runs after a boot are spread.
	BootSpread = 5 * time.Minute
	// FirstRetry and LastRetry bound the growing delay of retries; LastWait bounds it while something requested is not
	// available.
	FirstRetry = time.Second
	LastRetry  = time.Hour
	LastWait   = 10 * time.Minute
	// DefaultPeriod is used for a desired state that tells none.
	DefaultPeriod = 24 * time.Hour
	// Parking is how long an order for an allocation that is not known yet waits for it. Orders and desired state come
	// on different streams; svc-scheduler hands an order over again after the same 5 s.
	Parking = 5 * time.Second
	// Remembered is how many ended runs a partition knows, so that an order that comes again starts nothing.
	Remembered = 16
)

// Phase is where a partition is in its life.
//
//	       desired            order, or its own deadline          a slot is free
//	Free ──────────▶ Idle ─────────────────────────────▶ Waiting ────────────────▶ Running
//	 ▲                │ ▲                                   │                         │
//	 │ freed          │ └───────────────────────────────────┼───────── ended ─────────┤ (another order waits: ▶ Waiting)
//	 └────────────────┴──────────── freed ──────────────────┴───── freed, then ended ─┘
type Phase uint8

// The phases.
const (
	Free Phase = iota
	Idle
	Waiting
	Running
)

// String returns the phase's name.
func (p Phase) String() string {
	switch p {
	case Free:
		return "free"
	case Idle:
		return "idle"
	case Waiting:
		return "waiting"
	case Running:
		return "running"
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Desired is what is wanted of a partition, as far as this core needs it. Content is what a run needs beyond; it is
// carried and never looked at.
type Desired struct {
	Partition    string
	AllocationID string
	Generation   Generation
	Requested    Requested
	// Period is the longest time between two runs; 0 = DefaultPeriod.
	Period time.Duration
	// Pause of its tree.
	Pause   Pause
	Content any
}

// Pause is the newest pause of a tree, or the end of one. It changes without a generation of what is wanted, and has one of its own.
type Pause struct {
	Generation Generation
	// Until then the node begins no run by itself; zero = it is not paused. What is ordered, svc-master refuses to begin.
	Until time.Time
}

// Handle names a run.
type Handle struct {
	Order
	// Own says that the node made the run by itself; Sequence then counts it in this boot.
	Own      bool
	Sequence uint64
	// Local says that svc-master is away: the run uses the last known desired state, and reports with LastToken.
	Local bool
	// LastToken is the last token that a run of this allocation was given; 0 = none. By it svc-master tells whether a run began since.
	LastToken uint64
}

// Partition is what the node knows of one partition.
type Partition struct {
	Name  string
	Phase Phase
	// Desired is meant unless the phase is Free.
	Desired Desired
	// Run is the run that waits or runs.
	Run Handle
	// Since is when it entered its phase.
	Since time.Time
	// Next is an order that came during a run.
	Next *Order
	// Parked is an order for an allocation that is not known yet, since ParkedAt.
	Parked   *Order
	ParkedAt time.Time
	// Latest is the result of the latest run of this allocation; 0 = none. EndedAt is when it ended.
	Latest    Result
	ErrorType string
	EndedAt   time.Time
	// LastSuccess is the id of the last successful run.
	LastSuccess string
	// LastToken is the last token that a run of this allocation was given; 0 = none.
	LastToken uint64
	// Failures counts failed runs in a row.
	Failures int
	// KnownSince is when the node learned of the allocation: the period before the first run counts from here.
	KnownSince time.Time
	// NotBefore is until when the node leaves the partition to svc-scheduler, whatever is overdue: set at start, so that
	// a node that was off does not run everything before its links are up, and after a run that could not begin.
	NotBefore time.Time
	// WokenAt is since when the node itself wants a run, which has not begun yet; zero = it does not.
	WokenAt time.Time
	// BootDue is when the partition runs after a boot without an order; zero = not due for that.
	BootDue time.Time
	// RetainedUntil is when the partition runs again to remove what is kept of a destroyed instance; zero = nothing is.
	RetainedUntil time.Time
	// Ended holds the ids of the last runs.
	Ended []string
	// Substituted is the order that a local run was made for, because svc-master did not begin it; SubstitutedDue what made that order due.
	Substituted    string
	SubstitutedDue string
}

// InProgress is the id of the run in progress; empty = none.
func (p Partition) InProgress() string {
	if p.Phase == Running {
		return p.Run.RunID
	}
	return ""
}

// The inputs of a partition's life.
type (
	desire   struct{ item Desired }
	free     struct{}
	order    struct{ order Order }
	deadline struct {
		cause Cause
		local bool
		run   func() Handle
	}
	grant struct{}
	wake  struct{}
	ended struct {
		Ended
		local func(Order) Handle
	}
)

// step is the transition function of a partition.
func (p Partition) step(input any, now time.Time) (Partition, []Effect, string) {
	switch in := input.(type) {
	case desire:
		return p.desire(in.item, now)
	case free:
		return p.free(now)
	case order:
		return p.order(in.order, now)
	case deadline:
		if p.Phase != Idle {
			return p, nil, "a run is in hand"
		}
		p.Run = in.run()
		p.Run.Cause, p.Run.Local = in.cause, in.local
		p.Run.Attempt = uint32(p.Failures) + 1
		return p.enter(Waiting, now), nil, "no order came by the deadline: " + in.cause.String()
	case grant:
		if p.Phase != Waiting {
			return p, nil, "waits for nothing"
		}
		p.BootDue, p.WokenAt = time.Time{}, time.Time{}
		p.Run.LastToken = p.LastToken
		p = p.enter(Running, now)
		return p, []Effect{StartRun{Run: p.Run, Want: p.Desired}}, "a slot is free"
	case wake:
		switch {
		case p.Phase == Free || p.Desired.Requested != Started:
			return p, nil, "nothing is to be found out of it"
		case !p.WokenAt.IsZero() || p.Phase == Waiting:
			return p, nil, "the next run finds it out"
		}
		p.WokenAt = now
		return p, nil, "the node wants a run"
	case ended:
		return p.end(in, now)
	}
	return p, nil, fmt.Sprintf("cannot handle %T", input)
}

// occasion is what makes an order due: its cause, since when, and the newest bang behind it.
func (o Order) occasion() string {
	occasion := o.Cause.String() + " " + o.DueAt.UTC().Format(time.RFC3339Nano)
	if len(o.Bangs) > 0 {
		occasion += " " + o.Bangs[0].BangID
	}
	return occasion
}

func (p Partition) enter(phase Phase, now time.Time) Partition {
	p.Phase, p.Since = phase, now
	return p
}

func (p Partition) desire(item Desired, now time.Time) (Partition, []Effect, string) {
	if p.Phase != Free && p.Desired.AllocationID == item.AllocationID {
		if !p.Desired.Pause.Generation.Less(item.Pause.Generation) {
			item.Pause = p.Desired.Pause
		} else if !p.Desired.Generation.Less(item.Generation) {
			p.Desired.Pause = item.Pause
			if p.Desired.Generation == item.Generation {
				p.Desired = item
			}
			return p, []Effect{Store{p}}, "another pause"
		}
		if p.Desired.Generation == item.Generation && p.Desired.Period != item.Period {
			p.Desired = item // the period is the computer's and the release's: it changes without a generation of the tree
			return p, []Effect{Store{p}}, "another period"
		}
		if !p.Desired.Generation.Less(item.Generation) {
			return p, nil, "not newer than what is known"
		}
		p.Desired = item
		return p, []Effect{Store{p}}, "newer generation"
	}
	var effects []Effect
	if p.Phase != Free && p.Desired.AllocationID != "" {
		effects = append(effects, Forget{Partition: p.Name, AllocationID: p.Desired.AllocationID})
	}
	// What was known is about another tenant. A run of it that is still in hand is left to end by itself.
	fresh := Partition{Name: p.Name, Desired: item, KnownSince: now, Parked: p.Parked, ParkedAt: p.ParkedAt}
	if p.Phase == Running {
		fresh.Run = p.Run
		fresh = fresh.enter(Running, p.Since)
	} else {
		fresh = fresh.enter(Idle, now)
	}
	effects = append(effects, Store{fresh})
	if parked := fresh.Parked; parked != nil && parked.AllocationID == item.AllocationID && now.Sub(fresh.ParkedAt) < Parking {
		fresh.Parked = nil
		next, more, reason := fresh.order(*parked, now)
		return next, append(effects, more...), "new allocation; " + reason
	}
	return fresh, effects, "new allocation"
}

func (p Partition) free(now time.Time) (Partition, []Effect, string) {
	if p.Phase == Free {
		return p, nil, "holds nothing already"
	}
	gone := []Effect{Forget{Partition: p.Name, AllocationID: p.Desired.AllocationID}}
	if p.Phase == Running {
		// The run in hand cannot be undone; its report will be refused.
		next := Partition{Name: p.Name, Run: p.Run, Parked: p.Parked, ParkedAt: p.ParkedAt}
		return next.enter(Running, p.Since), gone, "freed during a run"
	}
	next := Partition{Name: p.Name, Parked: p.Parked, ParkedAt: p.ParkedAt}
	return next.enter(Free, now), gone, "freed"
}

func (p Partition) order(o Order, now time.Time) (Partition, []Effect, string) {
	switch {
	case p.Phase == Free || p.Desired.AllocationID != o.AllocationID:
		p.Parked, p.ParkedAt = &o, now
		return p, nil, fmt.Sprintf("cannot run allocation %s: the partition holds %q", o.AllocationID, p.Desired.AllocationID)
	case p.Phase == Running && p.Run.RunID == o.RunID:
		return p, nil, "this run is in hand"
	case slices.Contains(p.Ended, o.RunID):
		return p, nil, "this run is done"
	case p.Phase == Running:
		p.Next = &o
		return p, nil, "runs after the run in hand"
	}
	p.Run = Handle{Order: o}
	if p.Phase == Waiting {
		return p, nil, "the newest order is the one that runs"
	}
	return p.enter(Waiting, now), nil, "ordered"
}

func (p Partition) end(e ended, now time.Time) (Partition, []Effect, string) {
	if p.Phase != Running || p.Run.RunID != e.RunID {
		return p, nil, "not the run in hand"
	}
	run := p.Run
	p.Run = Handle{}
	if p.Desired.AllocationID == "" {
		return p.enter(Free, now), nil, "ended in a freed partition"
	}
	p = p.enter(Idle, now)
	if run.AllocationID != p.Desired.AllocationID {
		next, effects := p.follow(now)
		return next, effects, "ended, of an earlier allocation"
	}
	p.LastToken = max(p.LastToken, e.Token)
	var reason string
	switch e.Outcome {
	case Done:
		p.Ended = append(slices.Clone(p.Ended[max(0, len(p.Ended)-Remembered+1):]), e.RunID)
		p.Latest, p.ErrorType, p.EndedAt, p.RetainedUntil = e.Result, e.ErrorType, now, e.RetainedUntil
		if e.Result == Success {
			p.LastSuccess, p.Failures = e.RunID, 0
		} else {
			p.Failures++
		}
		reason = "ended: " + e.Result.String()
	case Refused:
		p.NotBefore = now.Add(Slack)
		next, effects := p.follow(now)
		return next, effects, "svc-master refused to begin the run"
	case Locked:
		// Whoever holds the lock is at work; svc-scheduler hands the order over again, or our own deadline comes.
		p.NotBefore = now.Add(Slack)
		next, effects := p.follow(now)
		return next, effects, "the partition is locked by another process"
	case Unbegun:
		if p.Next != nil || p.Substituted == e.RunID {
			if p.Next != nil {
				p.NotBefore = now.Add(Slack)
			}
			next, effects := p.follow(now)
			return next, effects, "svc-master did not begin the run"
		}
		// svc-scheduler, which does not know of local runs, orders again and again what no BeginRun answers, each time as another run. One local run
		// answers them all; if it failed, the node's own growing delay says when it is tried again.
		due := run.occasion()
		if !run.DueAt.IsZero() && due == p.SubstitutedDue {
			next, effects := p.follow(now)
			return next, effects, "svc-master did not begin the run: the node has run for that already"
		}
		p.Substituted, p.SubstitutedDue = e.RunID, due
		p.Run = e.local(run.Order)
		return p.enter(Waiting, now), nil, "svc-master did not begin the run: the node runs by itself"
	}
	next, effects := p.follow(now)
	return next, append([]Effect{Store{next}}, effects...), reason
}

// follow takes up the order that came during the run.
func (p Partition) follow(now time.Time) (Partition, []Effect) {
	if p.Next == nil {
		return p, nil
	}
	next := *p.Next
	p.Next = nil
	p, effects, _ := p.order(next, now)
	return p, effects
}

// due is when the partition runs by itself, and why. alone is since when the node is on its own; zero = it is not.
func (p Partition) due(alone time.Time) (time.Time, Cause) {
	last := p.KnownSince
	if p.EndedAt.After(last) {
		last = p.EndedAt
	}
	period := p.Desired.Period
	if period <= 0 {
		period = DefaultPeriod
	}
	at, cause := last.Add(period+Slack), Periodicity
	consider := func(when time.Time, why Cause) {
		if lost := alone.Add(Alone); when.Before(lost) {
			when = lost
		}
		if when.Before(at) {
			at, cause = when, why
		}
	}
	if !alone.IsZero() {
		if p.Failures > 0 {
			limit := LastRetry
			if p.ErrorType == TypeNotAvailable {
				limit = LastWait
			}
			consider(p.EndedAt.Add(backoff.Delay(p.Failures, p.Name, FirstRetry, limit)), Retry)
		}
		if !p.BootDue.IsZero() {
			consider(p.BootDue, Boot)
		}
		if p.Latest == 0 {
			consider(p.KnownSince, Changed)
		}
	}
	if !p.RetainedUntil.IsZero() && p.RetainedUntil.Before(at) {
		at = p.RetainedUntil // its time is the node's own, with the control plane or without
	}
	if !p.WokenAt.IsZero() && p.Desired.Requested == Started && p.WokenAt.Before(at) {
		at, cause = p.WokenAt, Changed
	}
	if at.Before(p.NotBefore) {
		at = p.NotBefore
	}
	if at.Before(p.Desired.Pause.Until) {
		at = p.Desired.Pause.Until
	}
	return at, cause
}
