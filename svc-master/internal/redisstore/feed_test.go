package redisstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
)

// collect reads n entries of a follower, and the shards that it was told to read anew before them.
func collect(t *testing.T, f *Follower, n int) (entries []*masterv1.FeedEntry, rescan []*masterv1.Position) {
	t.Helper()
	for len(entries) < n {
		e, r, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries, rescan = append(entries, e...), append(rescan, r...)
	}
	return entries, rescan
}

func follow(t *testing.T, s *Store, from ...*masterv1.Position) (f *Follower, start, rescan []*masterv1.Position) {
	t.Helper()
	f, start, rescan, err := s.Follow(t.Context(), "test", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, start, rescan
}

// A follower gets every entry of a shard once and in order: stored ones first, then live ones.
func TestFollowerGetsEachEntryInOrder(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const tree, bangs = "torder", 60
		shard := ShardOf(tree)
		plant(t, s, tree)
		_, start, _ := follow(t, s)
		begun := start[shard]
		begun.Sequence = 0
		live, _, rescan := follow(t, s, begun)
		if len(rescan) != 0 {
			t.Fatalf("the start of the feed must be read anew: %v", rescan)
		}
		for n := range bangs {
			change(t, s, bangUnder(tree, fmt.Sprint("k", n), nil))
		}
		entries, _ := collect(t, live, bangs+2) // request and allocation come first
		for n, e := range entries {
			if e.GetPosition().GetSequence() != uint64(n+1) || e.GetPosition().GetShard() != uint32(shard) {
				t.Fatalf("entry %d has the position %v", n, e.GetPosition())
			}
		}
		// From a place in the middle, on another replica, only what comes after it.
		other := begin(t, s.redis, Limits{})
		resumed, _, rescan := follow(t, other, entries[9].GetPosition())
		if len(rescan) != 0 {
			t.Fatalf("a known place must be read anew: %v", rescan)
		}
		rest, _ := collect(t, resumed, bangs-8)
		if rest[0].GetPosition().GetSequence() != 11 {
			t.Fatalf("it goes on with %v", rest[0].GetPosition())
		}
	})
}

// A position below the floor, beyond the end or of another epoch means reading the shard anew.
func TestLostPositionsAreToldToRescan(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		const tree = "tfloor"
		shard := uint32(ShardOf(tree))
		s := begin(t, redis, Limits{FeedEntries: 10})
		plant(t, s, tree)
		for n := range 40 {
			change(t, s, bangUnder(tree, fmt.Sprint("k", n), nil))
		}
		metas, err := s.metas(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m := metas[shard]
		if kept := m.sequence - m.floor; m.sequence != 42 || kept < 10 || kept > 12 {
			t.Fatalf("the feed keeps %d entries above the floor %d", kept, m.floor)
		}
		for name, at := range map[string]*masterv1.Position{
			"below the floor":  {Shard: shard, Epoch: m.epoch, Sequence: m.floor - 1},
			"beyond the end":   {Shard: shard, Epoch: m.epoch, Sequence: m.sequence + 1},
			"of another epoch": {Shard: shard, Epoch: m.epoch + 1, Sequence: m.sequence},
		} {
			_, _, rescan := follow(t, s, at)
			if len(rescan) != 1 || rescan[0].GetShard() != shard {
				t.Errorf("%s: rescan %v", name, rescan)
			}
		}
		for name, at := range map[string]*masterv1.Position{
			"at the floor": {Shard: shard, Epoch: m.epoch, Sequence: m.floor},
			"at the end":   {Shard: shard, Epoch: m.epoch, Sequence: m.sequence},
		} {
			if _, _, rescan := follow(t, s, at); len(rescan) != 0 {
				t.Errorf("%s: rescan %v", name, rescan)
			}
		}
	})
}

// A follower that is too slow is cut off and does not hold back others.
func TestSlowFollowerIsCut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		s := begin(t, redis, Limits{Mailbox: 5})
		plant(t, s, "tslow")
		slow, _, _ := follow(t, s)
		quick, _, _ := follow(t, s)
		for n := range 20 {
			change(t, s, bangUnder("tslow", fmt.Sprint("k", n), nil))
			collect(t, quick, 1)
		}
		if _, _, err := slow.Next(t.Context()); !errors.Is(err, ErrCut) {
			t.Fatalf("the slow follower got %v", err)
		}
	})
}

