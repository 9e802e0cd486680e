package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/svc-promise/internal/history"
)

// Criminals reads the records of promises that commit a crime; of all allocations when allocation is empty. What was not sensed for CrimeForgotten is
// dropped from the index.
func (s *Store) Criminals(ctx context.Context, allocation string, now time.Time) ([]*Promise, error) {
	old := strconv.FormatInt(now.Add(-CrimeForgotten).UnixMilli(), 10)
	pipe := s.redis.Redis().Pipeline()
	var lists []*redis.StringSliceCmd
	for shard := range crimeShards {
		key := crimesOf(shard)
		pipe.ZRemRangeByScore(ctx, key, "-inf", "("+old)
		lists = append(lists, pipe.ZRangeByScore(ctx, key, &redis.ZRangeBy{Min: old, Max: "+inf", Count: MaxCrimes / crimeShards}))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("cannot list monitoring crimes: %w", err)
	}
	var wanted []Wanted
	for _, list := range lists {
		for _, member := range list.Val() {
			if a, promise, ok := strings.Cut(member, "/"); ok && (allocation == "" || a == allocation) {
				wanted = append(wanted, Wanted{Key: Key{a, promise}})
			}
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	loaded, err := s.Load(ctx, wanted)
	if err != nil {
		return nil, err
	}
	criminals := loaded[:0]
	for _, p := range loaded {
		if len(history.Crimes(p.Record)) > 0 {
			criminals = append(criminals, p)
		}
	}
	return criminals, nil
}
