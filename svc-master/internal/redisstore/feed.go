package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/store"
)

// feedField is the field of the last entry of an item of a shard's stream, whose id has its sequence; the entries before it are the fields 1, 2, …: how many
// entries come after each (schema 2; in schema 1 an item was one entry). An item has at most entriesOfAnItem, a number of lua/commit.lua.
const (
	feedField       = "e"
	entriesOfAnItem = 100
)

func entryField(after int) string {
	if after == 0 {
		return feedField
	}
	return strconv.Itoa(after)
}

const (
	// batch is how many entries a follower gets at once.
	batch = 500
	// itemsAtOnce is how many items of one shard are read at once.
	itemsAtOnce = 100
)

// decodeItem makes entries of an item of a shard's stream, in order.
func decodeItem(shard int, m redis.XMessage) ([]*masterv1.FeedEntry, error) {
	unreadable := func(err error) error {
		return fmt.Errorf("cannot decode item %s of shard %d's feed: %w", m.ID, shard, err)
	}
	epochText, lastText, _ := strings.Cut(m.ID, "-")
	epoch, epochErr := strconv.ParseUint(epochText, 10, 64)
	last, lastErr := strconv.ParseUint(lastText, 10, 64)
	if err := errors.Join(epochErr, lastErr); err != nil {
		return nil, unreadable(err)
	}
	entries := make([]*masterv1.FeedEntry, len(m.Values))
	for i := range entries {
		after := len(entries) - 1 - i
		value, ok := m.Values[entryField(after)].(string)
		if !ok || last < uint64(len(entries)) {
			return nil, unreadable(fmt.Errorf("entry %d of %d is not there", i+1, len(entries)))
		}
		record := &storev1.FeedRecord{}
		if err := decode(value, record); err != nil {
			return nil, unreadable(err)
		}
		if record.GetEntry() == nil {
			return nil, unreadable(errors.New("an entry is empty"))
		}
		entries[i] = record.GetEntry()
		entries[i].Position = &masterv1.Position{Shard: uint32(shard), Epoch: epoch, Sequence: last - uint64(after)}
	}
	return entries, nil
}

