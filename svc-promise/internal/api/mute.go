package api

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	m, err := p.mutes.Mute(ctx, request.GetAllocationId(), request.GetPromise(), &typev1.Mute{Until: request.GetUntil(), Reason: request.GetReason(), By: request.GetBy()}, now)
	if err != nil {
		return nil, stored(err)
	}
	p.telemetry.Log.InfoContext(ctx, "a promise was muted", "allocation", request.GetAllocationId(), "promise", request.GetPromise(), "until", until, "by", request.GetBy(), "reason", request.GetReason())
	return &promisev1.MutePromiseResponse{Mute: m}, nil
}

// UnmutePromise ends a mute.
func (p *Promise) UnmutePromise(ctx context.Context, request *promisev1.UnmutePromiseRequest) (*promisev1.UnmutePromiseResponse, error) {
	if err := p.mutes.Unmute(ctx, request.GetAllocationId(), request.GetPromise(), request.GetBy(), request.GetReason(), time.Now()); err != nil {
		return nil, stored(err)
	}
	p.telemetry.Log.InfoContext(ctx, "a promise was unmuted", "allocation", request.GetAllocationId(), "promise", request.GetPromise(), "by", request.GetBy(), "reason", request.GetReason())
	return &promisev1.UnmutePromiseResponse{}, nil
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
