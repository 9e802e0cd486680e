package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Hosted is a shared instance as the tree of its host knows it: what is wanted of it, and what its host says.
type Hosted struct {
	// SharedID is the shared instance, of this tree or another one; HostID its host, of this tree.
	SharedID, HostID string
	// Title, Release, Type and Parameters as its own tree wants them.
	Title, Release, Type string
	Parameters           map[string]string
	// Generation of its own tree at which they changed. Older never overwrites newer.
	Generation Generation
	// ChangedAt is when the host's tree heard of the last change.
	ChangedAt time.Time
	// Wanted is the generation of this tree that the last change made: it is served once its host settled that.
	Wanted Generation
	// Connection is what its host publishes for it.
	Connection map[string]string
	// Once is true since it was served for the first time.
	Once bool
	// Stamp is the generation of this tree at which what its host says last changed.
	Stamp Generation
	// Publishing watches for a publish loop; PublishedIn is the token of the newest run that published something else for it.
	Publishing  Publishing
	PublishedIn uint64
}

// Host wants an instance of this tree to host a shared instance, of this tree or another one, as it says.
type Host struct {
	SharedID, HostID string
	// Account of the shared instance's tree.
	Account              string
	Title, Release, Type string
	Parameters           map[string]string
	// Generation of the shared instance.
	Generation Generation
	Trace      Trace
}

// HostAnswer is what the host says of the shared instance now.
type HostAnswer struct {
	Changed    bool
	Word       Word
	Connection map[string]string
	// Delay is how long the requester waits after a change of Connection: a publish loop.
	Delay time.Duration
}

// Unhost takes a shared instance from its host.
type Unhost struct {
	SharedID, HostID string
	Trace            Trace
}

// UnhostAnswer tells whether it was hosted; Computer is where its host is, which has room now.
type UnhostAnswer struct {
	Changed  bool
	Computer string
}

// Judge tells those that are hosted what time alone did to the colours of their hosts.
type Judge struct{}

// JudgeAnswer tells how many hosts turned.
type JudgeAnswer struct{ Turned int }

// Host lists a shared instance at its host, or changes what is listed; the host runs then (cause changed). What is not newer than what is known changes
// nothing. Errors: NotFound (no such host), FailedPrecondition (it is destroyed, or of another account, release or type), Exhausted (MaxHosted, MaxHostedBytes).
func (t *Tree) Host(e Host, now time.Time) (HostAnswer, Effects, error) {
	host, known := t.Instances[e.HostID], t.Hosted[e.SharedID]
	if known != nil && known.HostID == e.HostID && !known.Generation.Less(e.Generation) {
		return t.hostAnswer(known, false), Effects{}, nil
	}
	if err := t.mayHost(&e, host, known); err != nil {
		return HostAnswer{}, Effects{}, err
	}
	unsettled := t.Unsettled()
	var fx Effects
	if known != nil && known.HostID != e.HostID {
		t.unhost(&fx, known, e.Trace, now)
		known = nil
	}
	fx.Changed.hosted(e.SharedID)
	if known != nil && known.Title == e.Title && known.Release == e.Release && known.Type == e.Type && maps.Equal(known.Parameters, e.Parameters) {
		known.Generation, known.Stamp = e.Generation, t.next()
		fx.Changed.Header = true
		return t.hostAnswer(known, false), fx, nil
	}
	if known == nil {
		known = &Hosted{SharedID: e.SharedID, HostID: e.HostID}
		if t.Hosted == nil {
			t.Hosted = map[string]*Hosted{}
		}
		t.Hosted[e.SharedID] = known
	}
	known.Title, known.Release, known.Type, known.Parameters, known.Generation, known.ChangedAt = e.Title, e.Release, e.Type, maps.Clone(e.Parameters), e.Generation, now
	t.changed(&fx, []*Instance{host}, true, 0, e.Trace, now)
	known.Wanted, known.Stamp = host.Generation, host.Generation
	fx.audit(AuditEntry{Kind: AuditChanged, System: SystemHosting, Changes: []string{"shared instance " + e.SharedID}}, host, t.Partitions[host.ID])
	fx.Settlement = t.settlement(unsettled)
	return t.hostAnswer(known, true), fx, nil
}

