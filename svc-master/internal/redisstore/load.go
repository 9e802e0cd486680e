package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
)

// load reads a tree and its shard's epoch. The epoch is read first: one that moves in between is found by the commit.
func (s *Store) load(ctx context.Context, treeID string) (aggregate, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	keys := keysOfTree(treeID)
	pipe := s.client.Pipeline()
	epoch := pipe.HGet(ctx, keys.meta, fieldEpoch)
	fields := pipe.HGetAll(ctx, keys.tree)
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := errors.Join(epoch.Err(), fields.Err()); err != nil {
		return aggregate{}, err
	}
	at := aggregate{known: true}
	var err error
	if at.epoch, err = strconv.ParseUint(epoch.Val(), 10, 64); err != nil {
		return aggregate{}, fmt.Errorf("cannot decode the epoch of tree %q: %w", treeID, err)
	}
	if len(fields.Val()) == 0 {
		return at, nil
	}
	if err := at.decode(treeID, fields.Val()); err != nil {
		return aggregate{}, fmt.Errorf("cannot decode tree %q: %w", treeID, err)
	}
	return at, nil
}

func (a *aggregate) decode(treeID string, fields map[string]string) error {
	t := &fleet.Tree{Instances: map[string]*fleet.Instance{}, Partitions: map[string]*fleet.Partition{}}
	moments := map[int]fleet.TimelineEntry{}
	for field, value := range fields {
		var err error
		switch {
		case field == fieldVersion:
			a.version, err = strconv.ParseUint(value, 10, 64)
		case field == fieldTree:
			r := &storev1.TreeRecord{}
			err = decode(value, r)
			t.Header, a.satisfied = headerOf(treeID, r), r.GetSatisfied()
		case field == fieldConvergence:
			r := &storev1.ConvergenceRecord{}
			err = decode(value, r)
			t.Convergence = convergenceOf(treeID, r)
		case strings.HasPrefix(field, fieldInstance):
			r := &storev1.InstanceRecord{}
			err = decode(value, r)
			t.Instances[r.GetInstanceId()] = instanceOf(r)
		case strings.HasPrefix(field, fieldPartition):
			r := &storev1.PartitionRecord{}
			err = decode(value, r)
			t.Partitions[r.GetInstanceId()] = partitionOf(r)
		case strings.HasPrefix(field, fieldHosted):
			r := &storev1.HostedRecord{}
			err = decode(value, r)
			if t.Hosted == nil {
				t.Hosted = map[string]*fleet.Hosted{}
			}
			t.Hosted[r.GetSharedId()] = hostedOf(r)
		case strings.HasPrefix(field, fieldMoment):
			r := &storev1.MomentRecord{}
			if err = decode(value, r); err == nil {
				var n int
				n, err = strconv.Atoi(field[len(fieldMoment):])
				moments[n] = momentOf(r)
			}
		}
		if err != nil {
			return fmt.Errorf("field %q: %w", field, err)
		}
	}
	if t.ID == "" {
		return errors.New("it has no header")
	}
	if t.Convergence != nil {
		for _, n := range slices.Sorted(maps.Keys(moments)) {
			t.Convergence.Timeline = append(t.Convergence.Timeline, moments[n])
		}
	}
	a.tree = t
	return nil
}

// Trees lists the ids of all trees, by shard and id.
func (s *Store) Trees(ctx context.Context) ([]string, error) {
	return s.union(ctx, func(k shardKeys) string { return k.trees })
}

// UnsettledTrees lists the ids of the trees with an allocation whose wanted generation is not settled, by shard and id.
func (s *Store) UnsettledTrees(ctx context.Context) ([]string, error) {
	return s.union(ctx, func(k shardKeys) string { return k.unsettled })
}

// UnallocatedInstances lists the ids of the instances that wait for a partition, by shard and id.
func (s *Store) UnallocatedInstances(ctx context.Context) ([]string, error) {
	return s.union(ctx, func(k shardKeys) string { return k.unallocated })
}