// When the server is another life than before, epochs move: followers read anew, trees begin a new epoch, and numbers
// of the old one lose against it.
func TestEpochMovesWithTheServer(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const tree = "tepoch"
		shard := ShardOf(tree)
		plant(t, s, tree)
		change(t, s, bangUnder(tree, "k1", nil))
		f, _, _ := follow(t, s)
		before := s.Epoch(tree)
		// As if the server had been restored: its identity is not the one that wrote last.
		if err := s.client.HSet(t.Context(), keysOfShard(shard).meta, "server", "another life").Err(); err != nil {
			t.Fatal(err)
		}
		s.epochs.doubt <- struct{}{}
		var rescan []*masterv1.Position
		for len(rescan) == 0 {
			var err error
			if _, rescan, err = f.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		after := rescan[0].GetEpoch()
		if rescan[0].GetShard() != uint32(shard) || after <= before {
			t.Fatalf("rescan %v, want shard %d in an epoch after %d", rescan, shard, before)
		}
		result := &masterv1.BangResult{}
		change(t, s, bangUnder(tree, "k2", result))
		if g := look(t, s, tree, generationOfTree); g.Epoch != after {
			t.Fatalf("the tree is at %v", g)
		}
		if result.GetBangId() == tree+".b2" {
			t.Fatal("a number that may have been given out before was given again")
		}
	})
}

// A backup that is older than the last move of the epoch gives out no epoch, and no id, that was given out since it was made.
func TestARestoredBackupGivesOutNothingThatWasGivenOutSince(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const tree = "tback"
		plant(t, s, tree)
		change(t, s, bangUnder(tree, "k1", nil))
		path := filepath.Join(t.TempDir(), "backup")
		if _, err := s.redis.Backup(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		given := map[string]bool{}
		for n := range 3 {
			if err := s.client.HSet(t.Context(), keysOfShard(ShardOf(tree)).meta, "server", fmt.Sprint("life", n)).Err(); err != nil {
				t.Fatal(err)
			}
			if err := s.checkEpochs(t.Context()); err != nil {
				t.Fatal(err)
			}
			result := &masterv1.BangResult{}
			change(t, s, bangUnder(tree, fmt.Sprint("since", n), result))
			given[result.GetBangId()] = true
		}
		last := look(t, s, tree, generationOfTree)

		redis := storetest.Embedded(t)
		for second := now(t, redis); now(t, redis) < second+3; { // lives of a server are seconds apart, these three were not
		}
		if _, err := redis.Restore(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		restored := begin(t, redis, Limits{})
		result := &masterv1.BangResult{}
		change(t, restored, bangUnder(tree, "after", result))
		if g := look(t, restored, tree, generationOfTree); g.Epoch <= last.Epoch || given[result.GetBangId()] {
			t.Errorf("generation %v after %v, bang %s after %v", g, last, result.GetBangId(), given)
		}
	})
}

// now is the store's clock in seconds.
func now(t *testing.T, s *store.Store) int64 {
	t.Helper()
	at, err := s.Redis().Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

// A restart of a durable server loses no acknowledged bang, and moves the epochs of all shards.
func TestKillOfRedisLosesNoAcknowledgedBang(t *testing.T) {
	server := storetest.StartRedis(t)
	s := begin(t, server.Open(t), Limits{})
	plant(t, s, "tkill")
	before := s.Epoch("tkill")
	acknowledged := make(chan string, 10_000)
	killed := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			key := fmt.Sprint("k", n)
			result := &masterv1.BangResult{}
			if _, err := s.Update(t.Context(), bangUnder("tkill", key, result)); err == nil {
				acknowledged <- result.GetBangId()
			}
			select {
			case <-killed:
				return
			default:
			}
			if n == 200 {
				close(killed)
				server.Kill9()
			}
		}
	}()
	<-done
	server.Restart()
	close(acknowledged)
	s = begin(t, server.Open(t), Limits{}) // the pool of the first one refuses to dial for a second
	bangs, err := s.Bangs(t.Context(), "tkill", 1000)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, b := range bangs {
		recorded[b.ID] = true
	}
	count := 0
	for id := range acknowledged {
		count++
		if !recorded[id] {
			t.Errorf("bang %s was acknowledged and is lost", id)
		}
	}
	if count < 200 {
		t.Fatalf("only %d bangs were acknowledged", count)
	}
	change(t, s, bangUnder("tkill", "after", nil))
	if after := look(t, s, "tkill", generationOfTree); after.Epoch <= before {
		t.Fatalf("the tree is at %v, want an epoch after %d", after, before)
	}
}

// One commit may write more entries than one look takes: the rest comes at once, not with the next write.
func TestManyEntriesOfOneCommitComeAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const many = 3*batch + 7
		plant(t, s, "tmany")
		f, _, _ := follow(t, s)
		change(t, s, Change{Tree: "tmany", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			fx := fleet.Effects{Changed: fleet.Changed{Header: true}}
			for range many {
				fx.Feed = append(fx.Feed, fleet.FeedEntry{Kind: fleet.FeedChanged, TreeID: t.ID, At: now})
			}
			return nil, fx, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), lookAnyway/2)
		defer cancel()
		for got := 0; got < many; {
			entries, _, err := f.Next(ctx)
			if err != nil {
				t.Fatalf("%d of %d entries came: %v", got, many, err)
			}
			got += len(entries)
		}
	})
}