// mayHost tells why an instance cannot host a shared one, if it cannot. What it hosts already follows it to another release or type.
func (t *Tree) mayHost(e *Host, host *Instance, known *Hosted) error {
	if host == nil {
		return fail(NotFound, "its host %s is gone", e.HostID)
	}
	count, bytes := 0, len(e.Title)+len(e.Type)+size(e.Parameters)
	for _, h := range t.Hosted {
		if h.HostID == e.HostID && h.SharedID != e.SharedID {
			count, bytes = count+1, bytes+h.bytes()
		}
	}
	isNew := known == nil || known.HostID != e.HostID || known.Release != e.Release || known.Type != e.Type
	switch {
	case host.State == Destroyed:
		return fail(FailedPrecondition, "its host %q (%s) is being destroyed", host.Title, host.ID)
	case host.Shared:
		return fail(FailedPrecondition, "%q (%s) is a shared instance itself", host.Title, host.ID)
	case t.Account != e.Account:
		return fail(FailedPrecondition, "its host %q (%s) belongs to somebody else", host.Title, host.ID)
	case isNew && (host.Release != e.Release || host.Type != e.Type):
		return fail(FailedPrecondition, "its host %q (%s) is of another release or type", host.Title, host.ID)
	case count >= MaxHosted || len(t.Hosted) >= MaxInstances:
		return fail(Exhausted, "its host %q (%s) has %d shared instances, the most there may be", host.Title, host.ID, count)
	case bytes > MaxHostedBytes:
		return fail(Exhausted, "its host %q (%s) would have %d bytes of parameters of shared instances, more than %d", host.Title, host.ID, bytes, MaxHostedBytes)
	}
	return nil
}

// bytes is what a shared instance takes of its host's desired state.
func (h *Hosted) bytes() int { return len(h.Title) + len(h.Type) + size(h.Parameters) }

// Unhost takes a shared instance out of the list of its host, which runs then. One that is not there changes nothing. It never fails.
func (t *Tree) Unhost(e Unhost, now time.Time) (UnhostAnswer, Effects, error) {
	h := t.Hosted[e.SharedID]
	if h == nil || h.HostID != e.HostID {
		return UnhostAnswer{}, Effects{}, nil
	}
	unsettled := t.Unsettled()
	var fx Effects
	answer := UnhostAnswer{Changed: true}
	if p := t.Partitions[e.HostID]; p != nil {
		answer.Computer = p.Computer
	}
	t.unhost(&fx, h, e.Trace, now)
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

func (t *Tree) unhost(fx *Effects, h *Hosted, trace Trace, now time.Time) {
	host := t.Instances[h.HostID]
	delete(t.Hosted, h.SharedID)
	fx.Changed.hosted(h.SharedID)
	t.changed(fx, []*Instance{host}, true, 0, trace, now)
	fx.audit(AuditEntry{Kind: AuditChanged, System: SystemHosting, Changes: []string{"shared instance " + h.SharedID}}, host, t.Partitions[host.ID])
}

// Judge compares the colours of hosts with what those that they host were told. It never fails.
func (t *Tree) Judge(_ Judge, now time.Time) (JudgeAnswer, Effects, error) {
	var fx Effects
	turned := t.Misjudged(now)
	for _, i := range turned {
		t.judge(&fx, i, now)
	}
	return JudgeAnswer{Turned: len(turned)}, fx, nil
}

// Misjudged are the hosts whose colour is not what those that they host were told, by number.
func (t *Tree) Misjudged(now time.Time) []*Instance {
	var turned []*Instance
	for _, h := range t.Hosted {
		if i := t.Instances[h.HostID]; (i.Ill == "") != (t.illness(i, now) == "") && !slices.Contains(turned, i) {
			turned = append(turned, i)
		}
	}
	slices.SortFunc(turned, func(a, b *Instance) int { return byNumber(a.ID, b.ID) })
	return turned
}

// HostedBy lists what an instance hosts, by title.
func (t *Tree) HostedBy(hostID string) []*Hosted {
	var all []*Hosted
	for _, h := range t.Hosted {
		if h.HostID == hostID {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b *Hosted) int {
		return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.SharedID, b.SharedID))
	})
	return all
}

// ill is why a host serves nobody, whatever it settled; empty = it is Green.
func (t *Tree) illness(i *Instance, now time.Time) string {
	its := "its host " + strconv.Quote(i.Title) + " (" + i.ID + ")"
	switch status := t.PartitionColour(i.ID, now, time.Time{}); {
	case i.State != Started:
		return its + " is " + i.State.String()
	case t.Partitions[i.ID] == nil:
		return its + " is not allocated"
	case status.Colour != Green:
		return its + " is Red: " + status.Reason
	}
	return ""
}

// judge tells those that an instance hosts that it became Green, or is not any more. Another reason for the same is not told: the host's own tree has it.
func (t *Tree) judge(fx *Effects, i *Instance, now time.Time) {
	hosts := t.HostedBy(i.ID)
	if len(hosts) == 0 {
		return
	}
	ill := t.illness(i, now)
	if (ill == "") == (i.Ill == "") {
		return
	}
	i.Ill, i.IllAt = ill, t.next()
	fx.Changed.Header = true
	fx.Changed.instance(i.ID)
	for _, h := range hosts {
		fx.hosting(h.SharedID, h.HostID)
	}
}

