package fleet

import "time"

// Allocate commits a partition that was reserved for an instance.
type Allocate struct {
	InstanceID          string
	Computer, Partition string
	// ComputerPeriod is the computer's periodicity, Options what the release on it says.
	ComputerPeriod time.Duration
	// Addresses are the partition's; nil = they are not known.
	Addresses []string
	Options   Options
	// ParameterProblem is what is wrong with its parameters by the schema of its release.
	ParameterProblem string
	Trace            Trace
}

// AllocateAnswer is the allocation.
type AllocateAnswer struct {
	AllocationID string
}

// Allocate commits a reservation: the instance is in that partition from now on. The same partition again gets the first answer.
// Errors: InvalidArgument, NotFound (the instance is gone: release the reservation), FailedPrecondition (it is destroyed, or is in another partition).
func (t *Tree) Allocate(e Allocate, now time.Time) (AllocateAnswer, Effects, error) {
	i, p := t.Instances[e.InstanceID], t.Partitions[e.InstanceID]
	switch {
	case e.Computer == "" || e.Partition == "":
		return AllocateAnswer{}, Effects{}, invalid("partition", "cannot allocate %s: it needs a computer and a partition", e.InstanceID)
	case i == nil:
		return AllocateAnswer{}, Effects{}, fail(NotFound, "cannot allocate %s: there is no such instance", e.InstanceID)
	case i.Shared:
		return AllocateAnswer{}, Effects{}, fail(FailedPrecondition, "cannot allocate %q: a shared instance has no partition", i.Title)
	case p != nil && p.Computer == e.Computer && p.Name == e.Partition:
		return AllocateAnswer{AllocationID: p.AllocationID}, Effects{}, nil
	case p != nil:
		return AllocateAnswer{}, Effects{}, fail(FailedPrecondition, "cannot allocate %q on %s: it is in partition %s of %s", i.Title, e.Computer, p.Name, p.Computer)
	case i.State == Destroyed:
		return AllocateAnswer{}, Effects{}, fail(FailedPrecondition, "cannot allocate %q: it is being destroyed", i.Title)
	case t.leftIn(e.Computer, e.Partition):
		return AllocateAnswer{}, Effects{}, fail(FailedPrecondition, "cannot allocate %q: what was evicted from partition %s of %s is still there", i.Title, e.Partition, e.Computer)
	}
	unsettled := t.Unsettled()
	var fx Effects
	t.LastAllocation++
	p = &Partition{
		InstanceID: i.ID, AllocationID: t.id('a', t.LastAllocation), Computer: e.Computer, Name: e.Partition, AllocatedAt: now,
		ComputerPeriod: e.ComputerPeriod, Addresses: e.Addresses, Options: e.Options,
	}
	t.Partitions[i.ID] = p
	i.Unallocated, i.ParameterProblem = "", e.ParameterProblem
	t.allocated(i, p)
	t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
	fx.audit(AuditEntry{Kind: AuditAllocated, System: SystemPlacement}, i, p)
	fx.Settlement = t.settlement(unsettled)
	return AllocateAnswer{AllocationID: p.AllocationID}, fx, nil
}

// leftIn tells whether a remnant holds a partition.
func (t *Tree) leftIn(computer, partition string) bool {
	for _, m := range t.view().remnants {
		if m.partition.Computer == computer && m.partition.Name == partition {
			return true
		}
	}
	return false
}

// Unallocated says why no partition was found for an instance.
type Unallocated struct {
	InstanceID string
	// Reason in words, as Place gives it.
	Reason string
}

// UnallocatedAnswer tells whether the reason is another one than before.
type UnallocatedAnswer struct{ Changed bool }

// Unallocated stores why an instance has no partition; that it has none makes its tree Red. Errors: NotFound, FailedPrecondition (it has a partition).
func (t *Tree) Unallocated(e Unallocated, _ time.Time) (UnallocatedAnswer, Effects, error) {
	i := t.Instances[e.InstanceID]
	switch {
	case i == nil:
		return UnallocatedAnswer{}, Effects{}, fail(NotFound, "cannot tell why %s is not allocated: there is no such instance", e.InstanceID)
	case t.Partitions[i.ID] != nil || i.Host != "":
		return UnallocatedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot tell why %q is not allocated: it is", i.Title)
	case i.Unallocated == e.Reason:
		return UnallocatedAnswer{}, Effects{}, nil
	}
	i.Unallocated = e.Reason
	return UnallocatedAnswer{Changed: true}, Effects{Changed: Changed{Instances: []string{i.ID}}}, nil
}

// Freed ends an allocation without a run of its node: the partition is lost with its computer, or an operator says that it is empty.
type Freed struct {
	AllocationID string
	// Reason in words; it becomes the reason why the instance is not allocated.
	Reason string
	Trace  Trace
}

// FreedAnswer tells what came of it.
type FreedAnswer struct {
	// Gone is true when the instance was destroyed and is gone with its partition.
	Gone bool
}

// Freed ends an allocation. A destroyed instance without children is gone; any other wants a place again. Errors: FailedPrecondition (not current).
func (t *Tree) Freed(e Freed, now time.Time) (FreedAnswer, Effects, error) {
	m := t.view().members[e.AllocationID]
	if m == nil {
		return FreedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot free %s: it is not a current allocation", e.AllocationID)
	}
	unsettled := t.Unsettled()
	var fx Effects
	i := m.instance
	fx.audit(AuditEntry{Kind: AuditFreed, Reason: e.Reason}, i, m.partition)
	t.free(&fx, m.partition)
	t.membershipChanged()
	if i.State == Destroyed {
		t.remove(&fx, i, e.Trace, now)
		if t.Instances[i.ID] != nil { // it waits for its children, without a partition
			t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
		}
	} else {
		i.Unallocated = e.Reason
		t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
		fx.Place = []string{i.ID}
	}
	t.progress(&fx, e.Trace, now)
	fx.Settlement = t.settlement(unsettled)
	return FreedAnswer{Gone: t.Instances[i.ID] == nil}, fx, nil
}
