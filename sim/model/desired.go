package model

import (
	"maps"
	"slices"
	"strconv"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// desired is a message of WatchDesired.
type desired struct {
	computer string
	items    []converge.Desired
	freed    []string
	// whole says that what is not among the items is free.
	whole bool
}

// content is what a run needs of the desired state beyond what converge looks at.
type content struct {
	tree, instance, title string
	version               int
	// hosted is the version of each shared instance that it hosts.
	hosted map[string]int
}

func (m *master) item(t *fleet.Tree, i *fleet.Instance, p *fleet.Partition) converge.Desired {
	version, _ := strconv.Atoi(i.Parameters["version"])
	return converge.Desired{
		Partition: p.Name, AllocationID: p.AllocationID, Generation: converge.Generation(i.Generation), Requested: converge.Requested(t.Desired(i)),
		Period: p.Period(), Pause: converge.Pause{Generation: converge.Generation(t.Pause.Generation), Until: t.Pause.Until},
		Content: content{tree: t.ID, instance: i.ID, title: i.Title, version: version, hosted: hostedOf(t, i.ID)},
	}
}

// watchDesired sends a computer all that is wanted of it, and from then on what changes.
func (m *master) watchDesired(s *stream, computer string, watch func(desired)) {
	f := &follower{stream: s, computer: computer, watch: watch}
	m.order = append(m.order, f)
	s.lost[1] = func() { m.leave(f) }
	whole := desired{computer: computer, whole: true}
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		t := m.tree(id)
		for _, i := range t.Sorted() {
			if p := t.Partitions[i.ID]; p != nil && p.Computer == computer {
				whole.items = append(whole.items, m.item(t, i, p))
			}
		}
	}
	s.send(0, func() { watch(whole) })
}

func (m *master) leave(f *follower) {
	m.order = slices.DeleteFunc(m.order, func(o *follower) bool { return o == f })
}

// tellDesired tells computers what a commit changed.
func (m *master) tellDesired(t *fleet.Tree, fx *fleet.Effects) {
	changed := map[string][]converge.Desired{}
	for _, e := range fx.Feed {
		if e.Kind != fleet.FeedChanged {
			continue
		}
		concerned := e.InstanceIDs
		if len(concerned) == 0 { // a pause, or the end of one
			concerned = sortedKeys(t.Partitions)
		}
		for _, id := range concerned {
			if i, p := t.Instances[id], t.Partitions[id]; i != nil && p != nil {
				changed[p.Computer] = append(changed[p.Computer], m.item(t, i, p))
			}
		}
	}
	for _, computer := range slices.Sorted(maps.Keys(changed)) {
		m.watch(desired{computer: computer, items: changed[computer]})
	}
}

func (m *master) watch(d desired) {
	for _, f := range m.order {
		if f.watch != nil && f.computer == d.computer {
			f.stream.send(0, func() { f.watch(d) })
		}
	}
}

// follow sends a replica the feed from a position on; -1 = from its end. It returns where it begins: later than asked when that was trimmed.
func (m *master) follow(s *stream, position int, tell func(int, fleet.FeedEntry)) int {
	if end := m.floor + len(m.feed); position < m.floor || position > end {
		position = end
	}
	f := &follower{stream: s, position: position, tell: tell}
	m.order = append(m.order, f)
	s.lost[1] = func() { m.leave(f) }
	return position
}

// placed is an allocation as svc-scheduler reads it.
type placed struct {
	computer string
	agenda.Allocation
}

// reading is an answer of ListAllocations.
type reading struct {
	list       []placed
	membership map[string]uint64
}

// allocations lists those of a tree, of a computer, or all that are unsettled.
func (m *master) allocations(tree, computer string, unsettled bool) reading {
	out := reading{membership: map[string]uint64{}}
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if tree != "" && id != tree {
			continue
		}
		t := m.tree(id)
		out.membership[id] = t.Membership
		for _, i := range t.Sorted() {
			p := t.Partitions[i.ID]
			if p == nil || computer != "" && p.Computer != computer || unsettled && !p.Settled.Less(t.Wanted(p)) {
				continue
			}
			out.list = append(out.list, placed{p.Computer, allocation(t, i, p)})
		}
	}
	return out
}

func allocation(t *fleet.Tree, i *fleet.Instance, p *fleet.Partition) agenda.Allocation {
	a := agenda.Allocation{
		AllocationID: p.AllocationID, InstanceID: i.ID, TreeID: t.ID, Title: i.Title, Partition: p.Name, Period: p.Period(),
		Wanted: agenda.Generation(t.Wanted(p)), Settled: agenda.Generation(p.Settled), Changed: agenda.Generation(p.Changed), WantedCause: agenda.Cause(t.WantedCause(p)),
		Pause: agenda.Paused{Generation: agenda.Generation(t.Pause.Generation), Until: t.Pause.Until, At: t.Pause.At, Reason: t.Pause.Reason, By: t.Pause.By},
	}
	if mark, ok := t.Unanswered(p); ok {
		a.Bang = &agenda.Bang{ID: t.ID + ".b" + strconv.FormatUint(mark.Number, 10), Number: mark.Number, At: mark.At, Generation: agenda.Generation(mark.Generation)}
		a.Delay = mark.Delay
	}
	if p.Run != nil {
		a.Run = agenda.RunSeen{RunID: p.Run.ID, Token: p.Run.Token, Generation: agenda.Generation(p.Run.Wanted)}
	}
	if l := p.Latest; l != nil {
		a.Latest = agenda.RunEnded{
			RunID: l.RunID, Success: l.Result == fleet.Success, Result: l.Result.String(), ErrorType: l.ErrorType, At: l.ReportedAt, Attempt: int(l.Attempt),
		}
	}
	return a
}