// served stamps what a host began to serve with a run that settled more than before.
func (t *Tree) served(fx *Effects, p *Partition, before Generation) {
	for _, h := range t.HostedBy(p.InstanceID) {
		if before.Less(h.Wanted) && !p.Settled.Less(h.Wanted) {
			h.Once = true
			t.stamp(fx, h)
		}
	}
}

// stamp says that a host says something else of what it hosts.
func (t *Tree) stamp(fx *Effects, h *Hosted) {
	h.Stamp = t.next()
	fx.Changed.Header = true
	fx.Changed.hosted(h.SharedID)
	fx.hosting(h.SharedID, h.HostID)
}

// SaidOf is what is said of a shared instance here; false = it is not hosted here.
func (t *Tree) SaidOf(sharedID string) (HostAnswer, bool) {
	h := t.Hosted[sharedID]
	if h == nil {
		return HostAnswer{}, false
	}
	return t.hostAnswer(h, false), true
}

func (t *Tree) hostAnswer(h *Hosted, changed bool) HostAnswer {
	i, p := t.Instances[h.HostID], t.Partitions[h.HostID]
	word := Word{Stamp: newer(h.Stamp, i.IllAt), Heard: h.Generation, Unserved: i.Ill}
	if word.Unserved == "" && (p == nil || p.Settled.Less(h.Wanted)) {
		word.Unserved, word.Pending = fmt.Sprintf("its host %q (%s) has not run since its last change", i.Title, i.ID), h.Once
	}
	return HostAnswer{Changed: changed, Word: word, Connection: h.Connection, Delay: h.Publishing.Delay}
}

// publishHosted stores what a run of the host publishes for a shared instance. The index has been looked at: the allocation and the token are current.
func (t *Tree) publishHosted(e *Publish, m *member, parameters map[string]string, now time.Time) (PublishAnswer, Effects, error) {
	i, p := m.instance, m.partition
	h := t.Hosted[e.SharedID]
	if h == nil || h.HostID != i.ID {
		return PublishAnswer{}, Effects{}, fail(NotFound, "cannot publish for %s: %q does not host it", e.SharedID, i.Title)
	}
	if maps.Equal(h.Connection, parameters) {
		return PublishAnswer{}, Effects{}, nil
	}
	bytes := size(parameters)
	for _, other := range t.HostedBy(i.ID) {
		if other != h {
			bytes += size(other.Connection)
		}
	}
	if bytes > MaxHostedBytes {
		return PublishAnswer{}, Effects{}, fail(Exhausted, "cannot publish for %s: all that %q publishes for shared instances would have %d bytes, more than %d", e.SharedID, i.Title, bytes, MaxHostedBytes)
	}
	var fx Effects
	fx.audit(AuditEntry{Kind: AuditPublished, Reason: "for shared instance " + h.SharedID, Changes: bounded(changedKeys("connection parameter ", h.Connection, parameters))}, i, p)
	h.Connection = parameters
	if h.PublishedIn != e.Token {
		if h.PublishedIn+1 < e.Token {
			h.Publishing = Publishing{} // a run in between published nothing else
		}
		h.Publishing.publish(p.AllocationID+"/"+h.SharedID, now)
		h.PublishedIn = e.Token
	}
	t.stamp(&fx, h)
	return PublishAnswer{Changed: true, Delay: h.Publishing.Delay}, fx, nil
}

// checkHosted is part of Check.
func (t *Tree) checkHosted() error {
	count := map[string]int{}
	for id, h := range t.Hosted {
		host := t.Instances[h.HostID]
		count[h.HostID]++
		switch {
		case id != h.SharedID || host == nil || host.State == Destroyed || host.Shared:
			return fmt.Errorf("shared instance %s is kept as %s, by the host %s", h.SharedID, id, h.HostID)
		case t.Generation.Less(h.Wanted) || t.Generation.Less(h.Stamp) || t.Generation.Less(host.IllAt) || h.Stamp.IsZero():
			return fmt.Errorf("shared instance %s is wanted at %s, and was told of at %s, of %s", id, h.Wanted, h.Stamp, t.Generation)
		case count[h.HostID] > MaxHosted:
			return fmt.Errorf("%s has %d shared instances", h.HostID, count[h.HostID])
		case slices.Contains(values(h.Parameters), "") || slices.Contains(values(h.Connection), ""):
			return fmt.Errorf("shared instance %s has an empty parameter", id)
		}
	}
	for id, i := range t.Instances {
		switch {
		case i.Shared && (t.Partitions[id] != nil || len(t.view().children[id]) > 0):
			return fmt.Errorf("shared instance %s has a partition, or requested something", id)
		case !i.Shared && i.Host != "" || i.Host != "" && i.Unallocated != "":
			return fmt.Errorf("instance %s is hosted by %s, and not allocated: %q", id, i.Host, i.Unallocated)
		}
	}
	return nil
}
