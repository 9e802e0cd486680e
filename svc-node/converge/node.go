package converge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/backoff"
)

// Node is the state of the agent: all partitions, the links that give it orders, the runs it made by itself.
type Node struct {
	computer   string
	boot       string
	slots      int
	sequence   uint64
	partitions map[string]Partition
	// lost is since when a link is lost; a link that is up has no entry.
	lost map[Link]time.Time
}

// NewNode makes a node without partitions, all links lost since now. slots is how many partitions run at once, at
// least 1; sequence is how many runs it made by itself in this boot so far.
func NewNode(computer, boot string, slots int, sequence uint64, now time.Time) Node {
	return Node{
		computer: computer, boot: boot, slots: max(slots, 1), sequence: sequence,
		partitions: map[string]Partition{}, lost: map[Link]time.Time{Orders: now, Master: now},
	}
}

// With adds a partition as an earlier agent stored it: no run is in hand.
func (n Node) With(p Partition, now time.Time) Node {
	n = n.clone()
	p.Run, p.Next, p.Parked = Handle{}, nil, nil
	p.Phase, p.Since = Idle, now
	p.NotBefore = now.Add(Slack)
	if p.Desired.AllocationID == "" {
		p.Phase = Free
	}
	// The clock may have been set back: a time in the future would keep the partition from running.
	if p.EndedAt.After(now) {
		p.EndedAt = now
	}
	if p.KnownSince.After(now) || p.KnownSince.IsZero() {
		p.KnownSince = now
	}
	n.partitions[p.Name] = p
	return n
}

// Partition returns one partition; a Free one when it is not known.
func (n Node) Partition(name string) Partition {
	if p, ok := n.partitions[name]; ok {
		return p
	}
	return Partition{Name: name}
}

// Partitions returns those that hold something or run, by name.
func (n Node) Partitions() []Partition {
	all := make([]Partition, 0, len(n.partitions))
	for _, name := range slices.Sorted(maps.Keys(n.partitions)) {
		if p := n.partitions[name]; p.Phase != Free {
			all = append(all, p)
		}
	}
	return all
}

// Running counts the runs in progress.
func (n Node) Running() int {
	count := 0
	for _, p := range n.partitions {
		if p.Phase == Running {
			count++
		}
	}
	return count
}

// InHand lists the ids of the runs that wait or run.
func (n Node) InHand() []string {
	var ids []string
	for _, p := range n.Partitions() {
		if p.Phase == Waiting || p.Phase == Running {
			ids = append(ids, p.Run.RunID)
		}
	}
	return ids
}

// Up tells whether a link is there.
func (n Node) Up(link Link) bool {
	_, lost := n.lost[link]
	return !lost
}

// Step is the transition function of the node.
func (n Node) Step(event Event, now time.Time) (Node, []Effect, string) {
	n = n.clone()
	var effects []Effect
	var reasons []string
	apply := func(name string, input any) {
		p := n.Partition(name)
		next, more, why := p.step(input, now)
		effects, reasons = append(effects, more...), append(reasons, name+": "+why)
		if next.Phase == Free && next.Parked == nil {
			delete(n.partitions, name)
			return
		}
		n.partitions[name] = next
	}
	switch e := event.(type) {
	case Start:
		for name, p := range n.partitions {
			if e.Rebooted && p.Phase != Free {
				p.BootDue = now.Add(backoff.Phase(p.Name, BootSpread))
				n.partitions[name] = p
			}
		}
		reasons = append(reasons, "started")
	case Wanted:
		for _, name := range e.Freed {
			apply(name, free{})
		}
		for _, item := range e.Items {
			apply(item.Partition, desire{item})
		}
	case Learned:
		if p := n.Partition(e.Item.Partition); p.Phase == Free || p.Desired.AllocationID != e.Item.AllocationID {
			return n, nil, "learned of another allocation than the stream's"
		}
		apply(e.Item.Partition, desire{e.Item})
	case Ordered:
		apply(e.Order.Partition, order{e.Order})
	case LinkChanged:
		_, lost := n.lost[e.Link]
		switch {
		case e.Up:
			delete(n.lost, e.Link)
		case !lost:
			n.lost[e.Link] = now
		}
		reasons = append(reasons, e.Link.String()+map[bool]string{true: " is up", false: " is lost"}[e.Up])
	case Ended:
		apply(e.Partition, ended{Ended: e, local: func(o Order) Handle {
			h := n.own(&effects, o.Partition, o.AllocationID, now)
			h.Cause, h.Attempt, h.Bangs, h.Trace, h.Local = o.Cause, o.Attempt, o.Bangs, o.Trace, true
			return h
		}})
	case Woken:
		for _, p := range n.Partitions() {
			if e.Partition == "" || e.Partition == p.Name {
				apply(p.Name, wake{})
			}
		}
	case Tick:
	default:
		return n, nil, fmt.Sprintf("cannot handle %T", event)
	}
	for _, p := range n.Partitions() {
		if p.Phase != Idle {
			continue
		}
		if at, cause := p.due(n.alone()); !at.After(now) {
			apply(p.Name, deadline{cause: cause, local: !n.Up(Master), run: func() Handle {
				return n.own(&effects, p.Name, p.Desired.AllocationID, now)
			}})
		}
	}
	for _, name := range n.queue() {
		if n.Running() >= n.slots {
			break
		}
		apply(name, grant{})
	}
	if len(reasons) == 0 {
		return n, effects, "nothing is due"
	}
	return n, effects, strings.Join(reasons, "; ")
}

// Due is when the next Tick is needed.
func (n Node) Due() (time.Time, bool) {
	var first time.Time
	for _, p := range n.partitions {
		if p.Phase != Idle {
			continue
		}
		if at, _ := p.due(n.alone()); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first, !first.IsZero()
}

// alone is since when the node gets no orders that it could begin: the earlier loss of Orders and Master.
func (n Node) alone() time.Time {
	var since time.Time
	for _, at := range n.lost {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since
}

// queue lists the partitions that wait for a slot: by cause, then the longest waiting first, then by name.
func (n Node) queue() []string {
	var waiting []Partition
	for _, p := range n.partitions {
		if p.Phase == Waiting {
			waiting = append(waiting, p)
		}
	}
	slices.SortFunc(waiting, func(a, b Partition) int {
		if a.Run.Cause != b.Run.Cause {
			return int(a.Run.Cause) - int(b.Run.Cause)
		}
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	names := make([]string, len(waiting))
	for i, p := range waiting {
		names[i] = p.Name
	}
	return names
}

// own makes the handle of a run that the node makes by itself.
func (n *Node) own(effects *[]Effect, partition, allocation string, now time.Time) Handle {
	n.sequence++
	*effects = append(*effects, Count{Sequence: n.sequence})
	// Several computers may share a machine, and thus a boot id. 9 + 36 + 1 + at most 17 digits: within the 64 bytes of
	// a run id, and never below its 16.
	boot := n.boot[:min(len(n.boot), 36)]
	id := fmt.Sprintf("%08x-%s-%08d", uint32(backoff.Hash(n.computer)), boot, n.sequence)
	return Handle{
		Order: Order{RunID: id, Partition: partition, AllocationID: allocation, DueAt: now, OrderedAt: now, Attempt: 1},
		Own:   true, Sequence: n.sequence,
	}
}

func (n Node) clone() Node {
	n.partitions, n.lost = maps.Clone(n.partitions), maps.Clone(n.lost)
	return n
}
