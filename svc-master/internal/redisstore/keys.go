package redisstore

import (
	"fmt"
	"strings"

	"github.com/vow-os/vow/kit/backoff"
)

// Shards is the number of slots that trees are spread over. It is fixed for ever: stored trees are found by it.
const Shards = 64

// ShardOf is the shard of a tree.
func ShardOf(treeID string) int { return backoff.Shard(treeID, Shards) }

// TreeOf is the id of the tree that an id belongs to: instance, allocation, bang and convergence ids begin with it.
func TreeOf(id string) string {
	tree, _, _ := strings.Cut(id, ".")
	return tree
}

// shardKeys are the keys of one shard, all of one slot.
type shardKeys struct {
	tag, feed, meta, trees, unsettled, unallocated, audit string
}

// shardTable holds the keys of all shards: they are looked up thousands of times a second.
var shardTable = makeShardTable()

func makeShardTable() (table [Shards]shardKeys) {
	for shard := range table {
		table[shard] = makeShardKeys(shard)
	}
	return table
}

func keysOfShard(shard int) shardKeys { return shardTable[shard] }

func makeShardKeys(shard int) shardKeys {
	tag := fmt.Sprintf("{s%02d}", shard)
	return shardKeys{
		tag: tag, feed: tag + "feed", meta: tag + "meta", trees: tag + "trees",
		unsettled: tag + "unsettled", unallocated: tag + "unallocated", audit: tag + "audit",
	}
}

// treeKeys are the keys of one tree, of its shard's slot.
type treeKeys struct {
	shardKeys
	tree, bangs, convergences, answers0, answers1, audited string
}

func keysOfTree(treeID string) treeKeys {
	keys := keysOfShard(ShardOf(treeID))
	base := keys.tag + "t:" + treeID
	return treeKeys{
		shardKeys: keys,
		tree:      base, bangs: base + ":bangs", convergences: base + ":convs",
		answers0: base + ":rid0", answers1: base + ":rid1", audited: base + ":audit",
	}
}

// script lists the keys in the order of lua/commit.lua.
func (k treeKeys) script() []string {
	return []string{k.tree, k.bangs, k.convergences, k.answers0, k.answers1, k.feed, k.meta, k.trees, k.unsettled, k.unallocated, k.audit, k.audited}
}

// fieldVersion counts the changes of a tree or a computer, from 1.
const fieldVersion = "version"

// Fields of a shard's meta hash.
const (
	fieldEpoch    = "epoch"
	fieldSequence = "seq"
	fieldFloor    = "floor"
)

// computerAudit is the stream of a computer's audit entries; auditedKey the set of the names of all computers that have one, for lists.
func computerAudit(name string) string { return computerKey(name) + "audit" }

const auditedKey = "{computers}audited"

func computerKey(name string) string { return "{c:" + name + "}" }

// computersKey is the set of the names of all computers, for lists; computersFeed is a bounded stream of the names of
// computers that changed, a hint for watchers in other processes. Neither is on a hot path.
const (
	computersKey  = "{computers}names"
	computersFeed = "{computers}changed"
)

func rootKey(account, title string) string { return "{i:" + account + ":" + title + "}" }
