package fleet

import (
	"strconv"
	"strings"
	"time"
)

// Tree is one instance tree: everything that must be consistent with itself, and so changes in one commit. All exported fields are state, to be stored
// field by field as [Changed] tells; a value that was filled by a store is ready for use. Nobody but the methods of Tree changes one.
//
// A tree is for one goroutine at a time. Methods that only read may share it once Index was called after the last event.
type Tree struct {
	Header
	// Instances by id: what is wanted.
	Instances map[string]*Instance
	// Partitions by the id of the instance that they hold: what is known. An instance without one is not allocated.
	Partitions map[string]*Partition
	// Convergence is the open one; nil = none.
	Convergence *Convergence
	// Hosted are the shared instances that instances of this tree host, by the shared instance's id; nil = none.
	Hosted map[string]*Hosted

	// index is derived from the fields above, built when needed and thrown away when the membership changes (index.go).
	index *index
}

// Header is what a tree has once. It holds the numbers that a bang moves.
type Header struct {
	// ID is `t` and 12 characters; it prefixes the ids of all that belongs to the tree.
	ID string
	// Account that it belongs to.
	Account string
	// RootID is the root instance; empty before the first request and after the last instance is gone.
	RootID string
	// Title of the root.
	Title string
	// CreatedAt is when the root was requested.
	CreatedAt time.Time
	// Generation is the last one given out.
	Generation Generation
	// Membership counts the changes of who is allocated where, of states, of periods and of pauses.
	Membership uint64
	// Last numbers given out, each counted from 1.
	LastInstance, LastAllocation, LastBang, LastConvergence uint64
	// Banged is the newest bang that concerns every member: the one number that moves.
	Banged BangMark
	// BangedNow is the generation of the newest bang of the whole tree that does not wait with a delay.
	BangedNow Generation
	// Quota of bangs.
	Quota Quota
	// Pause is the newest one, or its end.
	Pause Pause
}

// BangMark is a bang as those it concerns remember it.
type BangMark struct {
	// Number of the bang within the tree; 0 = none.
	Number uint64
	// Generation that it made.
	Generation Generation
	// At is when it was recorded.
	At time.Time
	// Delay is how long after At its runs are due: bangs of a storm wait.
	Delay time.Duration
	// Trace is the context of the `bang` span.
	Trace Trace
}

// Trace is a W3C trace context that is stored with things; the core carries it and never looks inside.
type Trace struct {
	Traceparent, Tracestate, Baggage string
}

// New is an empty tree; its first event is the [Request] of its root. Epoch is that of its shard.
func New(id, account string, epoch uint64) *Tree {
	return &Tree{
		Header:     Header{ID: id, Account: account, Generation: Generation{Epoch: epoch}},
		Instances:  map[string]*Instance{},
		Partitions: map[string]*Partition{},
	}
}

// TreeID is the tree that id belongs to: `t….i3` → `t…`.
func TreeID(id string) string {
	tree, _, _ := strings.Cut(id, ".")
	return tree
}

// NextBangID is the id that the next bang will have, for whoever must put it into a trace before the bang is decided.
func (t *Tree) NextBangID() string { return t.id('b', t.LastBang+1) }

// Gone tells whether nothing is left of the tree.
func (t *Tree) Gone() bool { return t.LastInstance > 0 && len(t.Instances) == 0 }

// Doomed tells whether the root was destroyed; it may be gone, with remnants still there.
func (t *Tree) Doomed() bool {
	root := t.Instances[t.RootID]
	return t.LastInstance > 0 && (root == nil || root.State == Destroyed)
}

// Wanted is the last generation that concerns p.
func (t *Tree) Wanted(p *Partition) Generation {
	return newer(newer(p.Changed, p.Banged.Generation), t.Banged.Generation)
}

// next gives out the next generation.
func (t *Tree) next() Generation {
	t.Generation.Number++
	return t.Generation
}

func (t *Tree) id(kind byte, number uint64) string {
	b := make([]byte, 0, len(t.ID)+16)
	b = append(b, t.ID...)
	b = append(b, '.', kind)
	return string(strconv.AppendUint(b, number, 10))
}