// union reads one set of each shard.
func (s *Store) union(ctx context.Context, key func(shardKeys) string) ([]string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	var read [Shards]*redis.StringSliceCmd
	for shard := range Shards {
		read[shard] = pipe.SMembers(ctx, key(keysOfShard(shard)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, &UnavailableError{"cannot list trees", err}
	}
	var out []string
	for _, cmd := range read {
		members := cmd.Val()
		slices.Sort(members)
		out = append(out, members...)
	}
	return out, nil
}

// Bang is a recorded bang, and when it was satisfied; zero = not yet, or it was withheld.
type Bang struct {
	*fleet.BangRecord
	SatisfiedAt time.Time
}

// Bangs reads the newest n records of a tree, newest first.
func (s *Store) Bangs(ctx context.Context, treeID string, n int) ([]Bang, error) {
	fields, err := s.hash(ctx, keysOfTree(treeID).bangs, treeID)
	if err != nil {
		return nil, err
	}
	at, err := s.load(ctx, treeID)
	if err != nil {
		return nil, &UnavailableError{fmt.Sprintf("cannot read tree %q", treeID), err}
	}
	var out []Bang
	for _, value := range fields {
		r := &storev1.BangRecord{}
		if err := decode(value, r); err != nil {
			return nil, fmt.Errorf("cannot decode a bang of tree %q: %w", treeID, err)
		}
		b := Bang{BangRecord: bangOf(treeID, r)}
		if b.Outcome.Wakes() {
			b.SatisfiedAt = at.satisfiedAt(b.Number)
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Bang) int { return -compare(a.Number, b.Number) })
	return out[:min(n, len(out))], nil
}

// Bang reads one record. Errors: *NotFoundError, *UnavailableError.
func (s *Store) Bang(ctx context.Context, bangID string) (*fleet.BangRecord, error) {
	treeID, r := TreeOf(bangID), &storev1.BangRecord{}
	if err := s.record(ctx, keysOfTree(treeID).bangs, "bang", bangID, r); err != nil {
		return nil, err
	}
	return bangOf(treeID, r), nil
}

// record reads what is kept in a hash of its tree under the number of its id.
func (s *Store) record(ctx context.Context, key, what, id string, into proto.Message) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	value, err := s.client.HGet(ctx, key, numberOf(id)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return &NotFoundError{what, id}
	case err != nil:
		return &UnavailableError{fmt.Sprintf("cannot read %s %q", what, id), err}
	}
	if err := decode(value, into); err != nil {
		return fmt.Errorf("cannot decode %s %q: %w", what, id, err)
	}
	return nil
}

// satisfiedAt is when the bang of a number was satisfied; zero = not yet, or more than maxSatisfied ranges ago.
func (a *aggregate) satisfiedAt(number uint64) time.Time {
	for _, r := range a.satisfied {
		if number >= r.GetFirst() && number <= r.GetLast() {
			return wellknown.Time(r.GetAt())
		}
	}
	return time.Time{}
}

// EndedConvergences reads the newest n ended convergences of a tree, newest first.
func (s *Store) EndedConvergences(ctx context.Context, treeID string, n int) ([]*fleet.Convergence, error) {
	fields, err := s.hash(ctx, keysOfTree(treeID).convergences, treeID)
	if err != nil {
		return nil, err
	}
	var out []*fleet.Convergence
	for _, value := range fields {
		r := &storev1.ConvergenceRecord{}
		if err := decode(value, r); err != nil {
			return nil, fmt.Errorf("cannot decode a convergence of tree %q: %w", treeID, err)
		}
		out = append(out, convergenceOf(treeID, r))
	}
	slices.SortFunc(out, func(a, b *fleet.Convergence) int { return -compare(a.Number, b.Number) })
	return out[:min(n, len(out))], nil
}

// EndedConvergence reads one ended convergence. Errors: *NotFoundError, *UnavailableError.
func (s *Store) EndedConvergence(ctx context.Context, id string) (*fleet.Convergence, error) {
	treeID, r := TreeOf(id), &storev1.ConvergenceRecord{}
	if err := s.record(ctx, keysOfTree(treeID).convergences, "convergence", id, r); err != nil {
		return nil, err
	}
	return convergenceOf(treeID, r), nil
}

func (s *Store) hash(ctx context.Context, key, treeID string) (map[string]string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	fields, err := s.client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, &UnavailableError{fmt.Sprintf("cannot read tree %q", treeID), err}
	}
	return fields, nil
}

// Purge deletes a tree of which nothing is left; its title must have been freed before. Idempotent.
func (s *Store) Purge(ctx context.Context, treeID string) error {
	at, err := s.load(ctx, treeID)
	if err == nil && (at.tree == nil || !at.tree.Gone()) {
		return nil
	}
	if err == nil {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		err = s.redis.Run(ctx, s.scripts.purge, keysOfTree(treeID).script(), at.version, treeID).Err()
	}
	if err != nil {
		return &UnavailableError{fmt.Sprintf("cannot delete tree %q", treeID), err}
	}
	return nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
