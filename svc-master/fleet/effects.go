package fleet

import (
	"slices"
	"time"
)

// Effects is what has to happen, all in one commit, for an event to have happened. The zero value: nothing to write.
type Effects struct {
	// Keep has the store keep the answer under the request's id, or the report's, so that a repeated event gets the first one; false = the core recognises repetitions
	// itself. A report needs it only when its allocation is not current: that of a destruction ends the allocation, and with it what would recognise the report.
	// It may come with nothing else to write: a request that changed nothing must not be applied when it is repeated after a later one.
	Keep bool
	// Changed names the parts of the tree to write.
	Changed Changed
	// Feed entries to append, in order.
	Feed []FeedEntry
	// Bang to append to the records; nil = none.
	Bang *BangRecord
	// Satisfied bangs, by group.
	Satisfied []Group
	// Closed is the convergence that ended, whole: archive it and emit its span (from OpenedAt to ClosedAt, child of Trace). Nil = none.
	Closed *Convergence
	// Run that ended, for history and telemetry; nil = none.
	Run *EndedRun
	// Place lists instances that need a partition: reserve one and tell with Allocate, or tell with Unallocated. It may come with nothing to write.
	Place []string
	// Freed lists partitions whose reservation is to be released.
	Freed []Place
	// Rebound lists partitions whose reservation passes from one instance of the tree to another; before any of Place is placed.
	Rebound []Rebound
	// Hosting lists shared instances of which the two sides have to be brought together; it may repeat itself.
	Hosting []Hosting
	// Settlement tells when the tree must enter or leave its shard's set of unsettled trees.
	Settlement Settlement
	// Gone is true when nothing is left of the tree: its title is free again.
	Gone bool
	// Audit tells what changed, for the record of who did what; only an Act comes without something else to write.
	Audit []AuditEntry
}

// None tells whether there is nothing to commit: a repetition, or an event that changed nothing.
func (e *Effects) None() bool {
	return !e.Keep && e.Changed.None() && len(e.Feed) == 0 && e.Bang == nil && e.Run == nil && !e.Gone && len(e.Audit) == 0
}

// Merge adds what a later event of the same commit asks for, of events between shared instances and their hosts: they record no bang, end no run, and close
// no convergence.
func (e *Effects) Merge(o Effects) {
	e.Changed.Merge(o.Changed)
	e.Feed, e.Audit = append(e.Feed, o.Feed...), append(e.Audit, o.Audit...)
	e.Place = append(e.Place, o.Place...)
	e.Hosting = append(e.Hosting, o.Hosting...)
	if o.Settlement != SettlementKept {
		e.Settlement = o.Settlement
	}
}

// Changed names the parts of a tree that an event changed. An id that is not in the tree any more is to be deleted.
type Changed struct {
	// Header is true when the header changed.
	Header bool
	// Instances and Partitions, by instance id, each once.
	Instances, Partitions []string
	// Hosted, by id of the shared instance, each once.
	Hosted []string
	// Convergence is true when it was opened, changed or closed (then it is nil); its timeline not included.
	Convergence bool
	// Timeline is true when moments changed: those from TimelineFrom on are to be written.
	Timeline     bool
	TimelineFrom int
}

// None tells whether nothing changed.
func (c *Changed) None() bool {
	return !c.Header && len(c.Instances) == 0 && len(c.Partitions) == 0 && len(c.Hosted) == 0 && !c.Convergence && !c.Timeline
}

// Merge adds what a later event of the same batch changed.
func (c *Changed) Merge(o Changed) {
	c.Header = c.Header || o.Header
	c.Instances = union(c.Instances, o.Instances)
	c.Partitions = union(c.Partitions, o.Partitions)
	c.Hosted = union(c.Hosted, o.Hosted)
	c.Convergence = c.Convergence || o.Convergence
	if o.Timeline {
		c.timeline(o.TimelineFrom)
	}
}