func decodeItems(shard int, items []redis.XMessage) ([]*masterv1.FeedEntry, error) {
	out := make([]*masterv1.FeedEntry, 0, len(items))
	for _, m := range items {
		entries, err := decodeItem(shard, m)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

// shardMeta is where a shard's feed stands.
type shardMeta struct{ epoch, sequence, floor uint64 }

func (s *Store) metas(ctx context.Context) (metas [Shards]shardMeta, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	var read [Shards]*redis.SliceCmd
	for shard := range Shards {
		read[shard] = pipe.HMGet(ctx, keysOfShard(shard).meta, fieldEpoch, fieldSequence, fieldFloor)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return metas, &UnavailableError{"cannot read the feed's positions", err}
	}
	for shard := range Shards {
		var numbers [3]uint64
		for i, v := range read[shard].Val() {
			if text, ok := v.(string); ok {
				if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
					return metas, fmt.Errorf("cannot decode the meta record of shard %d: %w", shard, err)
				}
			}
		}
		metas[shard] = shardMeta{numbers[0], numbers[1], numbers[2]}
	}
	return metas, nil
}

// beginFeed puts the hub at the end of each shard's feed.
func (s *Store) beginFeed(ctx context.Context) error {
	metas, err := s.metas(ctx)
	if err != nil {
		return err
	}
	var at [Shards]position
	for shard, m := range metas {
		at[shard] = position{m.epoch, m.sequence}
	}
	s.hub.begin(at)
	return nil
}

// keepReading reads the shards' feeds into the hub until ctx ends. Cancelling does not end a blocked XREAD: Stop closes its
// client.
func (s *Store) keepReading(ctx context.Context) error {
	_, cluster := s.client.(*redis.ClusterClient)
	embedded := s.redis.Kind() == store.Embedded
	computersAt := "$"
	if last, err := s.client.XRevRangeN(ctx, computersFeed, "+", "-", 1).Result(); err == nil {
		computersAt = "0-0"
		if len(last) > 0 {
			computersAt = last[0].ID
		}
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		var streams []redis.XStream
		var err error
		wait := gather
		switch {
		case cluster:
			streams, err = s.pollStreams(ctx, computersAt, nil)
			wait = poll
		case embedded:
			streams, err = s.pollWritten(ctx, computersAt)
		default:
			streams, err = s.readStreams(ctx, computersAt)
		}
		if err == nil {
			failures = 0
			computersAt, err = s.fanOut(streams, computersAt)
		}
		if err != nil && ctx.Err() == nil {
			failures++
			if failures == 1 {
				s.log.WarnContext(ctx, "cannot read the feed", "error", err)
			}
			wait = min(time.Duration(failures)*100*time.Millisecond, 2*time.Second)
		}
		pause.Reset(wait)
	}
}

// pollWritten waits for a write of this process and looks at what it wrote; what is more than one look takes, and what failed, is looked at again.
func (s *Store) pollWritten(ctx context.Context, computersAt string) ([]redis.XStream, error) {
	written := s.written.wait(ctx)
	streams, err := s.pollStreams(ctx, computersAt, written)
	if err != nil {
		s.written.again(written)
	}
	for _, stream := range streams {
		if len(stream.Messages) == itemsAtOnce {
			s.written.tell(stream.Stream)
		}
	}
	return streams, err
}

// readStreams waits for entries of all streams with one command.
func (s *Store) readStreams(ctx context.Context, computersAt string) ([]redis.XStream, error) {
	at := s.hub.reached()
	args := make([]string, 0, 2*(Shards+1))
	for shard := range Shards {
		args = append(args, keysOfShard(shard).feed)
	}
	args = append(args, computersFeed)
	for _, p := range at {
		args = append(args, fmt.Sprintf("%d-%d", p.epoch, p.sequence))
	}
	args = append(args, computersAt)
	streams, err := s.reading.XRead(ctx, &redis.XReadArgs{Streams: args, Count: itemsAtOnce, Block: block}).Result()
	if err == redis.Nil { //nolint:errorlint // go-redis returns it bare
		return nil, nil
	}
	return streams, err
}

// pollStreams looks at each stream with a command of its own: on a cluster they are on different nodes. With written, only
// at those.
func (s *Store) pollStreams(ctx context.Context, computersAt string, written map[string]bool) ([]redis.XStream, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	at := s.hub.reached()
	pipe := s.client.Pipeline()
	read := make([]*redis.XStreamSliceCmd, 0, Shards+1)
	look := func(stream, after string) {
		if written == nil || written[stream] {
			read = append(read, pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, after}, Count: itemsAtOnce, Block: -1}))
		}
	}
	for shard, p := range at {
		look(keysOfShard(shard).feed, fmt.Sprintf("%d-%d", p.epoch, p.sequence))
	}
	look(computersFeed, computersAt)
	_, _ = pipe.Exec(ctx) // each command has its own error; an empty stream is redis.Nil
	var out []redis.XStream
	for _, cmd := range read {
		streams, err := cmd.Result()
		if err == redis.Nil { //nolint:errorlint // go-redis returns it bare
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, streams...)
	}
	return out, nil
}

func (s *Store) fanOut(streams []redis.XStream, computersAt string) (string, error) {
	for _, stream := range streams {
		if stream.Stream == computersFeed {
			for _, m := range stream.Messages {
				computersAt = m.ID
				if name, _ := m.Values["c"].(string); name != "" {
					s.hub.computerChanged(name)
				}
			}
			continue
		}
		shard, err := strconv.Atoi(stream.Stream[2:4]) // {sNN}feed
		if err != nil {
			return computersAt, fmt.Errorf("cannot read stream %q: %w", stream.Stream, err)
		}
		entries, err := decodeItems(shard, stream.Messages)
		if err != nil {
			return computersAt, err
		}
		s.hub.entries(shard, entries)
	}
	return computersAt, nil
}
