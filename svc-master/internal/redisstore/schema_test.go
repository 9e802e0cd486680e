package redisstore

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
)

// What version 1 wrote into a shard's feed, an item for each entry, is read by version 2 among its own items of many; a follower goes on from any entry, also
// from one in the middle of an item.
func TestAFeedOfSchema1IsReadOn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const tree = "tschema"
		shard := ShardOf(tree)
		keys := keysOfShard(shard)
		if err := s.client.HSet(t.Context(), "{schema}versions", "svc-master", 1).Err(); err != nil {
			t.Fatal(err)
		}
		plant(t, s, tree)
		const old = 3
		for range old { // as version 1 did
			sequence := s.client.HIncrBy(t.Context(), keys.meta, fieldSequence, 1).Val()
			value, err := encode(feedRecord(&fleet.FeedEntry{Kind: fleet.FeedChanged, TreeID: tree}))
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%d-%d", s.Epoch(tree), sequence)
			if err := s.client.Do(t.Context(), "XADD", keys.feed, id, "e", value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		backup := filepath.Join(t.TempDir(), "backup")
		if _, err := s.redis.Backup(t.Context(), backup, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 { // an upgrade may run again
			if err := s.redis.Use(t.Context(), Schema()); err != nil {
				t.Fatal(err)
			}
		}
		if versions, err := s.redis.Schemas(t.Context()); err != nil || versions["svc-master"] != 2 {
			t.Fatalf("the store has %v, %v, want schema 2", versions, err)
		}

		const many = 2*entriesOfAnItem + 50
		change(t, s, Change{Tree: tree, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			fx := fleet.Effects{Changed: fleet.Changed{Header: true}}
			for range many {
				fx.Feed = append(fx.Feed, fleet.FeedEntry{Kind: fleet.FeedChanged, TreeID: t.ID, At: now})
			}
			return nil, fx, nil
		}})
		_, start, _ := follow(t, s)
		begun := start[shard]
		begun.Sequence = 0
		all, _, rescan := follow(t, s, begun)
		if len(rescan) != 0 {
			t.Fatalf("the start of the feed must be read anew: %v", rescan)
		}
		const total = 2 + old + many
		entries, _ := collect(t, all, total)
		for n, e := range entries {
			if e.GetPosition().GetSequence() != uint64(n+1) || e.GetTreeId() != tree {
				t.Fatalf("entry %d is %v", n+1, e)
			}
		}
		for _, place := range []int{2, 2 + old, 2 + old + 1, 2 + old + entriesOfAnItem - 1, 2 + old + entriesOfAnItem, total - 1} {
			resumed, _, rescan := follow(t, begin(t, s.redis, Limits{}), entries[place-1].GetPosition())
			if len(rescan) != 0 {
				t.Fatalf("entry %d must be read anew: %v", place, rescan)
			}
			rest, _ := collect(t, resumed, total-place)
			if first := rest[0].GetPosition().GetSequence(); first != uint64(place+1) || len(rest) != total-place {
				t.Errorf("after entry %d come %d from %d", place, len(rest), first)
			}
		}

		restored := storetest.Embedded(t)
		if _, err := restored.Restore(t.Context(), backup, nil); err != nil {
			t.Fatal(err)
		}
		if err := restored.Use(t.Context(), Schema()); err != nil {
			t.Fatal(err)
		}
		change(t, begin(t, restored, Limits{}), bangUnder(tree, "after", nil))
	})
}
