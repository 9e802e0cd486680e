package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
)

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// colour: a partition is Green when and only when its latest run was a success, is fresh, and no bang came after it (docs/rules.md, partition colour).
func (c *checker) colour(t *fleet.Tree, id string, now time.Time) {
	i, p := t.Instances[id], t.Partitions[id]
	if i == nil || p == nil {
		return
	}
	mem := c.tree(t.ID).allocations[p.AllocationID]
	if mem == nil {
		_ = c.fail("%s is an allocation that was not made", p.AllocationID)
		return
	}
	period := 24 * time.Hour
	if c.w.cfg.Period > 0 {
		period = min(period, c.w.cfg.Period)
	}
	want := fleet.Green
	switch {
	case i.State != fleet.Started:
		want = fleet.None
	case mem.alarm || !mem.ran || !mem.ok || now.Sub(mem.at) > period+time.Minute:
		want = fleet.Red
	}
	is := t.PartitionColour(id, now, c.w.master.startedAt)
	if is.Colour != want {
		_ = c.fail("%s is %s (%q), and should be %s: alarm %t, ran %t, successful %t, %s ago", p.AllocationID, is.Colour, is.Reason, want, mem.alarm, mem.ran, mem.ok, now.Sub(mem.at))
	}
	if is.Colour == fleet.Red && is.Reason == "" {
		_ = c.fail("%s is Red without a reason", p.AllocationID)
	}
}

// wrong says what is not well yet; empty = everything converged. Trees with a promise that can never pass are not waited for.
func (w *World) wrong() string {
	for _, h := range w.hosts() {
		if !h.up {
			return h.name + " is down"
		}
	}
	for _, p := range w.plans {
		if w.client.redo[p.id] || w.client.changing[p.id] || w.client.stopped[p.id] || w.client.root[p.id] == "" {
			return "the client is not done with " + p.id
		}
		if neverTree(p.id) {
			continue
		}
		if why := w.wrongTree(p); why != "" {
			return why
		}
	}
	if why := w.wrongShared(); why != "" {
		return why
	}
	for _, n := range w.nodes {
		if m := n.machine; len(m.reports)+len(m.bangs)+len(m.exits) > 0 {
			return fmt.Sprintf("%s holds %d reports, %d bangs and %d exits", n.name, len(m.reports), len(m.bangs), len(m.exits))
		}
	}
	return ""
}

// neverTree tells whether a tree has a promise that can never pass.
func neverTree(id string) bool { return strings.HasPrefix(id, "tnever") }

func (w *World) wrongTree(p *treePlan) string {
	t := w.master.tree(p.id)
	if w.client.gone[p.id] {
		return w.wrongGone(p)
	}
	wanted := len(p.all)
	if p.root.shares {
		wanted++
	}
	if len(t.Instances) != wanted {
		return fmt.Sprintf("%d of %d instances of %s are requested", len(t.Instances), wanted, p.id)
	}
	if t.Convergence != nil {
		return fmt.Sprintf("convergence %s is open since %s", t.Convergence.ID, t.Convergence.OpenedAt)
	}
	for _, i := range t.Sorted() {
		if i.Shared {
			continue
		}
		at := t.Partitions[i.ID]
		if at == nil {
			return i.ID + " is not allocated: " + i.Unallocated
		}
		if at.Settled.Less(t.Wanted(at)) {
			return fmt.Sprintf("%s on %s/%s settled %s of %s", at.AllocationID, at.Computer, at.Name, at.Settled, t.Wanted(at))
		}
		if s := t.PartitionColour(i.ID, w.wall(w.master.host), time.Time{}); s.Colour == fleet.Red {
			return fmt.Sprintf("%s on %s/%s is Red: %s", at.AllocationID, at.Computer, at.Name, s.Reason)
		}
		if wanted := w.client.version[p.id]; number(i.Parameters["version"]) != wanted {
			return fmt.Sprintf("version %d of %s is wanted, and %s is requested in version %s", wanted, p.id, i.ID, i.Parameters["version"])
		}
		for _, n := range w.nodes {
			if n.name != at.Computer {
				continue
			}
			if held := n.machine.tenants[at.Name]; held == nil || held.allocation != at.AllocationID || held.version != w.client.version[p.id] {
				return fmt.Sprintf("%s/%s does not hold version %d of %s", at.Computer, at.Name, w.client.version[p.id], at.AllocationID)
			}
		}
	}
	return ""
}

// wrongGone says what is left of a destroyed tree.
func (w *World) wrongGone(p *treePlan) string {
	if t := w.master.tree(p.id); !t.Gone() {
		return fmt.Sprintf("%s is destroyed, and %d instances are left", p.id, len(t.Instances))
	}
	for _, at := range sortedKeys(w.master.reserved) {
		if fleet.TreeID(w.master.reserved[at]) == p.id {
			return fmt.Sprintf("%s is gone, and holds a reservation of %s", p.id, at)
		}
	}
	for _, n := range w.nodes {
		for _, name := range sortedKeys(n.machine.tenants) {
			if n.machine.tenants[name].tree == p.id {
				return fmt.Sprintf("%s is gone, and left content in %s/%s", p.id, n.name, name)
			}
		}
		for _, name := range sortedKeys(n.machine.known) {
			if fleet.TreeID(n.machine.known[name].Desired.AllocationID) == p.id {
				return fmt.Sprintf("%s is gone, and %s/%s still knows it", p.id, n.name, name)
			}
		}
	}
	return ""
}

// atRest: once all is well, nothing that was acknowledged is lost, and every acknowledged bang ended in a convergence that closed.
func (c *checker) atRest() error {
	for _, id := range sortedKeys(c.trees) {
		m := c.trees[id]
		c.kept(id, m)
		if neverTree(id) {
			continue
		}
		for _, number := range m.acked {
			b := m.bangs[number]
			if v := m.convergences[b.convergence]; b.outcome.Wakes() && (v == nil || !v.closed) {
				_ = c.fail("bang %d of %s was acknowledged and never satisfied", number, id)
			}
		}
		t := c.w.master.tree(id)
		c.storedWhole(t, c.w.master.records[id])
		for _, i := range t.Sorted() {
			c.colour(t, i.ID, c.w.wall(c.w.master.host))
		}
	}
	return c.broken
}

// plan finds what an instance is made of.
func (w *World) plan(tree, title string) *plan {
	for _, p := range w.plans {
		if p.id == tree {
			return p.find(title)
		}
	}
	return nil
}

func (w *World) planOf(t *fleet.Tree, id string) *plan { return w.plan(t.ID, t.Instances[id].Title) }
