package redisstore

import (
	"container/list"
	"sync"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// aggregate is a tree in memory, as it was stored under a version and an epoch. It belongs to the one committer of its tree
// while that works; the cache keeps it in between.
type aggregate struct {
	known   bool        // false = not read yet
	tree    *fleet.Tree // nil = no such tree is stored
	version uint64
	epoch   uint64
	// satisfied are the newest satisfied bangs; never changed in place.
	satisfied []*storev1.SatisfiedRecord
}

// missing tells whether no such tree is stored nor about to be: one whose first event was refused is not.
func (a *aggregate) missing() bool {
	return a.tree == nil || a.version == 0 && a.tree.LastInstance == 0
}

// cache keeps the trees that were used last. It decides nothing: whoever takes a copy has its version checked.
type cache struct {
	bound int

	mu    sync.Mutex // never held while anything waits
	trees map[string]*list.Element
	order *list.List // of cached, the one used last in front
	epoch [Shards]uint64
}

type cached struct {
	id string
	at aggregate
}

func newCache(bound int) *cache {
	return &cache{bound: bound, trees: map[string]*list.Element{}, order: list.New()}
}

// take removes a tree from the cache and returns it; not known when it is not there.
func (c *cache) take(id string) aggregate {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.trees[id]
	if !ok {
		return aggregate{}
	}
	delete(c.trees, id)
	return c.order.Remove(e).(cached).at
}

// has tells whether a tree is kept as it was at a generation, or later.
func (c *cache) has(id string, g *typev1.Generation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.trees[id]
	if !ok {
		return false
	}
	at, _ := e.Value.(cached)
	return !at.at.tree.Generation.Less(fleet.Generation{Epoch: g.GetEpoch(), Number: g.GetNumber()})
}

// put keeps a tree; the one that was not used for longest goes when there are too many.
func (c *cache) put(id string, a aggregate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !a.known || a.tree == nil || a.epoch != c.epoch[ShardOf(id)] {
		return
	}
	if e, ok := c.trees[id]; ok {
		c.order.Remove(e)
	}
	c.trees[id] = c.order.PushFront(cached{id, a})
	if c.order.Len() > c.bound {
		last := c.order.Back()
		delete(c.trees, c.order.Remove(last).(cached).id)
	}
}

// epochMoved forgets the trees of a shard: what was stored under their versions may be lost and the versions given out again.
func (c *cache) epochMoved(shard int, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch[shard] = epoch
	for id, e := range c.trees {
		if ShardOf(id) == shard {
			delete(c.trees, id)
			c.order.Remove(e)
		}
	}
}
