package agenda

import "time"

// Event is something that happened. The set is closed: the types of this file.
type Event interface{ event() }

// StreamOpened says that the computer's node has a stream of orders to this replica. Apply it after the Allocations that were read
// for it, so that a run that the node no longer has is not called lost when it was reported meanwhile.
type StreamOpened struct {
	// Session owns the agenda from now on; grows with each stream of the computer.
	Session uint64
	// Slots is how many runs the node carries out at once, at least 1.
	Slots int
	// BootID of the machine; another one than before makes all partitions due (boot).
	BootID string
	// Running are the ids of the runs that the node has in hand.
	Running []string
}

// StreamClosed says that the stream of a session ended; that of an older session changes nothing.
type StreamClosed struct{ Session uint64 }

// Scope is what a reading of allocations covers: what is missing from it within its scope is gone.
type Scope int

// The scopes.
const (
	// Some: nothing is removed (the unsettled ones).
	Some Scope = iota
	// OfTree: all of Tree on this computer.
	OfTree
	// OfComputer: all of the computer.
	OfComputer
)

// Allocations is the truth as svc-master told it.
type Allocations struct {
	List  []Allocation
	Scope Scope
	Tree  string
	// Asked is when the reading was asked for: what was learnt since is newer than the reading.
	Asked time.Time
}

// Allocation is an instance in a partition, with what is wanted and known of it.
type Allocation struct {
	AllocationID, InstanceID, TreeID, Title string
	Partition                               string
	Period                                  time.Duration
	// Wanted and why (FromBang or Changed); Settled; Changed is the generation of the last change of the desired state.
	Wanted, Settled, Changed Generation
	WantedCause              Cause
	// Bang is the newest unsettled one; nil = none. Delay holds it back from its At on.
	Bang  *Bang
	Delay time.Duration
	// Run in progress; an empty RunID = none.
	Run RunSeen
	// Latest reported run; an empty RunID = none.
	Latest RunEnded
	// Pause of its tree, the newest, or the end of one.
	Pause Paused
}

// RunSeen is a run that began.
type RunSeen struct {
	RunID      string
	Token      uint64
	Generation Generation
}

// RunEnded is a reported run.
type RunEnded struct {
	RunID   string
	Success bool
	// Result and ErrorType are words for reasons; ErrorType Unavailable shortens the growing delay.
	Result, ErrorType string
	// At is when svc-master got the report.
	At time.Time
	// Attempt counts from 1; 0 = not known.
	Attempt int
}

// Wanted says that a generation concerns a partition: a bang or a change.
type Wanted struct {
	Partition, AllocationID string
	Generation              Generation
	// Cause is FromBang or Changed.
	Cause Cause
	// Bang of cause FromBang.
	Bang Bang
	// At is when svc-master wrote it; Delay holds the run back from then on, by at most Delay from now (docs/rules.md, futile bangs, publish loops).
	At    time.Time
	Delay time.Duration
	// Hold is how long from now the node waits, at most, before it begins what this makes due: until a crowd has its orders (docs/decisions/0054).
	Hold time.Duration
}

// Begun says that a run began.
type Begun struct {
	Partition, AllocationID string
	RunSeen
}

// Reported says how a run ended.
type Reported struct {
	Partition, AllocationID string
	// Token and Generation of the run's BeginRun; token 0 = a run that the node made by itself.
	Token      uint64
	Generation Generation
	RunEnded
}

// RunNow makes one run due now (manual). Idempotent by RequestID among the newest MaxRequests of the partition.
type RunNow struct{ Partition, RequestID string }

// Due says that time passed.
type Due struct{}

func (StreamOpened) event() {}
func (StreamClosed) event() {}
func (Allocations) event()  {}
func (Wanted) event()       {}
func (Begun) event()        {}
func (Reported) event()     {}
func (RunNow) event()       {}
func (Due) event()          {}