// union appends the ids that are new. Runs of a batch come one by one: looking through the list for each is cheaper than a map of it, up to some length.
func union(ids, more []string) []string {
	if len(ids) == 0 {
		return slices.Clip(more)
	}
	if len(ids)*len(more) <= 1000 {
		for _, id := range more {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	for _, id := range more {
		if !known[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *Changed) instance(id string) {
	if !slices.Contains(c.Instances, id) {
		c.Instances = append(c.Instances, id)
	}
}

func (c *Changed) partition(id string) {
	if !slices.Contains(c.Partitions, id) {
		c.Partitions = append(c.Partitions, id)
	}
}

func (c *Changed) hosted(id string) {
	if !slices.Contains(c.Hosted, id) {
		c.Hosted = append(c.Hosted, id)
	}
}

// hosting says that the two sides of a shared instance differ.
func (e *Effects) hosting(sharedID, hostID string) {
	if h := (Hosting{SharedID: sharedID, HostID: hostID}); !slices.Contains(e.Hosting, h) {
		e.Hosting = append(e.Hosting, h)
	}
}

func (c *Changed) timeline(from int) {
	if !c.Timeline || from < c.TimelineFrom {
		c.TimelineFrom = from
	}
	c.Timeline = true
}

// Settlement is what a step did to the set of unsettled trees.
type Settlement uint8

// Settlements.
const (
	// SettlementKept: nothing to do.
	SettlementKept Settlement = iota
	// BecameUnsettled: some allocation now has wanted > settled, and none had.
	BecameUnsettled
	// BecameSettled: no allocation has wanted > settled any more.
	BecameSettled
)

// Place is a partition on a computer.
type Place struct {
	Computer, Partition string
	// AllocationID and InstanceID that it held.
	AllocationID, InstanceID string
}

// Rebound is a partition that another instance of the same tree holds from now on.
type Rebound struct {
	Place
	// From is the instance that held it.
	From string
}

// FeedEntry is a hint that something changed, as vow.master.v1.FeedEntry; its position is the store's.
type FeedEntry struct {
	Kind       FeedKind
	TreeID     string
	Generation Generation
	Membership uint64
	// InstanceIDs concerned by CHANGED; the one of BEGUN, REPORTED and WITHHELD.
	InstanceIDs []string
	// Computer, Partition and AllocationID of BEGUN and REPORTED.
	Computer, Partition, AllocationID string
	// Bang of BANG.
	Bang *BangHint
	// Run of BEGUN and REPORTED.
	Run *RunHint
	At  time.Time
	// ConvergenceID of CLOSED.
	ConvergenceID string
	Trace         Trace
	// Delay of CHANGED: not before this long after At.
	Delay time.Duration
}

// BangHint is a bang as the feed tells it.
type BangHint struct {
	ID     string
	Number uint64
	At     time.Time
	Trace  Trace
	// InstanceIDs concerned; empty = every member.
	InstanceIDs []string
	Delay       time.Duration
}

// RunHint is a run as the feed tells it.
type RunHint struct {
	ID         string
	Token      uint64
	Generation Generation
	Result     Result
	ErrorType  string
}

// BangRecord is a recorded bang.
type BangRecord struct {
	ID      string
	Number  uint64
	Outcome Outcome
	Reason  string
	Origin  Origin
	Source  string
	Message string
	// InstanceID whose partition banged; empty for a bang of the tree.
	InstanceID    string
	Generation    Generation
	ConvergenceID string
	At, NoticedAt time.Time
	Delay         time.Duration
	Trace         Trace
}

// EndedRun is a reported run with where and what.
type EndedRun struct {
	InstanceID, AllocationID, Computer, Partition string
	Report                                        Report
	// Wanted is the generation that the run was given; zero for a local run.
	Wanted Generation
	Steps  []Step
	// BegunAt is zero for a local run.
	BegunAt time.Time
}
