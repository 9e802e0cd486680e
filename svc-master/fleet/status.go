package fleet

import (
	"fmt"
	"slices"
	"time"
)

// Member is the progress of one member of the tree in a convergence.
type Member struct {
	InstanceID, Title, Computer, Partition string
	// Settled is true when it has settled the last generation wanted of it.
	Settled bool
	// RunInProgress is the run's id; empty = none.
	RunInProgress string
	// Runs reported since the convergence opened.
	Runs uint32
	// Blocker is what it waits for; empty when it is settled.
	Blocker string
}

// Members lists who the open convergence waits for, by number, and those that it does not wait for, with the reason. contacts are the last contacts of
// computers, by name: a member on a dead computer says so; nil = they are not looked at. With no convergence open both are empty.
func (t *Tree) Members(contacts map[string]time.Time, now, start time.Time) (members []Member, notWaitedFor []string) {
	c := t.Convergence
	if c == nil {
		return nil, nil
	}
	for _, i := range t.sorted() {
		p := t.Partitions[i.ID]
		switch {
		case i.State != Started:
			notWaitedFor = append(notWaitedFor, i.Title+": "+i.State.String())
		case i.Shared:
			reason := "a shared instance"
			if _, why := t.Ready(i); why != "" {
				reason += ", " + why
			}
			notWaitedFor = append(notWaitedFor, i.Title+": "+reason)
		case p == nil:
			_, reason := t.Ready(i)
			notWaitedFor = append(notWaitedFor, i.Title+": "+reason)
		case t.concerned(c, i.ID):
			m := Member{InstanceID: i.ID, Title: i.Title, Computer: p.Computer, Partition: p.Name, Settled: !p.Settled.Less(t.awaited(c, i.ID))}
			if p.Run != nil {
				m.RunInProgress = p.Run.ID
			}
			if p.RunsOf == c.Number {
				m.Runs = p.RunsIn
			}
			if !m.Settled {
				m.Blocker = t.blocker(p, contacts, now, start)
			}
			members = append(members, m)
		}
	}
	return members, notWaitedFor
}

// awaited is the newest generation that the convergence awaits of an instance.
func (t *Tree) awaited(c *Convergence, id string) Generation {
	var g Generation
	for i := range c.Awaiting {
		if a := &c.Awaiting[i]; a.Instance == "" || t.above(id, a.Instance) {
			g = newer(g, newer(a.Current.Generation, a.Next.Generation))
		}
	}
	return g
}

// blocker is what a member that has not settled waits for.
func (t *Tree) blocker(p *Partition, contacts map[string]time.Time, now, start time.Time) string {
	contact := contacts[p.Computer]
	dead := contacts != nil && ComputerColour(contact, now, start).Colour == Red
	switch {
	case dead && contact.IsZero():
		return "computer " + p.Computer + " was never seen"
	case dead:
		return "computer " + p.Computer + " dead since " + contact.UTC().Format(time.RFC3339)
	case p.Run != nil:
		return "run in progress for " + words(now.Sub(p.Run.BegunAt))
	case t.Paused(now):
		return t.Pause.words()
	case p.Latest != nil && p.Latest.Result != Success:
		return fmt.Sprintf("last run failed, attempt %d: %s", p.Latest.Attempt, reasonOf(p.Latest))
	}
	if mark, ok := t.Unanswered(p); ok && mark.Delay > 0 && now.Before(mark.At.Add(mark.Delay)) {
		return "its run waits until " + mark.At.Add(mark.Delay).UTC().Format(time.RFC3339) + ": bang storm"
	}
	return "waits for its run"
}

// Unanswered is the newest bang that concerns a partition and is not settled. Its delay is zero when any such bang does not wait.
func (t *Tree) Unanswered(p *Partition) (BangMark, bool) {
	mark := t.Banged
	if mark.Generation.Less(p.Banged.Generation) {
		mark = p.Banged
	}
	if mark.Number == 0 || !p.Settled.Less(mark.Generation) {
		return BangMark{}, false
	}
	if p.Settled.Less(t.BangedNow) || p.Settled.Less(p.Banged.Generation) && p.Banged.Delay == 0 {
		mark.Delay = 0
	}
	return mark, true
}

// WantedCause is why a partition is wanted: CauseBang while a bang is not settled, CauseChanged while a change is not, else CauseUnspecified.
func (t *Tree) WantedCause(p *Partition) Cause {
	if _, ok := t.Unanswered(p); ok {
		return CauseBang
	}
	if p.Settled.Less(p.Changed) {
		return CauseChanged
	}
	return CauseUnspecified
}

// Conditions are what is worth telling of the tree: that it is paused, bang storms, publish loops, monitoring crimes and problems that nodes
// told, by member.
func (t *Tree) Conditions(now time.Time) []string {
	var told []string
	if t.Paused(now) {
		told = append(told, t.Pause.words())
	}
	for _, m := range t.view().order {
		for i := range m.partition.Rows {
			if row := &m.partition.Rows[i]; row.storm(now) {
				told = append(told, fmt.Sprintf("bang storm: %s %s of %s, %d futile bangs in a row", row.Origin, row.Source, m.instance.Title, row.Count))
			}
		}
		if pub := &m.partition.Publishing; pub.looping(now) {
			told = append(told, pub.loop(m.instance))
		}
		if m.instance.ParameterProblem != "" {
			told = append(told, fmt.Sprintf("problem: %s (%s/%s): %s", m.instance.Title, m.partition.Computer, m.partition.Name, m.instance.problem()))
		}
		for _, c := range m.partition.crimes(m.instance, now) {
			told = append(told, crimePrefix+c.Evidence)
		}
		if latest := m.partition.Latest; latest != nil {
			if m.instance.State != Started && latest.Result != Success { // it has no colour that would say so
				told = append(told, fmt.Sprintf("problem: %s (%s/%s) is to be %s, and its last run failed, attempt %d: %s",
					m.instance.Title, m.partition.Computer, m.partition.Name, m.instance.State, latest.Attempt, reasonOf(latest)))
			}
			for _, problem := range latest.Problems {
				told = append(told, fmt.Sprintf("problem: %s (%s/%s): %s", m.instance.Title, m.partition.Computer, m.partition.Name, problem))
			}
		}
	}
	return told
}

// Sorted lists the instances, root first, then by number.
func (t *Tree) Sorted() []*Instance { return t.sorted() }

func (t *Tree) sorted() []*Instance {
	all := make([]*Instance, 0, len(t.Instances))
	for _, i := range t.Instances {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Instance) int { return byNumber(a.ID, b.ID) })
	return all
}

// On are the instances on a computer, in the order of [Tree.Sorted].
func (t *Tree) On(computer string) []*Instance {
	members := t.view().on[computer]
	found := make([]*Instance, 0, len(members))
	for _, m := range members {
		found = append(found, m.instance)
	}
	return found
}

// Placed are the instances whose partition is wanted, in the order of [Tree.Sorted].
func (t *Tree) Placed(wanted func(*Partition) bool) []*Instance {
	var found []*Instance
	for id, p := range t.Partitions {
		if i := t.Instances[id]; i != nil && wanted(p) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *Instance) int { return byNumber(a.ID, b.ID) })
	return found
}

// Allocated is the partition of a current allocation and its instance, nil when it is not current.
func (t *Tree) Allocated(allocationID string) (*Instance, *Partition) {
	m := t.view().members[allocationID]
	if m == nil {
		return nil, nil
	}
	return m.instance, m.partition
}
