package redisstore

import (
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// What was read of the epoch before, and comes when all were told that it moved, is told to nobody, and takes the feed back to nowhere.
func TestEntriesOfTheEpochBeforeAreNotTold(t *testing.T) {
	const shard = 31
	entry := func(epoch, sequence uint64) *masterv1.FeedEntry {
		return &masterv1.FeedEntry{Position: &masterv1.Position{Shard: shard, Epoch: epoch, Sequence: sequence}}
	}
	h := newHub(func(limit string) { t.Errorf("limit %s", limit) })
	var at [Shards]position
	at[shard] = position{1, 2}
	h.begin(at)
	box, _ := h.subscribe(Interest{Entries: func(*masterv1.FeedEntry) bool { return true }}, 100)
	defer box.Close()

	h.epochMoved(shard, 2)
	h.entries(shard, []*masterv1.FeedEntry{entry(1, 3)})
	if news, _ := box.Take(); len(news.Rescan) != 1 || len(news.Entries) != 0 || h.reached()[shard] != (position{epoch: 2}) {
		t.Fatalf("told %v, the feed is at %v", &news, h.reached()[shard])
	}
	h.entries(shard, []*masterv1.FeedEntry{entry(1, 4), entry(2, 1), entry(2, 2)})
	if news, _ := box.Take(); len(news.Rescan) != 0 || len(news.Entries) != 2 || h.reached()[shard] != (position{2, 2}) {
		t.Fatalf("told %v, the feed is at %v", &news, h.reached()[shard])
	}
}
