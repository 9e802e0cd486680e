package api

import (
	"cmp"
	"context"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// caller is who calls, for the audit; said is what the request says of it, when nothing else does.
func caller(ctx context.Context, said string) redisstore.Actor {
	name, address := rpc.Caller(ctx)
	return redisstore.Actor{
		Kind: masterv1.AuditActor_AUDIT_ACTOR_CALLER, Name: cmp.Or(name, said), Address: address, TraceID: traceID(trail.TraceOf(ctx)),
	}
}

// runOf is a run of an instance; empty = the one that the entry is about.
func runOf(ctx context.Context, instanceID string) redisstore.Actor {
	return redisstore.Actor{Kind: masterv1.AuditActor_AUDIT_ACTOR_INSTANCE, Name: instanceID, TraceID: traceID(trail.TraceOf(ctx))}
}

// ListAudit reads a page.
func (a *API) ListAudit(ctx context.Context, req *masterv1.ListAuditRequest) (*masterv1.ListAuditResponse, error) {
	entries, next, err := a.Store.Audit(ctx, redisstore.AuditQuery{
		Tree: fleet.TreeID(req.GetTreeId()), Computer: req.GetComputer(), By: req.GetBy(), Account: req.GetAccount(), Kinds: req.GetKinds(),
		Since: timeOf(req.GetSince()), Until: timeOf(req.GetUntil()), Size: pageSize(req.GetPageSize(), 100), After: req.GetPageToken(),
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.ListAuditResponse{Entries: entries, NextPageToken: next}, nil
}
