package model

import (
	"fmt"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// checker holds the world to docs/rules.md, what must never happen. Its memory is fed by what was committed and by what callers were told.
type checker struct {
	w      *World
	broken error
	trees  map[string]*treeMemory
	// running is the run that holds the lock of each partition.
	running map[string]string
	// days is when counting per day began; 0 = not yet. reports are the times of the failed runs since, by allocation.
	days    time.Duration
	reports map[string][]time.Duration
}

// treeMemory is what is remembered of one tree.
type treeMemory struct {
	generation fleet.Generation
	lastBang   uint64
	bangs      map[uint64]*bangMemory
	// acked are the numbers of acknowledged bangs, settled the acknowledged reports by allocation, version and state what was acknowledged of the root.
	acked   []uint64
	settled map[string]fleet.Generation
	version int
	state   fleet.State
	// convergences by id.
	convergences map[string]*convergenceMemory
	allocations  map[string]*allocationMemory
}

type bangMemory struct {
	outcome     fleet.Outcome
	generation  fleet.Generation
	scope       string
	convergence string
}

type convergenceMemory struct {
	bangs  uint64
	closed bool
}

// allocationMemory is one tenant's life: its runs, and what its colour should be.
type allocationMemory struct {
	instance string
	over     bool
	token    uint64
	run      string // in progress; empty = none
	wanted   fleet.Generation
	settled  fleet.Generation
	ran, ok  bool
	at       time.Time
	alarm    bool
	alarmAt  uint64 // token when it was recorded
	wakes    bool
	boot     string
	boots    map[string]uint64
	begins   []time.Duration // of the last minute
}

func newChecker(w *World) *checker {
	c := &checker{w: w, trees: map[string]*treeMemory{}, running: map[string]string{}, reports: map[string][]time.Duration{}}
	return c
}

// fail breaks the world with the first rule that does not hold.
func (c *checker) fail(format string, args ...any) error {
	if c.broken == nil {
		c.broken = fmt.Errorf("seed %d at %s: %s", c.w.cfg.Seed, c.w.now, fmt.Sprintf(format, args...))
		c.w.say("checker", "BROKEN: %v", c.broken)
	}
	return c.broken
}

func (c *checker) tree(id string) *treeMemory {
	m := c.trees[id]
	if m == nil {
		m = &treeMemory{
			bangs: map[uint64]*bangMemory{}, settled: map[string]fleet.Generation{}, convergences: map[string]*convergenceMemory{}, allocations: map[string]*allocationMemory{},
		}
		c.trees[id] = m
	}
	return m
}

// bangAcked: somebody was told that a bang is known.
func (c *checker) bangAcked(tree string, e *fleet.Bang, a fleet.BangAnswer, err error) {
	if a.BangID == "" {
		if err == nil {
			_ = c.fail("a bang of %s %s was answered without an id", e.Origin, e.Source)
		}
		return
	}
	c.w.summary.Bangs[a.Outcome]++
	m := c.tree(tree)
	if a.Generation.Epoch < m.generation.Epoch && c.w.losses > 0 {
		return // the store lost it after it was acknowledged
	}
	if b := m.bangs[a.Number]; b == nil || b.outcome != a.Outcome {
		_ = c.fail("bang %s was acknowledged as %s, and nothing like it was recorded", a.BangID, a.Outcome)
	}
	m.acked = append(m.acked, a.Number)
	c.kept(tree, m)
}

// reportAcked: a node was told that its report is known. losses is how often the store had lost its last seconds when it was sent: an answer that was on its way
// when the store lost them may be of what is lost.
func (c *checker) reportAcked(e *fleet.ReportRun, a fleet.ReportRunAnswer, err error, losses int) {
	if err != nil || e.Local != nil || losses != c.w.losses {
		return
	}
	tree := fleet.TreeID(e.AllocationID)
	m := c.tree(tree)
	if m.settled[e.AllocationID].Less(a.Settled) && a.Settled.Epoch == m.generation.Epoch {
		m.settled[e.AllocationID] = a.Settled
	}
	c.kept(tree, m)
}

// requestAcked: a client was told that what it requested is known.
func (c *checker) requestAcked(p *treePlan, e *fleet.Request, version int, a fleet.RequestAnswer, err error) {
	if err != nil {
		_ = c.fail("the request of %s %s was refused: %v", p.id, e.Title, err)
		return
	}
	m := c.tree(p.id)
	m.version = max(m.version, version)
	if a.InstanceID == "" {
		_ = c.fail("the request of %s %s was answered without an id", p.id, e.Title)
	}
	c.kept(p.id, m)
}

func (c *checker) stateAcked(p *treePlan, state fleet.State, err error) {
	if err != nil {
		_ = c.fail("%s of %s was refused: %v", state, p.id, err)
		return
	}
	m := c.tree(p.id)
	m.state = state
	c.kept(p.id, m)
}

// pauseAcked: a pause, or its end, is answered; only a tree that goes refuses one.
func (c *checker) pauseAcked(p *treePlan, err error) {
	if err != nil && fleet.KindOf(err) != fleet.FailedPrecondition && (fleet.KindOf(err) != fleet.NotFound || c.w.losses == 0) {
		_ = c.fail("a pause of %s was refused: %v", p.id, err)
	}
}

// notPaused: no run of a tree begins while it is paused.
func (c *checker) notPaused(t *fleet.Tree, allocation string, now time.Time) {
	if _, p := t.Allocated(allocation); p != nil && p.Run != nil && t.Paused(now) && p.Run.BegunAt.Equal(now) {
		_ = c.fail("run %s began in tree %s, which is paused until %s", p.Run.ID, t.ID, t.Pause.Until)
	}
}

// restarted: svc-master starts again with what is stored. What was acknowledged is there, and the colours are right at once.
func (c *checker) restarted(master *master) {
	for _, id := range sortedKeys(c.trees) {
		c.kept(id, c.trees[id])
		t := master.tree(id)
		for _, i := range t.Sorted() {
			c.colour(t, i.ID, c.w.wall(master.host))
		}
	}
}

// runStarted: a node takes a partition's lock.
func (c *checker) runStarted(n *node, h converge.Handle) {
	at := n.name + "/" + h.Partition
	if other := c.running[at]; other != "" {
		_ = c.fail("two runs of %s at once: %s and %s", at, other, h.RunID)
	}
	if len(n.runs) >= n.slots {
		_ = c.fail("%s has %d runs at once and %d slots", n.name, len(n.runs)+1, n.slots)
	}
	c.running[at] = h.RunID
}

// runOver: a node releases a partition's lock, or dies.
func (c *checker) runOver(n *node, partition string) { delete(c.running, n.name+"/"+partition) }

// desiredStored: a node takes over what is wanted of a partition.
func (c *checker) desiredStored(n *node, before, after converge.Partition) {
	if before.Desired.AllocationID == after.Desired.AllocationID && after.Desired.Generation.Less(before.Desired.Generation) {
		_ = c.fail("%s/%s: the desired state of generation %v replaced that of %v", n.name, after.Name, after.Desired.Generation, before.Desired.Generation)
	}
}

// applied: a run installs a version of its tenant.
func (c *checker) applied(t *tenant, version int, epoch uint64) {
	// A run that was given a version which the store then lost may still request its children in it, before its next run takes that back.
	if c.w.losses > 0 && t.plan.title != rootTitle {
		return
	}
	if epoch < t.epoch || epoch == t.epoch && version < t.version {
		_ = c.fail("version %d of epoch %d was applied to %s over version %d of epoch %d", version, epoch, t.allocation, t.version, t.epoch)
	}
}

// decided: an agenda took events.
func (c *checker) decided(o *owner, out *agenda.Outcome) {
	if err := o.agenda.Check(); err != nil {
		_ = c.fail("%v", err)
	}
	if len(out.Orders) > 0 && o.agenda.Active() > o.agenda.Slots && !again(out.Orders) {
		_ = c.fail("%s has %d unreported orders and %d slots", o.computer, o.agenda.Active(), o.agenda.Slots)
	}
}

// again tells whether orders hand over what was handed over before: a stream that opens with fewer slots does not take orders back.
func again(orders []agenda.Order) bool {
	for i := range orders {
		if !orders[i].Again {
			return false
		}
	}
	return true
}

// ordered: an order is handed over. What is handed over is always known, and its folds are the difference of bang numbers.
func (c *checker) ordered(o *owner, order *agenda.Order) {
	known := c.w.agendas.records[o.computer].entries[order.Partition]
	if known == nil || known.Run.ID != order.RunID {
		_ = c.fail("the order of run %s for %s/%s was handed over and is not stored", order.RunID, o.computer, order.Partition)
		return
	}
	if order.Folds != known.Folds() {
		_ = c.fail("run %s folds %d bangs, its entry says %d", order.RunID, order.Folds, known.Folds())
	}
	m := c.tree(order.TreeID)
	for _, number := range []uint64{known.FirstBang, known.LastBang} {
		b := m.bangs[number]
		if b == nil && c.w.losses > 0 {
			continue // svc-scheduler heard of it before it was lost
		}
		if number != 0 && (b == nil || !b.outcome.Wakes()) {
			_ = c.fail("run %s answers bang %d of %s, which wakes nobody", order.RunID, number, order.TreeID)
		}
	}
	if first := m.bangs[known.FirstBang]; first != nil && !agenda.Generation(first.generation).After(known.Answered) {
		_ = c.fail("run %s counts bang %d of %s again: generation %s is answered", order.RunID, known.FirstBang, order.TreeID, known.Answered)
	}
}
