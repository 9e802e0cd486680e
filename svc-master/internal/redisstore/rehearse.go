package redisstore

import (
	"context"
	"fmt"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Rehearse lets decide do what it likes to a copy of a tree as it is stored now; nothing is written, whatever it does. With an account, a tree that is not
// stored, or of which nothing is left, is an empty one. Errors: *NotFoundError, *UnavailableError, those of decide.
func (s *Store) Rehearse(ctx context.Context, treeID, account string, decide func(t *fleet.Tree, now time.Time) error) error {
	at, err := s.load(ctx, treeID) // not the cached copy: that one is of what will be committed
	if err != nil {
		return &UnavailableError{fmt.Sprintf("cannot read tree %q", treeID), err}
	}
	if account != "" && (at.tree == nil || at.tree.Gone()) {
		at.tree = fleet.New(treeID, account, at.epoch)
	}
	if at.tree == nil {
		return &NotFoundError{"tree", treeID}
	}
	return decide(at.tree, time.Now().UTC().Round(0))
}

// AuditEntries are what the audit would tell of effects; who and when is not known.
func AuditEntries(t *fleet.Tree, e *fleet.Effects) []*masterv1.AuditEntry {
	out := make([]*masterv1.AuditEntry, 0, len(e.Audit))
	for i := range e.Audit {
		out = append(out, auditEntry(t, &e.Audit[i]))
	}
	return out
}
