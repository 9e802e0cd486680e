package model

import (
	"maps"
	"slices"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
)

// snapshot is what a store had a few seconds ago: what is left after a fail-over or a restored backup. What was acknowledged since is lost, and only then
// may be; the checker forgets it too.
type snapshot struct {
	records  map[string]*record
	reserved map[string]string
	memory   map[string]*treeMemory
}

func (w *World) snapshot() *snapshot {
	s := &snapshot{records: map[string]*record{}, reserved: maps.Clone(w.master.reserved), memory: map[string]*treeMemory{}}
	for id, r := range w.master.records {
		t := r.load()
		s.records[id] = &record{
			header: t.Header, instances: t.Instances, partitions: t.Partitions, convergence: t.Convergence, hosted: map[string]*fleet.Hosted{},
			answers: maps.Clone(r.answers), bangs: maps.Clone(r.bangs), closed: maps.Clone(r.closed),
		}
	}
	for id, r := range w.master.records {
		for shared, h := range r.hosted {
			s.records[id].hosted[shared] = cloneHosted(h)
		}
	}
	for id, m := range w.checker.trees {
		c := m.clone()
		if c.state != fleet.Destroyed {
			c.state = fleet.StateUnspecified // another one may be stored already, whose acknowledgement is on its way
		}
		s.memory[id] = c
	}
	return s
}

func (m *treeMemory) clone() *treeMemory {
	c := *m
	c.bangs, c.settled, c.acked = maps.Clone(m.bangs), maps.Clone(m.settled), slices.Clone(m.acked)
	c.convergences, c.allocations = map[string]*convergenceMemory{}, map[string]*allocationMemory{}
	for id, v := range m.convergences {
		c.convergences[id] = clonePointer(v)
	}
	for id, a := range m.allocations {
		mem := clonePointer(a)
		mem.boots, mem.begins = maps.Clone(a.boots), slices.Clone(a.begins)
		c.allocations[id] = mem
	}
	return &c
}

// lose makes the store what it was, once, a few seconds from now, kills svc-master, and moves the epoch.
func (w *World) lose() {
	before := w.snapshot()
	w.after(w.between(0, 5*time.Second), func() {
		if !w.storming {
			return
		}
		w.say("fault", "the store loses its last seconds")
		w.losses++
		w.summary.Losses++
		w.crash(w.master.host)
		m := w.master
		m.records, m.reserved, w.checker.trees = before.records, before.reserved, before.memory
		m.floor, m.feed = m.floor+len(m.feed)+1, nil
		if w.cfg.sabotage != sameEpoch {
			m.epoch++
		}
		w.client.lost()
	})
}

// beginEpoch takes every tree to the epoch of the store; a tree that is there already does not change.
func (m *master) beginEpoch() {
	for _, id := range sortedKeys(m.records) {
		if r := m.records[id]; r.header.LastInstance == 0 { // not requested yet: it will begin in the epoch of its shard
			r.header.Generation.Epoch = m.epoch
			delete(m.trees, id)
			continue
		}
		if _, err := m.step(id, fleet.EpochMoved{Epoch: m.epoch}, ""); err != nil || !m.up {
			return
		}
	}
}

// lost makes the client wish again what it wished: it is told that the last seconds are gone.
func (c *client) lost() {
	for _, p := range c.w.plans {
		switch {
		case c.gone[p.id]: // nothing else is under way
			c.setState(p, fleet.Destroyed, func() {})
		case c.version[p.id] > 0:
			c.redo[p.id] = true
		}
	}
}
