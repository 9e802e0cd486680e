package fleet

import (
	"maps"
	"slices"
	"time"
)

// EpochMoved says that the store lost the last seconds of the shard: a fail-over, a restored backup, an unclean end of the embedded store.
type EpochMoved struct {
	Epoch uint64
}

// EpochMovedAnswer is the first generation of the new epoch.
type EpochMovedAnswer struct{ Generation Generation }

// EpochMoved starts a new epoch. Nodes may hold newer numbers of the old one, for changes that are lost: everything wanted is stamped anew, so that it wins
// over any number, and every partition runs; what they reported last may be lost as well. Runs in progress are superseded, since they were given
// what may be lost. Sequences skip what may have been given out. An epoch that is known changes nothing. Errors: FailedPrecondition (an older epoch).
func (t *Tree) EpochMoved(e EpochMoved, now time.Time) (EpochMovedAnswer, Effects, error) {
	switch {
	case e.Epoch < t.Generation.Epoch:
		return EpochMovedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot move tree %s to epoch %d: it is in epoch %d", t.ID, e.Epoch, t.Generation.Epoch)
	case e.Epoch == t.Generation.Epoch:
		return EpochMovedAnswer{Generation: t.Generation}, Effects{}, nil
	}
	unsettled := t.Unsettled()
	fx := Effects{Changed: Changed{Header: true}}
	gap := max(EpochGap, (e.Epoch-t.Generation.Epoch)*EpochStep)
	t.Generation = Generation{Epoch: e.Epoch}
	t.LastInstance += gap
	t.LastAllocation += gap
	t.LastBang += gap
	t.LastConvergence += gap
	for _, p := range t.Partitions {
		if p.Run != nil {
			p.remember(Ended{RunID: p.Run.ID, Superseded: true})
			p.Run = nil
		}
		p.Token += gap
	}
	if t.Pause.Generation != (Generation{}) {
		t.Pause.Generation = t.next() // whoever knows of a newer one knows what is lost
	}
	t.membershipChanged()
	if len(t.Instances) > 0 { // the root's descendants, and remnants
		t.changed(&fx, t.sorted(), true, 0, Trace{}, now)
	}
	for _, id := range slices.Sorted(maps.Keys(t.Hosted)) { // whoever heard a newer word heard what is lost
		t.stamp(&fx, t.Hosted[id])
	}
	fx.Settlement = t.settlement(unsettled)
	return EpochMovedAnswer{Generation: t.Generation}, fx, nil
}
