package converge

import (
	"fmt"
	"time"
)

// Event is something that happened to the node.
type Event interface{ event() }

// Start is the first event of an agent's life.
type Start struct {
	// Rebooted says that the machine started since the last agent: runs are due, spread over 5 min.
	Rebooted bool
}

// Wanted is a delta of the desired state, from the master's stream.
type Wanted struct {
	Items []Desired
	// Freed names partitions that hold nothing any more.
	Freed []string
}

// Learned is the desired state that BeginRun returned. It may be older or newer than what the stream said.
type Learned struct{ Item Desired }

// Ordered is an order of svc-scheduler.
type Ordered struct{ Order Order }

// LinkChanged says that a stream was opened or lost.
type LinkChanged struct {
	Link Link
	Up   bool
}

// Ended says that a run that StartRun asked for is over.
type Ended struct {
	Partition string
	RunID     string
	Outcome   Outcome
	// Result and ErrorType are meant when the outcome is Done.
	Result    Result
	ErrorType string
	// RetainedUntil is until when the content of the destroyed instance is kept; zero = it is not.
	RetainedUntil time.Time
	// Token that svc-master gave to the run; 0 = none.
	Token uint64
}

// Woken says that the node itself noticed what a run should find out: a wake-up, no instruction. A started partition runs at once, or once more after the
// run in hand; any other has nothing to find out.
type Woken struct {
	Partition string // empty = all
}

// Tick says that time has passed; see Node.Due. A tick at any moment is harmless.
type Tick struct{}

func (Start) event()       {}
func (Wanted) event()      {}
func (Learned) event()     {}
func (Ordered) event()     {}
func (LinkChanged) event() {}
func (Ended) event()       {}
func (Woken) event()       {}
func (Tick) event()        {}

// Outcome is what became of a run.
type Outcome uint8

// The outcomes.
const (
	// Done: the run went to its end and has a result, whether its report was sent or spooled.
	Done Outcome = iota + 1
	// Refused: BeginRun said that the allocation is not current or a newer run began. Nothing was done.
	Refused
	// Unbegun: svc-master did not answer BeginRun. Nothing was done.
	Unbegun
	// Locked: another process holds the partition's lock. Nothing was done.
	Locked
)

// Link is one of the streams that decide whether the node is on its own.
type Link uint8

// The links. Sense is not among them: it changes who evaluates, not when a partition runs.
const (
	Orders Link = iota + 1
	Master
)

// String returns the name of the service at the other end.
func (l Link) String() string {
	switch l {
	case Orders:
		return "svc-scheduler"
	case Master:
		return "svc-master"
	}
	return fmt.Sprintf("link %d", uint8(l))
}

// Order says that a partition should run now. Trace, Bangs and Folds are carried for the run's span.
type Order struct {
	RunID        string
	Partition    string
	AllocationID string
	Cause        Cause
	// Attempt counts the attempts since the last success, this one included, from 1.
	Attempt uint32
	// DueAt and OrderedAt are by svc-scheduler's clock; they are shown, never compared with ours.
	DueAt, OrderedAt time.Time
	Trace            Trace
	Parented         bool
	Bangs            []BangReference
	Folds            uint64
}

// Trace is a stored W3C trace context.
type Trace struct{ Traceparent, Tracestate, Baggage string }

// BangReference names a bang that an order answers.
type BangReference struct {
	BangID string
	Trace  Trace
}

// Effect is something to do.
type Effect interface{ effect() }

// StartRun begins a run; it is answered by exactly one Ended.
type StartRun struct {
	Run  Handle
	Want Desired
}

// Store writes what the node knows of a partition.
type Store struct{ Partition Partition }

// Forget removes what is stored of a partition that is free now.
type Forget struct {
	Partition    string
	AllocationID string
}

// Count stores the number of runs that the node made by itself in this boot. It comes before the StartRun that uses it,
// so that no run id is made twice.
type Count struct{ Sequence uint64 }

func (StartRun) effect() {}
func (Store) effect()    {}
func (Forget) effect()   {}
func (Count) effect()    {}
