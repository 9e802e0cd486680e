package model

import (
	"reflect"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// committed: svc-master changed a tree.
func (c *checker) committed(t *fleet.Tree, e fleet.Event, a fleet.Answer, fx *fleet.Effects, now time.Time) {
	m := c.tree(t.ID)
	if t.Generation.Less(m.generation) {
		_ = c.fail("the generation of %s went from %s back to %s", t.ID, m.generation, t.Generation)
	}
	before := m.generation
	m.generation = t.Generation
	switch e := e.(type) {
	case fleet.Bang:
		c.banged(t, m, &e, a.(fleet.BangAnswer), fx, before)
	case fleet.BeginRun:
		c.begun(m, &e, a.(fleet.BeginRunAnswer))
	case fleet.ReportRun:
		c.reported(t, m, &e, a.(fleet.ReportRunAnswer), now)
	case fleet.EpochMoved: // runs in progress are superseded, and tokens skip what may have been given out
		for _, p := range t.Partitions {
			mem := m.allocations[p.AllocationID]
			mem.token, mem.run = p.Token, ""
		}
	case fleet.Allocate:
		m.allocations[a.(fleet.AllocateAnswer).AllocationID] = &allocationMemory{instance: e.InstanceID, boots: map[string]uint64{}}
	}
	if evicted, ok := a.(fleet.EvictAnswer); ok {
		m.allocations[e.(fleet.Evict).AllocationID].over = true
		m.allocations[evicted.AllocationID] = &allocationMemory{instance: evicted.RemnantID, boots: map[string]uint64{}}
	}
	for _, f := range fx.Freed {
		if mem := m.allocations[f.AllocationID]; mem != nil {
			mem.over = true
		}
	}
	for i := range fx.Satisfied {
		c.satisfied(t, m, &fx.Satisfied[i])
	}
	if fx.Closed != nil {
		c.closed(m, fx.Closed)
	}
	c.open(t, m)
	for _, id := range fx.Changed.Partitions {
		c.colour(t, id, now)
	}
	if err := check(t); err != nil {
		_ = c.fail("%v", err)
	}
}

// check asks the tree for its own invariants.
func check(t *fleet.Tree) error {
	if checked, ok := any(t).(interface{ Check() error }); ok {
		return checked.Check()
	}
	return nil
}

func (c *checker) banged(t *fleet.Tree, m *treeMemory, e *fleet.Bang, a fleet.BangAnswer, fx *fleet.Effects, before fleet.Generation) {
	if fx.Bang == nil {
		return
	}
	if a.Number <= m.lastBang {
		_ = c.fail("bang number %d of %s came after %d", a.Number, t.ID, m.lastBang)
	}
	m.lastBang = a.Number
	b := &bangMemory{outcome: a.Outcome, generation: a.Generation, convergence: a.ConvergenceID}
	m.bangs[a.Number] = b
	mem := m.allocations[e.AllocationID]
	if mem != nil && t.Partitions[mem.instance] != nil && t.Partitions[mem.instance].Options.Policy == fleet.PolicyAncestors {
		b.scope = mem.instance
	}
	if a.Outcome.Wakes() {
		if !before.Less(a.Generation) {
			_ = c.fail("bang %s made generation %s, and %s was given out before", a.BangID, a.Generation, before)
		}
		v := m.convergences[a.ConvergenceID]
		if v == nil {
			v = &convergenceMemory{}
			m.convergences[a.ConvergenceID] = v
		}
		v.bangs++
	}
	if mem != nil && a.Outcome != fleet.NotAllowed {
		// A muted bang is covered by the one that was sent; whatever else is withheld counts for itself.
		mem.wakes = a.Outcome.Wakes() || mem.alarm && mem.wakes && a.Outcome == fleet.Muted
		mem.alarm, mem.alarmAt = true, mem.token
	}
}

func (c *checker) begun(m *treeMemory, e *fleet.BeginRun, a fleet.BeginRunAnswer) {
	mem := m.allocations[e.AllocationID]
	switch {
	case mem == nil || mem.over:
		_ = c.fail("run %s of %s began, which is no current allocation", e.RunID, e.AllocationID)
	case a.Token <= mem.token:
		_ = c.fail("run %s of %s got token %d after token %d", e.RunID, e.AllocationID, a.Token, mem.token)
	case a.Wanted.Less(mem.wanted):
		_ = c.fail("run %s of %s was given generation %s after %s", e.RunID, e.AllocationID, a.Wanted, mem.wanted)
	default:
		mem.token, mem.run, mem.wanted = a.Token, e.RunID, a.Wanted
		c.often(e.AllocationID, mem)
	}
}

// maxRunsPerMinute of a partition: bangs of a tree, retries and wishes of the client make a few. More is a loop.
const maxRunsPerMinute = 60

func (c *checker) often(id string, mem *allocationMemory) {
	mem.begins = append(mem.begins, c.w.now)
	for mem.begins[0] < c.w.now-time.Minute {
		mem.begins = mem.begins[1:]
	}
	if len(mem.begins) > maxRunsPerMinute {
		_ = c.fail("%s began %d runs within a minute", id, len(mem.begins))
	}
}

func (c *checker) reported(t *fleet.Tree, m *treeMemory, e *fleet.ReportRun, a fleet.ReportRunAnswer, now time.Time) {
	mem := m.allocations[e.AllocationID]
	success := e.Result == fleet.Success
	c.w.summary.Runs++
	if !success {
		c.w.summary.Failed++
	}
	switch {
	case mem == nil || mem.over:
		_ = c.fail("the report of run %s was accepted for %s, which is no current allocation", e.RunID, e.AllocationID)
		return
	case e.Local != nil:
		c.reportedLocally(mem, e, now)
		return
	case mem.run != e.RunID || mem.token != e.Token:
		_ = c.fail("the report of run %s with token %d was accepted for %s, whose run is %q with token %d", e.RunID, e.Token, e.AllocationID, mem.run, mem.token)
		return
	}
	mem.run, mem.ran, mem.ok, mem.at = "", true, success, now
	if success {
		if a.Settled != mem.wanted {
			_ = c.fail("run %s of %s settled %s, and was given %s", e.RunID, e.AllocationID, a.Settled, mem.wanted)
		}
		mem.settled = mem.wanted
		if mem.alarm && mem.token > mem.alarmAt {
			mem.alarm = false
		}
	}
	c.daily(t, e)
}

func (c *checker) reportedLocally(mem *allocationMemory, e *fleet.ReportRun, now time.Time) {
	last, seen := mem.boots[e.Local.BootID]
	newest := !seen || e.Local.BootID == mem.boot && e.Local.Sequence > last
	if !seen {
		mem.boot = e.Local.BootID
	}
	mem.boots[e.Local.BootID] = max(last, e.Local.Sequence)
	if !newest || mem.run != "" || e.Token != mem.token {
		return
	}
	mem.ran, mem.ok, mem.at = true, e.Result == fleet.Success, now
	if mem.ok && !mem.wakes {
		mem.alarm = false
	}
}

// maxRunsPerDay is what a promise that can never pass may cause (docs/rules.md, what must never happen).
const maxRunsPerDay = 60

// daily counts the failed runs of an allocation within 24 hours.
func (c *checker) daily(t *fleet.Tree, e *fleet.ReportRun) {
	if c.days == 0 || e.Result == fleet.Success {
		return
	}
	times := append(c.reports[e.AllocationID], c.w.now)
	for times[0] < c.w.now-24*time.Hour {
		times = times[1:]
	}
	c.reports[e.AllocationID] = times
	if len(times) > maxRunsPerDay {
		_ = c.fail("%s of tree %s failed %d times within a day", e.AllocationID, t.ID, len(times))
	}
}

// concerned are the members that a bang of a scope waits for.
func concerned(t *fleet.Tree, scope string) []*fleet.Partition {
	var all []*fleet.Partition
	add := func(i *fleet.Instance) {
		if p := t.Partitions[i.ID]; p != nil && i.State == fleet.Started {
			all = append(all, p)
		}
	}
	if scope == "" {
		for _, i := range t.Sorted() {
			add(i)
		}
		return all
	}
	for i := t.Instances[scope]; i != nil; i = t.Instances[i.RequesterID] {
		add(i)
	}
	return all
}

// behind names a member that has had no successful run at or after a generation.
func (c *checker) behind(t *fleet.Tree, m *treeMemory, scope string, g fleet.Generation) string {
	for _, p := range concerned(t, scope) {
		if mem := m.allocations[p.AllocationID]; mem == nil || mem.settled.Less(g) {
			return p.AllocationID
		}
	}
	return ""
}

func (c *checker) satisfied(t *fleet.Tree, m *treeMemory, g *fleet.Group) {
	if len(g.First) == 0 {
		_ = c.fail("bangs of %s up to generation %s were satisfied, and none is named", t.ID, g.Generation)
		return
	}
	b := m.bangs[g.First[0].Number]
	if at := c.behind(t, m, b.scope, g.Generation); at != "" {
		_ = c.fail("the bangs of %s up to generation %s were satisfied, and %s has had no successful run since", t.ID, g.Generation, at)
	}
}

// closed: every bang of a convergence was counted, and it converged only when all were satisfied.
func (c *checker) closed(m *treeMemory, v *fleet.Convergence) {
	c.w.summary.Convergences++
	known := m.convergences[v.ID]
	if known == nil || known.closed {
		_ = c.fail("convergence %s closed, which was not open", v.ID)
		return
	}
	known.closed = true
	if v.Joined+1 != known.bangs {
		_ = c.fail("convergence %s counts %d joined bangs, and %d joined", v.ID, v.Joined, known.bangs-1)
	}
	if v.State == fleet.Converged && v.Satisfied != known.bangs {
		_ = c.fail("convergence %s converged with %d of %d bangs satisfied", v.ID, v.Satisfied, known.bangs)
	}
}

// open: a convergence is open exactly as long as a bang of it is not satisfied.
func (c *checker) open(t *fleet.Tree, m *treeMemory) {
	v := t.Convergence
	if v == nil {
		return
	}
	if len(v.Awaiting) == 0 {
		_ = c.fail("convergence %s is open and awaits nothing", v.ID)
	}
	for i := range v.Awaiting {
		a := &v.Awaiting[i]
		if c.behind(t, m, a.Instance, a.Current.Generation) == "" {
			_ = c.fail("convergence %s awaits generation %s of %q, which every member has settled", v.ID, a.Current.Generation, a.Instance)
		}
	}
}

// kept: what was acknowledged is stored.
func (c *checker) kept(id string, m *treeMemory) {
	r := c.w.master.records[id]
	if r.header.Generation.Less(m.generation) {
		_ = c.fail("generation %s of %s was given out, and %s is stored", m.generation, id, r.header.Generation)
	}
	for _, number := range m.acked {
		b := r.bangs[number]
		if b == nil {
			_ = c.fail("bang %d of %s was acknowledged and is lost", number, id)
			return
		}
		if r.header.Generation.Less(b.Generation) {
			_ = c.fail("bang %d of %s made generation %s, and only %s is stored", number, id, b.Generation, r.header.Generation)
		}
	}
	for _, instance := range sortedKeys(r.partitions) {
		p := r.partitions[instance]
		if settled := m.settled[p.AllocationID]; p.Settled.Less(settled) {
			_ = c.fail("a report of %s that settled %s was acknowledged, and %s is stored", p.AllocationID, settled, p.Settled)
		}
	}
	root := r.instances[r.header.RootID]
	if m.state == fleet.Destroyed {
		if root != nil && root.State != fleet.Destroyed {
			_ = c.fail("the request to destroy %s was acknowledged and is lost", id)
		}
		return
	}
	if c.w.client.changing[id] {
		return
	}
	if m.version > 0 && (root == nil || number(root.Parameters["version"]) < m.version) {
		_ = c.fail("the request of version %d of %s was acknowledged and is lost", m.version, id)
	}
	if m.state != fleet.StateUnspecified && (root == nil || root.State != m.state) {
		_ = c.fail("the request to have %s %s was acknowledged and is lost", id, m.state)
	}
}

// storedWhole: what is stored is the tree, and not less than it.
func (c *checker) storedWhole(t *fleet.Tree, r *record) {
	s := r.load()
	switch {
	case !reflect.DeepEqual(t.Header, s.Header):
		_ = c.fail("the header of %s is stored as %+v, and is %+v", t.ID, s.Header, t.Header)
	case len(t.Hosted) != len(s.Hosted):
		_ = c.fail("%d hosted shared instances of %s are stored, and there are %d", len(s.Hosted), t.ID, len(t.Hosted))
	case len(t.Instances) != len(s.Instances) || len(t.Partitions) != len(s.Partitions):
		_ = c.fail("%d instances in %d partitions of %s are stored, and there are %d in %d", len(s.Instances), len(s.Partitions), t.ID, len(t.Instances), len(t.Partitions))
	case (t.Convergence == nil) != (s.Convergence == nil):
		_ = c.fail("the convergence of %s is stored as open %t, and is open %t", t.ID, s.Convergence != nil, t.Convergence != nil)
	case t.Convergence != nil && !reflect.DeepEqual(normal(t.Convergence), normal(s.Convergence)):
		_ = c.fail("convergence %s is stored as %+v, and is %+v", t.Convergence.ID, *s.Convergence, *t.Convergence)
	}
	for _, id := range sortedKeys(t.Instances) {
		if !reflect.DeepEqual(t.Instances[id], s.Instances[id]) {
			_ = c.fail("instance %s is stored as %+v, and is %+v", id, s.Instances[id], t.Instances[id])
		}
	}
	for _, id := range sortedKeys(t.Hosted) {
		if !reflect.DeepEqual(t.Hosted[id], s.Hosted[id]) {
			_ = c.fail("shared instance %s is stored as %+v by its host, and is %+v", id, s.Hosted[id], t.Hosted[id])
		}
	}
	for _, id := range sortedKeys(t.Partitions) {
		if !reflect.DeepEqual(t.Partitions[id], s.Partitions[id]) {
			_ = c.fail("the partition of %s is stored as %+v, and is %+v", id, s.Partitions[id], t.Partitions[id])
		}
	}
}

// normal is a convergence in which an empty slice and none are the same.
func normal(v *fleet.Convergence) *fleet.Convergence {
	c := cloneConvergence(v)
	for i := range c.Awaiting {
		for _, g := range []*fleet.Group{&c.Awaiting[i].Current, &c.Awaiting[i].Next} {
			if len(g.First) == 0 {
				g.First = nil
			}
			if len(g.Last) == 0 {
				g.Last = nil
			}
		}
	}
	return c
}

// agendaStored: what is stored of an agenda is the agenda, but for when it was learnt.
func (c *checker) agendaStored(o *owner) {
	r := c.w.agendas.records[o.computer]
	if len(r.entries) != len(o.agenda.Entries) {
		_ = c.fail("%d entries of %s are stored, and there are %d", len(r.entries), o.computer, len(o.agenda.Entries))
		return
	}
	for _, name := range sortedKeys(o.agenda.Entries) {
		is, was := o.agenda.Entries[name], r.entries[name]
		if was == nil || !sameEntry(is, was) {
			_ = c.fail("the entry of %s/%s is stored as %+v, and is %+v", o.computer, name, was, is)
		}
	}
}

func sameEntry(a, b *agenda.Entry) bool {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		f := x.Type().Field(i)
		if !f.IsExported() || f.Name == "Learnt" || f.Name == "LatestSeen" || x.Field(i).Kind() == reflect.Slice && x.Field(i).Len()+y.Field(i).Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}
