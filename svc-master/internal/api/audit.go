package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/wellknown"
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

// keptActs is how many acts a computer remembers: a service tells one again within seconds, or never.
const keptActs = 32

// RecordAct writes down what another service is about to do for somebody.
func (a *API) RecordAct(ctx context.Context, req *masterv1.RecordActRequest) (*masterv1.RecordActResponse, error) {
	by := redisstore.Actor{Kind: masterv1.AuditActor_AUDIT_ACTOR_CALLER, Name: req.GetBy(), Address: req.GetAddress(), TraceID: traceID(trail.TraceOf(ctx))}
	ofPromise := req.GetKind() == masterv1.AuditKind_AUDIT_KIND_PROMISE_MUTED || req.GetKind() == masterv1.AuditKind_AUDIT_KIND_PROMISE_UNMUTED
	if ofPromise != (req.GetAllocationId() != "") {
		return nil, rpc.InvalidArgument(fmt.Errorf("cannot record act %q: kind: %s is not of what target names", req.GetActId(), req.GetKind()))
	}
	var err error
	if ofPromise {
		_, err = a.Store.Update(ctx, redisstore.Change{
			Tree: fleet.TreeID(req.GetAllocationId()), Key: "act:" + req.GetActId(), By: by,
			Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
				fx, err := t.Act(fleet.Act{
					Kind: fleet.AuditKind(req.GetKind()), AllocationID: req.GetAllocationId(), Promise: req.GetPromise(), Reason: req.GetReason(), Failed: req.GetFailed(),
				}, now)
				return &masterv1.RecordActResponse{}, fx, err
			},
			Recall: func([]byte) error { return nil },
		})
		err = renamed(err, "allocation", req.GetAllocationId())
	} else {
		err = a.recordComputerAct(ctx, by, req)
	}
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.RecordActResponse{}, nil
}

func (a *API) recordComputerAct(ctx context.Context, by redisstore.Actor, req *masterv1.RecordActRequest) error {
	_, err := a.changeKnown(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		if slices.Contains(c.Record.GetActs(), req.GetActId()) {
			return nil
		}
		acts := append(c.Record.GetActs(), req.GetActId())
		c.Record.Acts = acts[max(0, len(acts)-keptActs):]
		entry := &masterv1.AuditEntry{Kind: req.GetKind(), Reason: req.GetReason()}
		if req.GetFailed() {
			entry.Outcome = redisstore.ActFailed
		}
		c.Audit(by, entry)
		c.Unannounced()
		return nil
	})
	return err
}

// ListAudit reads a page.
func (a *API) ListAudit(ctx context.Context, req *masterv1.ListAuditRequest) (*masterv1.ListAuditResponse, error) {
	entries, next, err := a.Store.Audit(ctx, redisstore.AuditQuery{
		Tree: fleet.TreeID(req.GetTreeId()), Computer: req.GetComputer(), By: req.GetBy(), Account: req.GetAccount(), Kinds: req.GetKinds(),
		Since: wellknown.Time(req.GetSince()), Until: wellknown.Time(req.GetUntil()), Size: pageSize(req.GetPageSize(), 100), After: req.GetPageToken(),
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.ListAuditResponse{Entries: entries, NextPageToken: next}, nil
}
