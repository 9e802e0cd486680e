package chaos

import (
	"fmt"
	"sync"
	"time"
)

// Generation numbers the changes and bangs of a tree; a new epoch wins over any number.
type Generation struct{ Epoch, Number uint64 }

// Less is whether g came before h.
func (g Generation) Less(h Generation) bool {
	return g.Epoch < h.Epoch || (g.Epoch == h.Epoch && g.Number < h.Number)
}

func (g Generation) String() string { return fmt.Sprintf("%d/%d", g.Epoch, g.Number) }

// Span is when a call was made and when its answer came. A call that is repeated under one id is one call, from its first attempt on.
type Span struct{ Call, Return time.Duration }

// Before is whether s had its answer before o was made.
func (s Span) Before(o Span) bool { return s.Return < o.Call }

// Kind is what a client did with a tree.
type Kind int

// Kinds of operations.
const (
	Request Kind = iota // the value of its parameter is wanted
	Bang
	Read
)

// Operation is one call of a client.
type Operation struct {
	Span
	Kind Kind
	Tree string
	// ID is the request id of a Request or a Bang.
	ID string
	// Value that is requested, or that was read.
	Value string
	// Answered is false when no answer came: it may have had its effect, or may have it still.
	Answered bool
	// Generation that the answer named.
	Generation Generation
	// Allocation of what was requested, as the answer named it.
	Allocation string
	// BangID that the answer named.
	BangID string
}

// Order is one that a node was handed.
type Order struct {
	// Stream is the computer whose stream it came on, Computer the one that it names.
	Stream, Computer, Partition, RunID string
	// Unasked is true when nothing but time or a restart caused it: periodicity, boot.
	Unasked bool
	At      time.Duration
}

// Begin is an acknowledged BeginRun.
type Begin struct {
	Span
	Tree, Allocation, RunID string
	Token                   uint64
	// Desired is the generation of what was wanted and Wanted what a success settles; Value is the parameter's.
	Desired, Wanted Generation
	Value           string
}

// Report is one of ReportRun.
type Report struct {
	Span
	Allocation, RunID string
	Token             uint64
	Success           bool
	Accepted          bool // false = refused, or no answer came
}

// Run is what happened on a machine.
type Run struct {
	Computer, Partition, RunID string
	From, Until                time.Duration
}

// Colour is an observation of a computer that nobody had heard of for some time.
type Colour struct {
	Computer string
	Colour   string // green, orange, red
	Silent   time.Duration
	At       time.Duration
}

// Fault is something that was done to the fleet.
type Fault struct {
	What        string
	From, Until time.Duration
}

func (f Fault) String() string {
	return fmt.Sprintf("%s from %.2f to %.2f s", f.What, f.From.Seconds(), f.Until.Seconds())
}

// Final is what is there after everything was healed and came to rest.
type Final struct {
	// Satisfied has each recorded bang of each tree, and whether it is satisfied.
	Satisfied map[string]bool
	// Value and Generation of each tree.
	Value      map[string]string
	Generation map[string]Generation
	// Settled is the highest generation that each allocation has a success of.
	Settled map[string]Generation
	// Evicted counts the keys that Redis gave up for room.
	Evicted int
}

// History is all that was seen.
type History struct {
	Operations []Operation
	Orders     []Order
	Begins     []Begin
	Reports    []Report
	Runs       []Run
	Colours    []Colour
	Faults     []Fault
	Final      Final
	// Length is how long it took; Period the longest time between two runs of a partition.
	Length, Period time.Duration
	// Moves is how often the epoch may have moved: each makes every partition run once more.
	Moves int
	// Lossy is true when the store failed over, or an older one was restored: what was acknowledged in an epoch before the last one may be gone, whole.
	Lossy bool

	began time.Time
	mu    sync.Mutex // never held while anything waits
}

// Start is an empty history whose time begins now.
func Start() *History { return &History{began: time.Now()} }

// Now is the time of the history.
func (h *History) Now() time.Duration { return time.Since(h.began) }

// Count is how many operations were answered, faults made and reports accepted until now.
func (h *History) Count() (answered, faults, reports int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.Operations {
		if o.Answered {
			answered++
		}
	}
	for _, r := range h.Reports {
		if r.Accepted {
			reports++
		}
	}
	return answered, len(h.Faults), reports
}

// Add records what one of many observers saw.
func (h *History) Add(what any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch w := what.(type) {
	case Operation:
		h.Operations = append(h.Operations, w)
	case Order:
		h.Orders = append(h.Orders, w)
	case Begin:
		h.Begins = append(h.Begins, w)
	case Report:
		h.Reports = append(h.Reports, w)
	case Run:
		h.Runs = append(h.Runs, w)
	case Colour:
		h.Colours = append(h.Colours, w)
	case Fault:
		h.Faults = append(h.Faults, w)
	default:
		panic(fmt.Sprintf("a history has no %T", what))
	}
}
