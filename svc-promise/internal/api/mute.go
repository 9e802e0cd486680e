package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-promise/internal/mute"
)

// MutePromise acknowledges a known-bad promise until a date.
func (p *Promise) MutePromise(ctx context.Context, request *promisev1.MutePromiseRequest) (*promisev1.MutePromiseResponse, error) {
	now, until := time.Now(), request.GetUntil().AsTime()
	if !until.After(now) || until.Sub(now) > mute.Longest {
		return nil, rpc.InvalidArgument(fmt.Errorf("cannot mute promise %q: until %s is past, or more than a year away", request.GetPromise(), until.Format(time.RFC3339)))
	}
	m := &typev1.Mute{Until: request.GetUntil(), Reason: request.GetReason(), By: request.GetBy()}
	err := p.acts.Do(ctx, &masterv1.RecordActRequest{
		Kind: masterv1.AuditKind_AUDIT_KIND_PROMISE_MUTED, Target: &masterv1.RecordActRequest_AllocationId{AllocationId: request.GetAllocationId()}, Promise: request.GetPromise(),
		Reason: "until " + until.UTC().Format(time.RFC3339) + ": " + request.GetReason(), By: request.GetBy(),
	}, func() (err error) {
		m, err = p.mutes.Mute(ctx, request.GetAllocationId(), request.GetPromise(), m, now)
		return stored(err)
	})
	if err != nil {
		return nil, named("mute", request.GetPromise(), err)
	}
	p.telemetry.Log.InfoContext(ctx, "a promise was muted", "allocation", request.GetAllocationId(), "promise", request.GetPromise(), "until", until, "by", request.GetBy(), "reason", request.GetReason())
	return &promisev1.MutePromiseResponse{Mute: m}, nil
}

// UnmutePromise ends a mute.
func (p *Promise) UnmutePromise(ctx context.Context, request *promisev1.UnmutePromiseRequest) (*promisev1.UnmutePromiseResponse, error) {
	unmute := func() error {
		return stored(p.mutes.Unmute(ctx, request.GetAllocationId(), request.GetPromise(), request.GetBy(), request.GetReason(), time.Now()))
	}
	if err := p.mutes.Refresh(ctx); err != nil {
		return nil, stored(err)
	}
	if !p.mutes.Kept(request.GetAllocationId(), request.GetPromise()) { // nothing is done: nothing is written down
		return &promisev1.UnmutePromiseResponse{}, unmute()
	}
	err := p.acts.Do(ctx, &masterv1.RecordActRequest{
		Kind: masterv1.AuditKind_AUDIT_KIND_PROMISE_UNMUTED, Target: &masterv1.RecordActRequest_AllocationId{AllocationId: request.GetAllocationId()}, Promise: request.GetPromise(),
		Reason: request.GetReason(), By: request.GetBy(),
	}, unmute)
	if rpc.IsNotFound(err) { // its tree is gone, and with it the audit that would be asked
		err = unmute()
	}
	if err != nil {
		return nil, named("unmute", request.GetPromise(), err)
	}
	p.telemetry.Log.InfoContext(ctx, "a promise was unmuted", "allocation", request.GetAllocationId(), "promise", request.GetPromise(), "by", request.GetBy(), "reason", request.GetReason())
	return &promisev1.UnmutePromiseResponse{}, nil
}

// named says what could not be done.
func named(what, promise string, err error) error {
	return rpc.Error(rpc.CodeOf(err), fmt.Errorf("cannot %s promise %q: %w", what, promise, err))
}

// ListMutes in force, and what was done.
func (p *Promise) ListMutes(ctx context.Context, request *promisev1.ListMutesRequest) (*promisev1.ListMutesResponse, error) {
	if err := p.mutes.Refresh(ctx); err != nil {
		return nil, stored(err)
	}
	acts, err := p.mutes.Acts(ctx)
	if err != nil {
		return nil, stored(err)
	}
	of := func(a *promisev1.MuteAct) bool {
		return request.GetAllocationId() != "" && a.GetAllocationId() != request.GetAllocationId()
	}
	return &promisev1.ListMutesResponse{Mutes: slices.DeleteFunc(p.mutes.All(time.Now()), of), Acts: slices.DeleteFunc(acts, of)}, nil
}
