package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// Limits of mutes: each is an act of a person.
const (
	MaxMutes = 10_000
	MaxActs  = 1000
	// maxPruned is how many old mutes one act removes.
	maxPruned = 100
)

const (
	mutesKey     = "{mutes}"
	actsKey      = "{mutes}acts"
	versionField = "#version"
)

// What keeps a mute from being made or ended.
var (
	ErrTooManyMutes = errors.New("cannot mute more promises")
	ErrNotMuted     = errors.New("it is not muted")
)

// MutesVersion changes whenever a mute is made or ended; empty = there never was one.
func (s *Store) MutesVersion(ctx context.Context) (string, error) {
	version, err := s.redis.Redis().HGet(ctx, mutesKey, versionField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("cannot read the mutes: %w", err)
	}
	return version, nil
}

// Mutes reads all mutes, those that are over too, and their version.
func (s *Store) Mutes(ctx context.Context) (mutes []*storev1.PromiseMuteRecord, version string, err error) {
	fields, err := s.redis.Redis().HGetAll(ctx, mutesKey).Result()
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the mutes: %w", err)
	}
	for name, value := range fields {
		if name == versionField {
			version = value
			continue
		}
		m := &storev1.PromiseMuteRecord{}
		if err := proto.Unmarshal([]byte(value), m); err != nil {
			return nil, "", fmt.Errorf("cannot read the mute of %s: %w", name, err)
		}
		mutes = append(mutes, m)
	}
	return mutes, version, nil
}

// Mute makes a mute and removes some that are over; ErrTooManyMutes.
func (s *Store) Mute(ctx context.Context, m *storev1.PromiseMuteRecord, over []Key) error {
	return s.act(ctx, m, true, over)
}

// Unmute ends a mute; ErrNotMuted.
func (s *Store) Unmute(ctx context.Context, act *storev1.PromiseMuteRecord) error {
	return s.act(ctx, act, false, nil)
}

func (s *Store) act(ctx context.Context, m *storev1.PromiseMuteRecord, mutes bool, over []Key) error {
	record, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot mute promise %q: %w", m.GetPromise(), err)
	}
	var mute any = ""
	if mutes {
		mute = record
	}
	args := []any{Key{m.GetAllocationId(), m.GetPromise()}.member(), mute, record, MaxMutes, MaxActs}
	for _, k := range over[:min(len(over), maxPruned)] {
		args = append(args, k.member())
	}
	switch n, err := s.redis.Run(ctx, s.mute, []string{mutesKey, actsKey}, args...).Int(); {
	case err != nil:
		return fmt.Errorf("cannot mute or unmute promise %q: %w", m.GetPromise(), err)
	case n == 0:
		return ErrNotMuted
	case n < 0:
		return ErrTooManyMutes
	}
	return nil
}

// Acts reads who muted and unmuted what, newest first.
func (s *Store) Acts(ctx context.Context) ([]*storev1.PromiseMuteRecord, error) {
	values, err := s.redis.Redis().LRange(ctx, actsKey, 0, MaxActs-1).Result()
	if err != nil {
		return nil, fmt.Errorf("cannot read who muted what: %w", err)
	}
	acts := make([]*storev1.PromiseMuteRecord, 0, len(values))
	for _, value := range values {
		m := &storev1.PromiseMuteRecord{}
		if err := proto.Unmarshal([]byte(value), m); err != nil {
			return nil, fmt.Errorf("cannot read who muted what: %w", err)
		}
		acts = append(acts, m)
	}
	return acts, nil
}
