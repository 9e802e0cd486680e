package mute

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
)

const (
	// PollEvery is how often a replica asks whether another one muted something.
	PollEvery = 5 * time.Second
	// Longest is how far a mute's date may be: what is muted for longer is not a promise.
	Longest = 366 * 24 * time.Hour
	// kept is how long a mute that is over stays in the store.
	kept = 30 * 24 * time.Hour
)

// known is what is muted: by allocation, then promise. It is never changed, but replaced.
type known struct {
	all     map[string]map[string]*typev1.Mute
	changed chan struct{} // closed when it is replaced
}

// Registry is the mutes.
type Registry struct {
	store *redisstore.Store
	known atomic.Pointer[known]

	mu      sync.Mutex // held while the store is read: readings replace what is known in their order
	version string

	telling sync.Mutex // guards who is told; held for a few instructions only
	told    map[*func()]struct{}
}

// New knows no mutes yet.
func New(s *redisstore.Store) *Registry {
	r := &Registry{store: s, told: map[*func()]struct{}{}}
	r.known.Store(&known{changed: make(chan struct{})})
	return r
}

// Of is the mute of a promise in force; nil = none.
func (r *Registry) Of(allocation, promise string, now time.Time) *typev1.Mute {
	if m := r.known.Load().all[allocation][promise]; m != nil && now.Before(m.GetUntil().AsTime()) {
		return m
	}
	return nil
}

// Kept tells whether there is a mute of a promise, also one that is over.
func (r *Registry) Kept(allocation, promise string) bool {
	return r.known.Load().all[allocation][promise] != nil
}

// Allocation is the mutes of an allocation in force, by name.
func (r *Registry) Allocation(allocation string, now time.Time) []*promisev1.PromiseMute {
	var mutes []*promisev1.PromiseMute
	for promise, m := range r.known.Load().all[allocation] {
		if now.Before(m.GetUntil().AsTime()) {
			mutes = append(mutes, &promisev1.PromiseMute{Promise: promise, Mute: m})
		}
	}
	slices.SortFunc(mutes, func(a, b *promisev1.PromiseMute) int { return cmp.Compare(a.GetPromise(), b.GetPromise()) })
	return mutes
}

// Changed is closed when other mutes are known than now.
func (r *Registry) Changed() <-chan struct{} { return r.known.Load().changed }

// Tell calls f, which must not wait, whenever other mutes are known than before, until the returned function is called.
func (r *Registry) Tell(f func()) (silence func()) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.told[&f] = struct{}{}
	return func() {
		r.telling.Lock()
		defer r.telling.Unlock()
		delete(r.told, &f)
	}
}

// All is the mutes in force, by allocation and promise.
func (r *Registry) All(now time.Time) []*promisev1.MuteAct {
	var all []*promisev1.MuteAct
	for allocation, of := range r.known.Load().all {
		for promise, m := range of {
			if now.Before(m.GetUntil().AsTime()) {
				all = append(all, &promisev1.MuteAct{AllocationId: allocation, Promise: promise, Mute: m})
			}
		}
	}
	slices.SortFunc(all, func(a, b *promisev1.MuteAct) int {
		return cmp.Or(cmp.Compare(a.GetAllocationId(), b.GetAllocationId()), cmp.Compare(a.GetPromise(), b.GetPromise()))
	})
	return all
}

// Mute mutes a promise.
func (r *Registry) Mute(ctx context.Context, allocation, promise string, m *typev1.Mute, now time.Time) (*typev1.Mute, error) {
	m.At = timestamppb.New(now)
	var over []redisstore.Key
	for a, of := range r.known.Load().all {
		for p, one := range of {
			if now.Sub(one.GetUntil().AsTime()) > kept {
				over = append(over, redisstore.Key{Allocation: a, Promise: p})
			}
		}
	}
	if err := r.store.Mute(ctx, &storev1.PromiseMuteRecord{AllocationId: allocation, Promise: promise, Mute: m}, over); err != nil {
		return nil, fmt.Errorf("cannot mute promise %q of %s: %w", promise, allocation, err)
	}
	return m, r.Refresh(ctx)
}

// Unmute ends a mute.
func (r *Registry) Unmute(ctx context.Context, allocation, promise, by, reason string, now time.Time) error {
	act := &storev1.PromiseMuteRecord{AllocationId: allocation, Promise: promise, Mute: &typev1.Mute{By: by, Reason: reason, At: timestamppb.New(now)}}
	if err := r.store.Unmute(ctx, act); err != nil {
		return fmt.Errorf("cannot unmute promise %q of %s: %w", promise, allocation, err)
	}
	return r.Refresh(ctx)
}

// Acts is who muted and unmuted what, newest first.
func (r *Registry) Acts(ctx context.Context) ([]*promisev1.MuteAct, error) {
	records, err := r.store.Acts(ctx)
	if err != nil {
		return nil, err
	}
	acts := make([]*promisev1.MuteAct, len(records))
	for i, a := range records {
		acts[i] = &promisev1.MuteAct{AllocationId: a.GetAllocationId(), Promise: a.GetPromise(), Mute: a.GetMute()}
	}
	return acts, nil
}

// Refresh reads the mutes if they changed.
func (r *Registry) Refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	version, err := r.store.MutesVersion(ctx)
	if err != nil || version == r.version {
		return err
	}
	records, version, err := r.store.Mutes(ctx)
	if err != nil {
		return err
	}
	now := &known{all: map[string]map[string]*typev1.Mute{}, changed: make(chan struct{})}
	for _, m := range records {
		of := now.all[m.GetAllocationId()]
		if of == nil {
			of = map[string]*typev1.Mute{}
			now.all[m.GetAllocationId()] = of
		}
		of[m.GetPromise()] = m.GetMute()
	}
	r.version = version
	close(r.known.Swap(now).changed)
	r.telling.Lock()
	defer r.telling.Unlock()
	for f := range r.told {
		(*f)()
	}
	return nil
}

// Run refreshes until ctx ends.
func (r *Registry) Run(ctx context.Context, t *telemetry.Telemetry) error {
	ctx = telemetry.NewRootContext(ctx)
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	for away := false; ; {
		err := r.Refresh(ctx)
		if err != nil && !away && ctx.Err() == nil {
			t.Log.WarnContext(ctx, "mutes wait for the store; the last known hold", "error", err)
		}
		away = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
