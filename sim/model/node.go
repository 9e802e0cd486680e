package model

import (
	"slices"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/supervise"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// node is the agent of a machine: converge in memory, and its streams.
type node struct {
	*host
	w        *World
	machine  *machine
	core     converge.Node
	slots    int
	orders   *stream
	desired  *stream
	sense    *stream
	runs     map[string]*run // by partition: the node's locks
	sensing  map[string]bool // allocations whose promises are sensed
	rebooted bool
	timer    uint64
	draining bool
	reading  bool
}

func newNode(w *World, name string) *node {
	n := &node{host: &host{name: name}, w: w, slots: 1 + w.rand.IntN(4)}
	n.machine = newMachine(w, n)
	n.crashed = func() {
		for _, partition := range sortedKeys(n.runs) {
			w.checker.runOver(n, partition)
		}
		n.runs, n.orders, n.desired, n.sense = nil, nil, nil, nil
		n.draining, n.reading = false, false
	}
	n.started = n.begin
	return n
}

// begin is the start of an agent: what is on the disk, then the streams.
func (n *node) begin() {
	n.runs, n.sensing = map[string]*run{}, map[string]bool{}
	n.core = converge.NewNode(n.name, n.machine.bootID(), n.slots, n.machine.sequence, n.w.clock(n.host))
	for _, name := range sortedKeys(n.machine.known) {
		n.core = n.core.With(n.machine.known[name], n.w.clock(n.host))
	}
	rebooted := n.rebooted
	n.rebooted = false
	n.step(converge.Start{Rebooted: rebooted})
	for _, partition := range sortedKeys(n.machine.tenants) {
		n.senseTenant(n.machine.tenants[partition])
	}
	n.openDesired()
	n.openOrders()
	n.openSense()
	n.readJournal()
}

// step is one step of converge: effects in order, any of which the agent may not live to see.
func (n *node) step(e converge.Event) {
	if !n.up {
		return
	}
	next, effects, reason := n.core.Step(e, n.w.clock(n.host))
	n.w.say(n.name, "%T: %s", e, reason)
	n.core = next
	for _, effect := range effects {
		if n.w.boundary(n.host) {
			return
		}
		switch f := effect.(type) {
		case converge.Store:
			n.w.checker.desiredStored(n, n.machine.known[f.Partition.Name], f.Partition)
			n.machine.known[f.Partition.Name] = f.Partition
		case converge.Forget:
			delete(n.machine.known, f.Partition)
			delete(n.machine.bangs, f.Partition)
		case converge.Count:
			n.machine.sequence = f.Sequence
		case converge.StartRun:
			n.w.soon(n.host, 0, func() { n.startRun(f.Run, f.Want) })
			if n.w.cfg.sabotage == twoRuns {
				n.w.soon(n.host, time.Millisecond, func() { n.startRun(f.Run, f.Want) })
			}
		}
	}
	n.timer++
	if due, ok := n.core.Due(); ok {
		timer := n.timer
		n.w.soon(n.host, max(due.Sub(n.w.clock(n.host)), time.Millisecond), func() {
			if n.timer == timer {
				n.step(converge.Tick{})
			}
		})
	}
}

func (n *node) retry(do func()) func() {
	return func() { n.w.soon(n.host, n.w.between(200*time.Millisecond, 2*time.Second), do) }
}

// openDesired opens the stream of desired states, which stands for all of the node's links to svc-master.
func (n *node) openDesired() {
	n.w.dial(n.host, n.w.master.host, func(s *stream) {
		n.desired = s
		s.lost[0] = func() {
			n.desired = nil
			n.step(converge.LinkChanged{Link: converge.Master})
			n.retry(n.openDesired)()
		}
		s.send(1, func() {
			n.w.master.watchDesired(s, n.name, func(d desired) { n.wanted(d) })
		})
		n.step(converge.LinkChanged{Link: converge.Master, Up: true})
		n.drain()
	}, n.retry(n.openDesired))
}

func (n *node) wanted(d desired) {
	freed := d.freed
	if d.whole {
		for _, p := range n.core.Partitions() {
			if p.Desired.AllocationID != "" && !slices.ContainsFunc(d.items, func(i converge.Desired) bool { return i.Partition == p.Name }) {
				freed = append(freed, p.Name)
			}
		}
	}
	if n.w.cfg.sabotage == olderDesired {
		for i := range d.items {
			if k, ok := n.machine.known[d.items[i].Partition]; ok && k.Desired.AllocationID == d.items[i].AllocationID && k.Desired.Generation.Number > 1 {
				older := k
				older.Desired.Generation.Number--
				n.w.checker.desiredStored(n, k, older)
			}
		}
	}
	n.step(converge.Wanted{Items: d.items, Freed: freed})
	for _, p := range freed {
		if n.up && n.core.Partition(p).Phase == converge.Free {
			n.empty(p)
		}
	}
}

// empty removes the content of a partition.
func (n *node) empty(partition string) {
	delete(n.machine.tenants, partition)
	n.machine.supervise(supervise.Apply{Partition: partition})
}

// openOrders opens the stream of orders at some replica.
func (n *node) openOrders() {
	replica := pick(&n.w.loop, n.w.replicas)
	n.w.dial(n.host, replica.host, func(s *stream) {
		n.orders = s
		s.lost[0] = func() {
			n.orders = nil
			n.step(converge.LinkChanged{Link: converge.Orders})
			n.retry(n.openOrders)()
		}
		hello := agenda.StreamOpened{Slots: n.slots, BootID: n.machine.bootID(), Running: n.core.InHand()}
		s.send(1, func() { replica.serve(s, n.name, hello, n.ordered) })
		n.step(converge.LinkChanged{Link: converge.Orders, Up: true})
	}, n.retry(n.openOrders))
}

func (n *node) ordered(o agenda.Order) {
	bangs := make([]converge.BangReference, 0, len(o.Bangs))
	for _, b := range o.Bangs {
		bangs = append(bangs, converge.BangReference{BangID: b.ID})
	}
	n.step(converge.Ordered{Order: converge.Order{
		RunID: o.RunID, Partition: o.Partition, AllocationID: o.AllocationID, Cause: converge.Cause(o.Cause), Attempt: uint32(o.Attempt),
		DueAt: o.Due, OrderedAt: o.Ordered, Bangs: bangs, Folds: o.Folds,
	}})
}

// readJournal bangs for the exits that the supervisor reported; an exit is acknowledged once its bang is, or is spooled.
func (n *node) readJournal() {
	m := n.machine
	if n.reading || len(m.exits) == 0 || !n.up {
		return
	}
	n.reading = true
	exit, boot := m.exits[0], m.boot
	done := func() {
		n.reading = false
		if len(m.exits) > 0 && m.exits[0].Seq == exit.Seq && m.boot == boot {
			m.exits, m.acked = m.exits[1:], exit.Seq
		}
		n.readJournal()
	}
	t, p := m.tenants[exit.Partition], n.core.Partition(exit.Partition)
	if !exit.Watched || t == nil || p.Desired.AllocationID != t.allocation {
		done()
		return
	}
	n.bang(t.partition, fleet.Bang{
		AllocationID: t.allocation, Origin: fleet.OriginProcess, Source: exit.Name, LastSuccessRunID: p.LastSuccess, RunInProgress: p.InProgress(),
		ExitSequence: exit.Seq, Up: exit.Uptime, NoticedAt: exit.At, Message: exit.Reason,
	}, done)
}

// bang tells svc-master, or spools; done is called when one of both is done.
func (n *node) bang(partition string, b fleet.Bang, done func()) {
	w := n.w
	patiently(w, n.host, w.master.host, 10*time.Second, func() (fleet.BangAnswer, error) { return w.master.bang(fleet.TreeID(b.AllocationID), b) }, func(a fleet.BangAnswer, err error, answered bool) {
		if answered {
			w.checker.bangAcked(fleet.TreeID(b.AllocationID), &b, a, err)
		} else if _, waits := n.machine.bangs[partition]; !waits {
			n.machine.bangs[partition] = b
			w.say(n.name, "spools a bang of %s %s", b.AllocationID, b.Source)
		}
		done()
	})
}

// drain sends what is spooled, one after the other.
func (n *node) drain() {
	m, w := n.machine, n.w
	if n.draining || n.desired == nil {
		return
	}
	again := func(answered bool) {
		n.draining = false
		if answered {
			n.drain()
		} else {
			w.soon(n.host, 5*time.Second, n.drain)
		}
	}
	if len(m.reports) > 0 {
		n.draining = true
		r, losses := m.reports[0], w.losses
		call(w, n.host, w.master.host, callTimeout, func() (fleet.ReportRunAnswer, error) { return w.master.report(r) }, func(a fleet.ReportRunAnswer, err error, answered bool) {
			if answered {
				m.reports = m.reports[1:]
				w.checker.reportAcked(&r, a, err, losses)
			}
			again(answered)
		})
		return
	}
	for _, partition := range sortedKeys(m.bangs) {
		n.draining = true
		b := m.bangs[partition]
		tree := fleet.TreeID(b.AllocationID)
		call(w, n.host, w.master.host, callTimeout, func() (fleet.BangAnswer, error) { return w.master.bang(tree, b) }, func(a fleet.BangAnswer, err error, answered bool) {
			if answered {
				if held, ok := m.bangs[partition]; ok && held.AllocationID == b.AllocationID && held.Source == b.Source {
					delete(m.bangs, partition)
				}
				w.checker.bangAcked(tree, &b, a, err)
			}
			again(answered)
		})
		return
	}
}
