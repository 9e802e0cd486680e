package fleet

import "time"

// SetState starts, stops or destroys an instance. A root's state goes to its descendants; destruction goes to the descendants of any instance.
//
//	    ┌──────── Started ◀──────▶ Stopped ────────┐
//	    │                                          │
//	    ▼                                          ▼
//	Destroyed: with children it is stopped; with none its partition is told to remove its content ──▶ gone, when that run
//	                                                                                                  succeeded, or at
//	                                                                                                  once if not allocated
type SetState struct {
	// RequestID is the key, kept by the store; may be empty.
	RequestID  string
	InstanceID string
	State      State
	Trace      Trace
}

// SetStateAnswer tells what came of it.
type SetStateAnswer struct {
	Changed bool
}

// SetState wants a state. Idempotent by content. Errors: InvalidArgument, NotFound, FailedPrecondition (it is being destroyed).
func (t *Tree) SetState(e SetState, now time.Time) (SetStateAnswer, Effects, error) {
	if e.State < Started || e.State > Destroyed {
		return SetStateAnswer{}, Effects{}, invalid("state", "cannot set the state of %s: state %d is unknown", e.InstanceID, e.State)
	}
	i := t.Instances[e.InstanceID]
	if i == nil {
		return SetStateAnswer{}, Effects{}, fail(NotFound, "cannot set the state of %s: there is no such instance", e.InstanceID)
	}
	if i.State == Destroyed && e.State != Destroyed {
		return SetStateAnswer{}, Effects{}, fail(FailedPrecondition, "cannot set %q to %s: it is being destroyed", i.Title, e.State)
	}
	concerned := []*Instance{i}
	if i.ID == t.RootID || e.State == Destroyed {
		concerned = t.subtree(i.ID)
	}
	moved := concerned[:0]
	for _, c := range concerned {
		if c.State != e.State && c.State != Destroyed {
			moved = append(moved, c)
		}
	}
	if len(moved) == 0 {
		return SetStateAnswer{}, Effects{Keep: e.RequestID != ""}, nil
	}
	unsettled := t.Unsettled()
	fx := Effects{Keep: e.RequestID != ""}
	fx.audit(AuditEntry{Kind: auditOf(e.State), Others: len(moved) - 1}, i, t.Partitions[i.ID])
	if e.State == Destroyed {
		t.destroy(&fx, moved, e.Trace, now)
	} else {
		for _, c := range moved {
			c.State = e.State
		}
		t.membershipChanged()
		t.changed(&fx, moved, true, 0, e.Trace, now)
	}
	t.progress(&fx, e.Trace, now)
	fx.Settlement = t.settlement(unsettled)
	return SetStateAnswer{Changed: true}, fx, nil
}

// subtree is an instance and all that was requested by it, requesters before what they requested.
func (t *Tree) subtree(id string) []*Instance {
	all := []*Instance{t.Instances[id]}
	for at := 0; at < len(all); at++ {
		for _, child := range t.view().children[all[at].ID] {
			all = append(all, t.Instances[child])
		}
	}
	return all
}

// remove takes a destroyed instance without children out of the tree, frees its partition, and goes on with its requester if that was waiting for it.
func (t *Tree) remove(fx *Effects, i *Instance, trace Trace, now time.Time) {
	for i != nil && i.State == Destroyed && len(t.view().children[i.ID]) == 0 {
		fx.Changed.instance(i.ID)
		fx.Changed.Header = true
		p := t.Partitions[i.ID]
		gone := AuditEntry{Kind: AuditGone, System: SystemRemoval}
		if i.Remnant() {
			gone.Reason = "what an eviction left"
		}
		fx.audit(gone, i, p)
		if p != nil {
			t.free(fx, p)
		}
		t.inherit(fx, i)
		delete(t.Instances, i.ID)
		if p != nil {
			t.membershipChanged()
		} else {
			t.removed(i)
		}
		requester := t.Instances[i.RequesterID]
		if i.ID == t.RootID {
			t.RootID = ""
		}
		fx.Gone = t.Gone() // remnants outlive the root
		// A removed instance is told as changed: whoever holds its partition sees that it is free.
		entry := FeedEntry{Kind: FeedChanged, TreeID: t.ID, Generation: t.next(), Membership: t.Membership, InstanceIDs: []string{i.ID}, At: now, Trace: trace}
		fx.Feed = append(fx.Feed, entry)
		i = nil
		if requester != nil && requester.State == Destroyed && len(t.view().children[requester.ID]) == 0 {
			if t.Partitions[requester.ID] == nil {
				i = requester
				continue
			}
			t.changed(fx, []*Instance{requester}, true, 0, trace, now) // it is its turn
		}
	}
}

// inherit gives the bangs of a removed instance to its requester: the rest of their scope still has to run.
func (t *Tree) inherit(fx *Effects, i *Instance) {
	c := t.Convergence
	if c == nil || i.RequesterID == "" {
		return
	}
	for at := range c.Awaiting {
		if c.Awaiting[at].Instance == i.ID {
			c.Awaiting[at].Instance = i.RequesterID
			fx.Changed.Convergence = true
		}
	}
	for at := range c.Origins {
		if c.Origins[at] == i.ID {
			c.Origins[at] = i.RequesterID
			fx.Changed.Convergence = true
		}
	}
}

// free ends an allocation.
func (t *Tree) free(fx *Effects, p *Partition) {
	fx.Changed.partition(p.InstanceID)
	fx.Freed = append(fx.Freed, Place{Computer: p.Computer, Partition: p.Name, AllocationID: p.AllocationID, InstanceID: p.InstanceID})
	delete(t.Partitions, p.InstanceID)
}
