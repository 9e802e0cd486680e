package model

import (
	"maps"
	"slices"

	"github.com/vow-os/vow/svc-master/fleet"
)

// record is a tree as it is stored: the parts that effects named, and nothing else. A crash leaves exactly this.
type record struct {
	header      fleet.Header
	instances   map[string]*fleet.Instance
	partitions  map[string]*fleet.Partition
	convergence *fleet.Convergence
	hosted      map[string]*fleet.Hosted
	// answers by request id.
	answers map[string]stored
	// bangs recorded, by number.
	bangs map[uint64]*fleet.BangRecord
	// closed convergences by id.
	closed map[string]*fleet.Convergence
}

// stored is an answer with its error, which is stored for a refused bang only.
type stored struct {
	answer fleet.Answer
	err    error
}

func newRecord(t *fleet.Tree) *record {
	return &record{
		header: t.Header, instances: map[string]*fleet.Instance{}, partitions: map[string]*fleet.Partition{}, hosted: map[string]*fleet.Hosted{},
		answers: map[string]stored{}, bangs: map[uint64]*fleet.BangRecord{}, closed: map[string]*fleet.Convergence{},
	}
}

// commit writes what the effects name.
func (r *record) commit(t *fleet.Tree, fx *fleet.Effects) {
	if fx.Changed.Header {
		r.header = t.Header
		r.header.Quota.Override = clonePointer(t.Quota.Override)
	}
	for _, id := range fx.Changed.Instances {
		if i := t.Instances[id]; i != nil {
			r.instances[id] = cloneInstance(i)
		} else {
			delete(r.instances, id)
		}
	}
	for _, id := range fx.Changed.Partitions {
		if p := t.Partitions[id]; p != nil {
			r.partitions[id] = clonePartition(p)
		} else {
			delete(r.partitions, id)
		}
	}
	for _, id := range fx.Changed.Hosted {
		if h := t.Hosted[id]; h != nil {
			r.hosted[id] = cloneHosted(h)
		} else {
			delete(r.hosted, id)
		}
	}
	r.commitConvergence(t, fx)
	if fx.Bang != nil {
		r.bangs[fx.Bang.Number] = fx.Bang
	}
	if fx.Closed != nil {
		r.closed[fx.Closed.ID] = fx.Closed
	}
}

func (r *record) commitConvergence(t *fleet.Tree, fx *fleet.Effects) {
	if fx.Changed.Convergence {
		if t.Convergence == nil {
			r.convergence = nil
			return
		}
		c := cloneConvergence(t.Convergence)
		c.Timeline = nil
		if r.convergence != nil && r.convergence.ID == c.ID {
			c.Timeline = r.convergence.Timeline
		}
		r.convergence = c
	}
	if fx.Changed.Timeline && r.convergence != nil && t.Convergence != nil {
		kept := min(fx.Changed.TimelineFrom, len(r.convergence.Timeline))
		r.convergence.Timeline = append(slices.Clip(r.convergence.Timeline[:kept]), t.Convergence.Timeline[fx.Changed.TimelineFrom:]...)
	}
}

// load builds the tree anew from what is stored.
func (r *record) load() *fleet.Tree {
	t := &fleet.Tree{Header: r.header, Instances: map[string]*fleet.Instance{}, Partitions: map[string]*fleet.Partition{}}
	t.Quota.Override = clonePointer(r.header.Quota.Override)
	for id, i := range r.instances {
		t.Instances[id] = cloneInstance(i)
	}
	for id, p := range r.partitions {
		t.Partitions[id] = clonePartition(p)
	}
	for id, h := range r.hosted {
		if t.Hosted == nil {
			t.Hosted = map[string]*fleet.Hosted{}
		}
		t.Hosted[id] = cloneHosted(h)
	}
	if r.convergence != nil {
		t.Convergence = cloneConvergence(r.convergence)
	}
	return t
}

func cloneInstance(i *fleet.Instance) *fleet.Instance {
	c := *i
	c.Parameters, c.Connection = maps.Clone(i.Parameters), maps.Clone(i.Connection)
	return &c
}

func cloneHosted(h *fleet.Hosted) *fleet.Hosted {
	c := *h
	c.Parameters, c.Connection = maps.Clone(h.Parameters), maps.Clone(h.Connection)
	c.Publishing.Times = slices.Clone(h.Publishing.Times)
	return &c
}

func clonePartition(p *fleet.Partition) *fleet.Partition {
	c := *p
	c.Options.Quota = clonePointer(p.Options.Quota)
	c.Run, c.Latest, c.Alarm, c.Warning = clonePointer(p.Run), clonePointer(p.Latest), clonePointer(p.Alarm), clonePointer(p.Warning)
	c.Recent, c.Boots, c.Keys, c.Rows = slices.Clone(p.Recent), slices.Clone(p.Boots), slices.Clone(p.Keys), slices.Clone(p.Rows)
	c.Publishing.Times = slices.Clone(p.Publishing.Times)
	return &c
}

func cloneConvergence(v *fleet.Convergence) *fleet.Convergence {
	c := *v
	c.Timeline, c.Awaiting = slices.Clone(v.Timeline), slices.Clone(v.Awaiting)
	for i := range c.Awaiting {
		for _, g := range []*fleet.Group{&c.Awaiting[i].Current, &c.Awaiting[i].Next} {
			g.First, g.Last = slices.Clone(g.First), slices.Clone(g.Last)
		}
	}
	return &c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
