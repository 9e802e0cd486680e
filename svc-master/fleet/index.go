package fleet

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// index is what is derived from a tree so that a bang and a report need not look at every member. It is thrown away when the membership changes, which is
// rare, and built anew when it is needed; bangs and reports keep its counters exact.
type index struct {
	// members by allocation id.
	members map[string]*member
	// order of the members: by number of the instance.
	order []*member
	// on each computer: its members, in their order. A node that comes back asks for its own one of 5,000.
	on map[string][]*member
	// remnants are the members that an eviction left; few, if any.
	remnants []*member
	// children of each instance, by number.
	children map[string][]string
	// waited counts the members that a convergence waits for: started, and allocated.
	waited int
	// unsettled counts the members with wanted > settled, stopped ones included.
	unsettled int
	// behind counts, for each scope that the convergence awaits, the members waited for that have not settled its current generation.
	behind []int
}

// member is an allocated instance.
type member struct {
	instance  *Instance
	partition *Partition
}

// insert puts the member into its place among others.
func (m *member) insert(among []*member) []*member {
	at, _ := slices.BinarySearchFunc(among, m.instance.ID, func(other *member, id string) int { return byNumber(other.instance.ID, id) })
	return slices.Insert(among, at, m)
}

// waited tells whether a convergence waits for the member.
func (m *member) waited() bool { return m.instance.State == Started }

// Index derives what reading needs, so that methods that only read may run at the same time.
func (t *Tree) Index() { t.view() }

// view returns the index, built when there is none.
func (t *Tree) view() *index {
	if t.index != nil {
		return t.index
	}
	d := &index{members: make(map[string]*member, len(t.Partitions)), on: make(map[string][]*member), children: make(map[string][]string)}
	for id, i := range t.Instances {
		if i.RequesterID != "" {
			d.children[i.RequesterID] = append(d.children[i.RequesterID], id)
		}
		p := t.Partitions[id]
		if p == nil {
			continue
		}
		m := &member{instance: i, partition: p}
		d.members[p.AllocationID] = m
		d.order = append(d.order, m)
		if i.Remnant() {
			d.remnants = append(d.remnants, m)
		}
		if m.waited() {
			d.waited++
		}
		if p.Settled.Less(t.Wanted(p)) {
			d.unsettled++
		}
	}
	slices.SortFunc(d.order, func(a, b *member) int { return byNumber(a.instance.ID, b.instance.ID) })
	for _, m := range d.order {
		d.on[m.partition.Computer] = append(d.on[m.partition.Computer], m)
	}
	for _, ids := range d.children {
		slices.SortFunc(ids, byNumber)
	}
	t.index = d
	if c := t.Convergence; c != nil {
		for i := range c.Awaiting {
			d.behind = append(d.behind, t.behind(c.Awaiting[i].Instance, c.Awaiting[i].Current.Generation))
		}
	}
	return d
}

// behind counts the members of a scope that are waited for and have not settled a generation.
func (t *Tree) behind(scope string, generation Generation) int {
	count := 0
	if scope == "" {
		for _, m := range t.view().order {
			if m.waited() && m.partition.Settled.Less(generation) {
				count++
			}
		}
		return count
	}
	for i := t.Instances[scope]; i != nil; i = t.Instances[i.RequesterID] {
		if p := t.Partitions[i.ID]; p != nil && i.State == Started && p.Settled.Less(generation) {
			count++
		}
	}
	return count
}

// above tells whether id is of, or in its chain of requesters.
func (t *Tree) above(id, of string) bool {
	for i := t.Instances[of]; i != nil; i = t.Instances[i.RequesterID] {
		if i.ID == id {
			return true
		}
	}
	return false
}

// chain is an instance and its requesters, nearest first.
func (t *Tree) chain(id string) []*Instance {
	var chain []*Instance
	for i := t.Instances[id]; i != nil; i = t.Instances[i.RequesterID] {
		chain = append(chain, i)
	}
	return chain
}

// moved lets f change the wanted or settled generation of a partition, and counts whether it is unsettled.
func (t *Tree) moved(p *Partition, f func()) {
	d := t.view()
	before := p.Settled.Less(t.Wanted(p))
	f()
	after := p.Settled.Less(t.Wanted(p))
	switch {
	case before && !after:
		d.unsettled--
	case after && !before:
		d.unsettled++
	}
}

// requested notes a new instance, which is the youngest child of its requester: a tree of 10,000 is built request by request.
func (t *Tree) requested(i *Instance) {
	t.Membership++
	if d := t.index; d != nil && i.RequesterID != "" {
		d.children[i.RequesterID] = append(d.children[i.RequesterID], i.ID)
	}
}

// allocated notes a new allocation, which has settled nothing and is wanted at nothing yet.
func (t *Tree) allocated(i *Instance, p *Partition) {
	t.Membership++
	d := t.index
	if d == nil {
		return
	}
	m := &member{instance: i, partition: p}
	d.members[p.AllocationID] = m
	d.order, d.on[p.Computer] = m.insert(d.order), m.insert(d.on[p.Computer])
	if p.Settled.Less(t.Wanted(p)) {
		d.unsettled++
	}
	if !m.waited() {
		return
	}
	d.waited++
	if c := t.Convergence; c != nil {
		for at := range c.Awaiting {
			if a := &c.Awaiting[at]; a.Instance == "" || t.above(i.ID, a.Instance) {
				d.behind[at]++
			}
		}
	}
}

// removed notes that an instance without children and without a partition is gone: the end of a tree of 10,000 that were never allocated is one event.
func (t *Tree) removed(i *Instance) {
	t.Membership++
	d := t.index
	if d == nil {
		return
	}
	delete(d.children, i.ID)
	siblings := d.children[i.RequesterID]
	for at := len(siblings) - 1; at >= 0; at-- { // the youngest go first
		if siblings[at] == i.ID {
			d.children[i.RequesterID] = slices.Delete(siblings, at, at+1)
			break
		}
	}
}

// membershipChanged is called after instances, allocations or states changed.
func (t *Tree) membershipChanged() {
	t.Membership++
	t.index = nil
}

// Unsettled tells whether some allocation has wanted > settled: whether the tree belongs into its shard's set of unsettled trees.
func (t *Tree) Unsettled() bool { return t.view().unsettled > 0 }

// settlement tells what a step did to the set of unsettled trees.
func (t *Tree) settlement(before bool) Settlement {
	switch after := t.Unsettled(); {
	case after == before:
		return SettlementKept
	case after:
		return BecameUnsettled
	default:
		return BecameSettled
	}
}

// byNumber orders ids of one kind by their number: i2 before i10.
func byNumber(a, b string) int {
	if c := cmp.Compare(number(a), number(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// number is the n of `<tree>.i<n>`.
func number(id string) uint64 {
	_, rest, found := strings.Cut(id, ".")
	if !found || rest == "" {
		return 0
	}
	n, err := strconv.ParseUint(rest[1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
