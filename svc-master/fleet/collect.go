package fleet

import (
	"slices"
	"strconv"
	"time"
)

// Requested is what a run requested, all of it.
type Requested struct {
	// InstanceIDs in any order.
	InstanceIDs []string
}

// collect destroys what runs of an instance had requested and its latest successful run did not: nobody wants it any more. What was requested by hand stays,
// and so does everything when the run does not tell what it requested.
func (t *Tree) collect(fx *Effects, requester *Instance, requested *Requested, trace Trace, now time.Time) {
	if requested == nil || requester.State == Destroyed {
		return
	}
	var unwanted []*Instance
	for _, id := range t.view().children[requester.ID] {
		if i := t.Instances[id]; i.ByRun && i.State != Destroyed && !slices.Contains(requested.InstanceIDs, id) {
			with := slices.DeleteFunc(t.subtree(id), func(i *Instance) bool { return i.State == Destroyed })
			unwanted = append(unwanted, with...)
			fx.audit(AuditEntry{
				Kind: AuditDestroyed, System: SystemCollection, Others: len(with) - 1, Reason: "the newest run of " + strconv.Quote(requester.Title) + " did not request it",
			}, i, t.Partitions[id])
		}
	}
	t.destroy(fx, unwanted, trace, now)
}

// destroy wants instances destroyed; requesters come before what they requested, and all descendants are listed. Those without partition and children go at once.
func (t *Tree) destroy(fx *Effects, all []*Instance, trace Trace, now time.Time) {
	moved := all[:0]
	for _, i := range all {
		if i.State != Destroyed {
			i.State = Destroyed
			moved = append(moved, i)
		}
	}
	if len(moved) == 0 {
		return
	}
	t.membershipChanged()
	t.changed(fx, moved, true, 0, trace, now)
	if t.Doomed() && t.Convergence != nil {
		t.close(fx, Superseded, "the tree is destroyed", trace, now)
	}
	for at := len(moved) - 1; at >= 0; at-- { // descendants come after their requesters
		if c := moved[at]; t.Partitions[c.ID] == nil && t.Instances[c.ID] != nil {
			t.remove(fx, c, trace, now)
		}
	}
}

// firstReady wakes the requester of an instance that is ready for the first time in its partition, when it waits for something: publishing nothing is news too.
func (t *Tree) firstReady(fx *Effects, i *Instance, trace Trace, now time.Time) {
	requester, p := t.Instances[i.RequesterID], t.Partitions[i.RequesterID]
	if requester == nil || p == nil || requester.State == Destroyed || i.State == Destroyed {
		return
	}
	if p.Run != nil || p.Latest == nil || p.Latest.Result != Success {
		t.changed(fx, []*Instance{requester}, false, 0, trace, now)
	}
}
