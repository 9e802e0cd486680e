package follow

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// member is where an instance of a tree is.
type member struct {
	computer, partition, allocation, instance string
}

type tree struct {
	membership uint64
	members    []member
}

// members caches who is where, by tree.
type members struct {
	trees map[string]tree
}

// Limits, each with its reason.
const (
	// maxTrees bounds the cache: 10,000 trees of ten members are 10 MB. Beyond it, all are forgotten and read anew when needed.
	maxTrees = 10000
	// treesPerReading is what ListAllocations takes.
	treesPerReading = 100
)

// stale lists the trees of a batch whose membership is not the cached one.
func (m *members) stale(entries []Entry) []string {
	var stale []string
	for _, e := range entries {
		if e.Kind != Changed && e.Kind != Bang {
			continue
		}
		if cached, ok := m.trees[e.Tree]; (!ok || cached.membership < e.Membership) && !slices.Contains(stale, e.Tree) {
			stale = append(stale, e.Tree)
		}
	}
	return stale
}

// refresh reads trees and adds what the owners of their computers should take over to the delivery.
func (f *Follower) refresh(ctx context.Context, stale []string, d *delivery) error {
	for len(stale) > 0 {
		part := stale[:min(len(stale), treesPerReading)]
		stale = stale[len(part):]
		asked := time.Now()
		placed, err := f.master.Trees(ctx, part)
		if errors.Is(err, ErrUnknownTree) && len(part) > 1 {
			// One of them is gone: ask one by one which.
			for _, id := range part {
				if err := f.refresh(ctx, []string{id}, d); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil && !errors.Is(err, ErrUnknownTree) {
			return err
		}
		byTree := map[string][]owner.Placed{}
		for _, p := range placed {
			byTree[p.TreeID] = append(byTree[p.TreeID], p)
		}
		for _, id := range part {
			f.learn(id, byTree[id], asked, d)
		}
	}
	return nil
}

// learn replaces what is cached of a tree and adds what concerns computers here to the delivery.
func (f *Follower) learn(id string, placed []owner.Placed, asked time.Time, d *delivery) {
	now := tree{}
	lists := map[string][]agenda.Allocation{}
	for _, computer := range f.owners.With(id) {
		lists[computer] = nil // has something of it, perhaps no longer
	}
	for _, p := range placed {
		now.membership = max(now.membership, p.Membership)
		now.members = append(now.members, member{p.Computer, p.Partition, p.AllocationID, p.InstanceID})
		lists[p.Computer] = append(lists[p.Computer], p.Allocation)
	}
	if len(f.members.trees) >= maxTrees {
		clear(f.members.trees)
	}
	if len(placed) > 0 {
		f.members.trees[id] = now
	} else {
		delete(f.members.trees, id)
	}
	for _, computer := range slices.Sorted(maps.Keys(lists)) {
		list := lists[computer]
		d.add(computer, agenda.Allocations{List: list, Scope: agenda.OfTree, Tree: id, Asked: asked})
	}
}
