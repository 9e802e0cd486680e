package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/internal/window"
)

// defaultRange is what History shows when it is not asked for a begin.
const defaultRange = 24 * time.Hour

// stored maps an error of the store.
func stored(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisstore.ErrNotMuted):
		return rpc.NotFound(err)
	case errors.Is(err, redisstore.ErrTooManyMutes):
		return rpc.ResourceExhausted(err, 0)
	case store.IsUnavailable(err):
		return rpc.Unavailable(err)
	}
	return rpc.Internal(err)
}

// ListPromises of an allocation, by name; those that were not sensed for long are left out.
func (p *Promise) ListPromises(ctx context.Context, request *promisev1.ListPromisesRequest) (*promisev1.ListPromisesResponse, error) {
	now := time.Now()
	all, err := p.store.Promises(ctx, request.GetAllocationId(), now.Add(-window.Silence))
	if err != nil {
		return nil, stored(err)
	}
	response := &promisev1.ListPromisesResponse{}
	for _, one := range all {
		if one.Record.GetVerdict() != nil { // else its hash has expired
			response.Promises = append(response.Promises, statusOf(one, p.mutes.Of(one.Allocation, one.Promise, now)))
		}
	}
	slices.SortFunc(response.Promises, func(a, b *promisev1.PromiseStatus) int {
		return cmp.Compare(a.GetVerdict().GetPromise(), b.GetVerdict().GetPromise())
	})
	return response, nil
}

// History of a promise.
func (p *Promise) History(ctx context.Context, request *promisev1.HistoryRequest) (*promisev1.HistoryResponse, error) {
	now := time.Now()
	until := now
	if request.GetUntil() != nil {
		until = request.GetUntil().AsTime()
	}
	from := until.Add(-defaultRange)
	if request.GetFrom() != nil {
		from = request.GetFrom().AsTime()
	}
	if from.After(until) {
		return nil, rpc.InvalidArgument(fmt.Errorf("cannot show the history of promise %q: from %s is after until %s", request.GetPromise(), from.Format(time.RFC3339), until.Format(time.RFC3339)))
	}
	one, err := p.store.History(ctx, redisstore.Key{Allocation: request.GetAllocationId(), Promise: request.GetPromise()})
	if err != nil {
		return nil, stored(err)
	}
	if one == nil {
		return nil, rpc.NotFound(fmt.Errorf("cannot show the history of promise %q: nothing was heard of it in allocation %s", request.GetPromise(), request.GetAllocationId()))
	}
	response := &promisev1.HistoryResponse{
		Points: one.Points(from, until, now), Days: one.Days(from, until),
		Status: statusOf(one, p.mutes.Of(one.Allocation, one.Promise, now)),
	}
	for _, m := range one.Record.GetMessages() {
		response.Messages = append(response.Messages, &promisev1.HistoryMessage{At: m.GetAt(), Failed: m.GetFailed(), Message: m.GetMessage()})
	}
	return response, nil
}

// ListCrimes of promises.
func (p *Promise) ListCrimes(ctx context.Context, request *promisev1.ListCrimesRequest) (*promisev1.ListCrimesResponse, error) {
	criminals, err := p.store.Criminals(ctx, request.GetAllocationId(), time.Now())
	if err != nil {
		return nil, stored(err)
	}
	response := &promisev1.ListCrimesResponse{}
	for _, one := range criminals {
		for _, c := range history.Crimes(one.Record) {
			c.AllocationId, c.Promise = one.Allocation, one.Promise
			if of := request.GetSoftwareRelease(); of != "" && c.GetSoftwareRelease() != of {
				continue
			}
			response.Crimes = append(response.Crimes, c)
		}
	}
	slices.SortFunc(response.Crimes, func(a, b *promisev1.PromiseCrime) int {
		return cmp.Or(cmp.Compare(a.GetAllocationId(), b.GetAllocationId()), cmp.Compare(a.GetPromise(), b.GetPromise()), cmp.Compare(a.GetCrime(), b.GetCrime()))
	})
	response.Releases = history.ReleaseCrimes(response.GetCrimes())
	return response, nil
}
