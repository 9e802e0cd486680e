package fleet

import "time"

// Evict takes an instance out of its partition although no run removed its content: its computer is dead, or is to be emptied. The node may not know of it
// for long, and may still run its processes.
//
//	instance ── allocation a3 in slappart0           instance, not allocated: wants a place
//	                                        Evict ▶
//	                                                 remnant ── allocation a4 in slappart0, destroyed ──▶ gone, when a run removed the content
//
// The fence is the number of the allocation: whatever is said under a3 from now on is refused, and the only run that a4 can get is one that removes the
// content. The partition stays reserved until then.
type Evict struct {
	AllocationID string
	// Reason in words; it becomes the reason why the instance is not allocated.
	Reason string
	Trace  Trace
}

// EvictAnswer tells what came of it.
type EvictAnswer struct {
	// RemnantID is the instance that holds the partition now, AllocationID its allocation.
	RemnantID, AllocationID string
}

// Evict ends an allocation and leaves a remnant in its partition. Errors: FailedPrecondition (not a current allocation, or the instance is being destroyed),
// Exhausted (MaxInstances).
func (t *Tree) Evict(e Evict, now time.Time) (EvictAnswer, Effects, error) {
	m := t.view().members[e.AllocationID]
	switch {
	case m == nil:
		return EvictAnswer{}, Effects{}, fail(FailedPrecondition, "cannot evict %s: it is not a current allocation", e.AllocationID)
	case m.instance.State == Destroyed:
		return EvictAnswer{}, Effects{}, fail(FailedPrecondition, "cannot evict %q: it is being destroyed", m.instance.Title)
	case len(t.Instances) >= MaxInstances:
		return EvictAnswer{}, Effects{}, fail(Exhausted, "cannot evict %q: tree %s has %d instances, the most there may be", m.instance.Title, t.ID, MaxInstances)
	}
	unsettled := t.Unsettled()
	i, p := m.instance, m.partition
	var fx Effects

	t.LastInstance++
	t.LastAllocation++
	remnant := &Instance{
		ID: t.id('i', t.LastInstance), Title: i.Title, Release: i.Release, Type: i.Type, State: Destroyed, Retention: i.Retention, RequestedAt: now, RemnantOf: i.ID,
	}
	left := &Partition{
		InstanceID: remnant.ID, AllocationID: t.id('a', t.LastAllocation), Computer: p.Computer, Name: p.Name, AllocatedAt: now,
		ComputerPeriod: p.ComputerPeriod, Addresses: p.Addresses, Options: p.Options,
	}
	t.Instances[remnant.ID], t.Partitions[remnant.ID] = remnant, left
	delete(t.Partitions, i.ID)
	i.Unallocated, i.RequestedAt = e.Reason, now
	fx.audit(AuditEntry{Kind: AuditEvicted, System: SystemEviction, Reason: e.Reason}, i, p)
	t.membershipChanged()
	t.changed(&fx, []*Instance{i, remnant}, true, 0, e.Trace, now)
	fx.Changed.partition(i.ID)
	fx.Rebound = []Rebound{{Place: Place{Computer: left.Computer, Partition: left.Name, AllocationID: left.AllocationID, InstanceID: remnant.ID}, From: i.ID}}
	fx.Place = []string{i.ID}
	t.progress(&fx, e.Trace, now)
	fx.Settlement = t.settlement(unsettled)
	return EvictAnswer{RemnantID: remnant.ID, AllocationID: left.AllocationID}, fx, nil
}

// Remnant tells whether the instance is what an eviction left in a partition.
func (i *Instance) Remnant() bool { return i.RemnantOf != "" }

// MayLeave tells whether an instance may be evicted from a computer that is closed; else why not. all = also those that did not say that they may move.
func (i *Instance) MayLeave(all bool) (bool, string) {
	switch {
	case i.Remnant():
		return false, "what an eviction left; it goes when its content is removed"
	case i.State == Destroyed:
		return false, "it is being destroyed"
	case i.Computer != "":
		return false, "it was requested on this computer"
	case !all && !i.Sla.MayMove:
		return false, "its request does not say that it may move"
	}
	return true, ""
}
