package redisstore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-master/fleet"
)

// hosts is which trees have instances of a release and type in partitions, where a shared instance looks for its host, and which have shared instances or host some. It is a hint, read from every tree once, when somebody asks for the
// first time, and kept from then on: by each commit of this process before it is answered, and by the feed for those of others. Who chooses looks at the trees
// that it names, so that one too many costs a look, and one too few is found when its entry of the feed has come (docs/decisions, 76).
type hosts struct {
	mu    sync.Mutex // never held while anything waits
	asked bool
	// whole is closed when every tree was seen.
	whole chan struct{}
	trees map[fleet.HostKey]map[string]bool
	keys  map[string][]fleet.HostKey // by tree
	// sharing are the trees with shared instances, or hosts of such.
	sharing map[string]bool
}

func newHosts() *hosts {
	return &hosts{whole: make(chan struct{}), trees: map[fleet.HostKey]map[string]bool{}, keys: map[string][]fleet.HostKey{}, sharing: map[string]bool{}}
}

// see takes over all that a tree has now, nil = nothing; gained tells whether it has something that it had not.
func (h *hosts) see(treeID string, t *fleet.Tree) (gained bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.asked {
		return false
	}
	var now []fleet.HostKey
	if delete(h.sharing, treeID); t != nil {
		now = t.HostKeys()
		if t.Shares() {
			h.sharing[treeID] = true
		}
	}
	for _, key := range h.keys[treeID] {
		if slices.Contains(now, key) {
			continue
		}
		if delete(h.trees[key], treeID); len(h.trees[key]) == 0 {
			delete(h.trees, key)
		}
	}
	delete(h.keys, treeID)
	for _, key := range now {
		gained = h.add(treeID, key) || gained
	}
	return gained
}

// note takes over what a commit changed: a tree of thousands is not gone through for each of its changes. What it has no more is found by who looks for it.
func (h *hosts) note(treeID string, t *fleet.Tree, changed []string) {
	if len(changed) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.asked {
		return
	}
	for _, id := range changed {
		i := t.Instances[id]
		if i == nil {
			continue
		}
		if key, can := t.HostKey(i); can && !h.trees[key][treeID] {
			h.add(treeID, key)
		}
		if i.Shared || len(t.Hosted) > 0 {
			h.sharing[treeID] = true
		}
	}
}

// add is under the lock.
func (h *hosts) add(treeID string, key fleet.HostKey) (gained bool) {
	if h.trees[key] == nil {
		h.trees[key] = map[string]bool{}
	}
	gained = !h.trees[key][treeID]
	h.trees[key][treeID] = true
	h.keys[treeID] = append(h.keys[treeID], key)
	return gained
}

// ask tells whether this is the first time.
func (h *hosts) ask() (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, h.asked = !h.asked, true
	return first
}

// Hosts lists the instances of a key that hold a partition, by tree. The first call reads all trees, further ones those that may have one.
// Errors: *UnavailableError, also when all trees are not read by the end of ctx.
func (s *Store) Hosts(ctx context.Context, key fleet.HostKey) ([]fleet.HostView, error) {
	if err := s.hostsRead(ctx); err != nil {
		return nil, err
	}
	s.hosts.mu.Lock()
	trees := slices.Sorted(maps.Keys(s.hosts.trees[key]))
	s.hosts.mu.Unlock()
	all := []fleet.HostView{}
	for _, treeID := range trees {
		var of []fleet.HostView
		err := s.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			if of = t.Hosts(key); len(of) == 0 {
				s.hosts.see(treeID, t)
			}
			return nil
		})
		switch {
		case isNotFound(err):
			s.hosts.see(treeID, nil)
		case err != nil:
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// SharingTrees lists the trees that have shared instances, or host some, by id; it may name one that did until now. Errors as of Hosts.
func (s *Store) SharingTrees(ctx context.Context) ([]string, error) {
	if err := s.hostsRead(ctx); err != nil {
		return nil, err
	}
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	return slices.Sorted(maps.Keys(s.hosts.sharing)), nil
}

// hostsRead waits until all trees were read.
func (s *Store) hostsRead(ctx context.Context) error {
	if s.hosts.ask() {
		if !s.trees.alongside(func() { s.keepHosts(s.stopping) }) {
			return &UnavailableError{What: "cannot look for hosts: the service stops"}
		}
	}
	select {
	case <-s.hosts.whole:
		return nil
	case <-ctx.Done():
		return &UnavailableError{"cannot look for hosts: not all trees are read yet", ctx.Err()}
	case <-s.stopping.Done():
		return &UnavailableError{What: "cannot look for hosts: the service stops"}
	}
}

// keepHosts sees what other processes commit, after it has seen all trees.
func (s *Store) keepHosts(ctx context.Context) {
	for ctx.Err() == nil {
		box := s.Subscribe(Interest{Name: "hosts", Entries: func(e *masterv1.FeedEntry) bool { return e.GetKind() == masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED }})
		if err := s.followHosts(ctx, box); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "cannot keep the index of hosts; it is read anew", "error", err)
			_ = wait.For(ctx, retryPause) // the loop looks
		}
		box.Close()
	}
}

func (s *Store) followHosts(ctx context.Context, box *Mailbox) error {
	all, err := s.Trees(ctx)
	if err != nil {
		return err
	}
	if err := s.seeHosts(ctx, all); err != nil {
		return err
	}
	select {
	case <-s.hosts.whole:
	default:
		close(s.hosts.whole)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-box.Ready():
		}
		news, alive := box.Take()
		if !alive {
			return ErrCut
		}
		changed := map[string]bool{}
		for _, e := range news.Entries {
			changed[e.GetTreeId()] = !s.cache.has(e.GetTreeId(), e.GetGeneration())
		}
		if len(news.Rescan) > 0 {
			all, err := s.Trees(ctx)
			if err != nil {
				return err
			}
			for _, treeID := range all {
				changed[treeID] = changed[treeID] || slices.Contains(news.Rescan, ShardOf(treeID))
			}
		}
		maps.DeleteFunc(changed, func(_ string, is bool) bool { return !is })
		if err := s.seeHosts(ctx, slices.Sorted(maps.Keys(changed))); err != nil {
			return err
		}
	}
}

// seeHosts reads trees; those that were not in memory as they are stored are seen on the way.
func (s *Store) seeHosts(ctx context.Context, trees []string) error {
	for _, treeID := range trees {
		gained := ""
		err := s.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			if s.hosts.see(treeID, t) {
				for _, p := range t.Partitions {
					gained = p.Computer
				}
			}
			return nil
		})
		switch {
		case isNotFound(err):
			s.hosts.see(treeID, nil)
		case err != nil:
			return err
		case gained != "":
			s.hub.computerChanged(gained) // what waits for a host here is tried again
		}
	}
	return nil
}
