package redisstore

import (
	"context"
	"errors"
	"fmt"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// ErrCut ends a follower that was too slow: it comes again with its last positions, or reads state.
var ErrCut = errors.New("cannot keep up: too many entries waited")

// Follower goes through the feed of all shards from given positions: first what is stored, then what comes.
type Follower struct {
	store *Store
	box   *Mailbox
	// backlog are the shards whose stored entries are still to be read, with the last sequence seen of each.
	backlog []int
	seen    [Shards]position
	until   [Shards]position
	stored  []*masterv1.FeedEntry // read of the first of them, and not given out yet
	pending News
}

// Follow begins at the given positions, one per shard; a shard that is not named begins at its end. It tells the start
// positions of all shards, and which shards must be read anew because their position is not in the feed.
func (s *Store) Follow(ctx context.Context, name string, from []*masterv1.Position) (f *Follower, start, rescan []*masterv1.Position, err error) {
	box, reached := s.hub.subscribe(Interest{Name: name, Entries: func(*masterv1.FeedEntry) bool { return true }}, s.limits.Mailbox)
	// The metas are read after the mailbox is open: what they cover and the hub has not reached will come to the mailbox.
	metas, err := s.metas(ctx)
	if err != nil {
		box.Close()
		return nil, nil, nil, err
	}
	f = &Follower{store: s, box: box, seen: reached, until: reached}
	for _, p := range from {
		shard := int(p.GetShard())
		meta, at := metas[shard], position{p.GetEpoch(), p.GetSequence()}
		switch {
		case at.epoch != meta.epoch, at.sequence < meta.floor, at.sequence > meta.sequence, reached[shard].epoch != meta.epoch:
			rescan = append(rescan, wirePosition(shard, reached[shard]))
		default:
			f.seen[shard] = at
			if at.sequence < reached[shard].sequence {
				f.backlog = append(f.backlog, shard)
			}
		}
	}
	for shard := range Shards {
		start = append(start, wirePosition(shard, f.seen[shard]))
	}
	return f, start, rescan, nil
}

// Close ends the follower.
func (f *Follower) Close() { f.box.Close() }

// Next waits for the next batch: at most 500 entries, in order within each shard, and shards to be read anew with the
// positions from which the feed goes on. Errors: ErrCut, those of ctx, *UnavailableError.
func (f *Follower) Next(ctx context.Context) (entries []*masterv1.FeedEntry, rescan []*masterv1.Position, err error) {
	for {
		if len(f.backlog) > 0 {
			entries, rescan, err = f.nextStored(ctx)
		} else {
			entries, rescan, err = f.nextLive(ctx)
		}
		if err != nil || len(entries) > 0 || len(rescan) > 0 {
			return entries, rescan, err
		}
	}
}

// nextStored reads the next entries of the first shard of the backlog.
func (f *Follower) nextStored(ctx context.Context) ([]*masterv1.FeedEntry, []*masterv1.Position, error) {
	shard := f.backlog[0]
	seen, until := f.seen[shard], f.until[shard]
	if len(f.stored) == 0 {
		ctx, cancel := f.store.bounded(ctx)
		defer cancel()
		items, err := f.store.client.XRangeN(ctx, keysOfShard(shard).feed,
			fmt.Sprintf("%d-%d", seen.epoch, seen.sequence+1), fmt.Sprintf("%d-%d", until.epoch, until.sequence), itemsAtOnce).Result()
		if err != nil {
			return nil, nil, &UnavailableError{"cannot read the feed", err}
		}
		if f.stored, err = decodeItems(shard, items); err != nil {
			return nil, nil, err
		}
	}
	var entries []*masterv1.FeedEntry
	for len(f.stored) > 0 && len(entries) < batch {
		e := f.stored[0]
		f.stored = f.stored[1:]
		sequence := e.GetPosition().GetSequence()
		if sequence <= seen.sequence {
			continue // of the item that it stopped in
		}
		if sequence != seen.sequence+1 {
			f.stored = nil // what comes before it is trimmed
			break
		}
		entries = append(entries, e)
		seen.sequence++
	}
	f.seen[shard] = seen
	switch {
	case seen.sequence == until.sequence:
		f.backlog, f.stored = f.backlog[1:], nil
	case len(entries) == 0:
		// Trimmed between the look at the floor and now.
		f.backlog, f.stored = f.backlog[1:], nil
		f.seen[shard] = until
		return nil, []*masterv1.Position{wirePosition(shard, until)}, nil
	}
	return entries, nil, nil
}

// nextLive waits for the mailbox.
func (f *Follower) nextLive(ctx context.Context) (entries []*masterv1.FeedEntry, rescan []*masterv1.Position, err error) {
	if len(f.pending.Entries) == 0 && len(f.pending.Rescan) == 0 {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-f.box.Ready():
		}
		var alive bool
		if f.pending, alive = f.box.Take(); !alive {
			return nil, nil, ErrCut
		}
	}
	for _, shard := range f.pending.Rescan {
		// The feed goes on from the hub's place; entries up to there are in the state that is read anew.
		at := f.store.hub.reached()[shard]
		f.seen[shard] = at
		rescan = append(rescan, wirePosition(shard, at))
	}
	f.pending.Rescan = nil
	n := min(len(f.pending.Entries), batch)
	for _, e := range f.pending.Entries[:n] {
		shard := int(e.GetPosition().GetShard())
		at := position{e.GetPosition().GetEpoch(), e.GetPosition().GetSequence()}
		// A follower that comes from another replica may be ahead of this one's hub.
		if at.epoch < f.seen[shard].epoch || at.epoch == f.seen[shard].epoch && at.sequence <= f.seen[shard].sequence {
			continue
		}
		f.seen[shard] = at
		entries = append(entries, e)
	}
	f.pending.Entries = f.pending.Entries[n:]
	return entries, rescan, nil
}

func wirePosition(shard int, p position) *masterv1.Position {
	return &masterv1.Position{Shard: uint32(shard), Epoch: p.epoch, Sequence: p.sequence}
}
