package fleet

import "time"

// Act is what a person does to a partition through another service, which tells it before it does it. It changes nothing of the tree, and is written down.
type Act struct {
	// Kind is AuditPromiseMuted or AuditPromiseUnmuted.
	Kind AuditKind
	// AllocationID that it is done to; it may have ended.
	AllocationID string
	// Promise of the allocation.
	Promise string
	// Reason in words.
	Reason string
	// Failed says that it was told before, and not done.
	Failed bool
}

// Act tells an act for the audit. It never fails.
func (t *Tree) Act(e Act, _ time.Time) (Effects, error) {
	entry := AuditEntry{Kind: e.Kind, AllocationID: e.AllocationID, Title: t.Title, Reason: head(e.Reason), Changes: []string{"promise " + headOf(e.Promise, MaxAuditName)}, Failed: e.Failed}
	var fx Effects
	if m := t.view().members[e.AllocationID]; m != nil {
		fx.audit(entry, m.instance, m.partition)
		return fx, nil
	}
	fx.Audit = []AuditEntry{entry}
	return fx, nil
}
