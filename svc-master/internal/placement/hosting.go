package placement

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// hostings are shared instances of which the two sides have to be brought together (docs/shared.md): each once, in the order in which they came. What is
// beyond maxHostings, or in the memory of a process that dies, is found by the next sweep.
type hostings struct {
	mu    sync.Mutex // never held while anything waits
	wants map[fleet.Hosting]bool
	queue []fleet.Hosting
	news  chan struct{} // holds one when the queue is not empty
}

// maxHostings is room for all that twenty full hosts host.
const maxHostings = 10_000

func newHostings() *hostings {
	return &hostings{wants: map[fleet.Hosting]bool{}, news: make(chan struct{}, 1)}
}

func (h *hostings) add(all []fleet.Hosting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range all {
		if !h.wants[one] && len(h.queue) < maxHostings {
			h.wants[one] = true
			h.queue = append(h.queue, one)
		}
	}
	if len(h.queue) > 0 {
		select {
		case h.news <- struct{}{}:
		default:
		}
	}
}

// take takes the first ones, at most n; what changes from here on adds them again.
func (h *hostings) take(n int) []fleet.Hosting {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(h.queue))
	taken := h.queue[:n:n]
	h.queue = h.queue[n:]
	for _, one := range taken {
		delete(h.wants, one)
	}
	return taken
}

const (
	// hostingsAtOnce are brought together with one commit for each tree that they concern: as many as one host has.
	hostingsAtOnce = fleet.MaxHosted
	// hostingTrees is how many trees commit at a time for them: what sites of a frontend that turns take of the store, while others need it.
	hostingTrees = 8
)

// KeepHosted brings the two sides of shared instances together whenever one changed, until ctx ends.
func (p *Placer) KeepHosted(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.hostings.news:
		}
		for ctx.Err() == nil {
			all := p.hostings.take(hostingsAtOnce)
			if len(all) == 0 {
				break
			}
			p.warn(ctx, "cannot bring shared instances and their hosts together yet", p.bringTogether(ctx, all...))
		}
	}
}

// pair is a shared instance and its host, on their way.
type pair struct {
	fleet.Hosting
	// wanted of the host; false = it is not to host it.
	wanted fleet.Host
	wants  bool
	// said is what the host answered; refused, why it does not host it. Neither is known when its tree could not be asked.
	said    fleet.HostAnswer
	refused error
	asked   bool
}

// bringTogether tells hosts what is wanted, and shared instances what their hosts say: one commit for each tree on either side. It reads both sides anew, and does
// nothing where nothing differs. A tree that cannot be reached keeps the others from nothing.
func (p *Placer) bringTogether(ctx context.Context, all ...fleet.Hosting) error {
	pairs := make([]*pair, len(all))
	for n, h := range all {
		pairs[n] = &pair{Hosting: h}
	}
	seen := eachTree(pairs, func(p *pair) string { return p.SharedID }, func(treeID string, pairs []*pair) error {
		err := p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			for _, one := range pairs {
				one.wanted, one.wants = t.Wants(one.Hosting)
			}
			return nil
		})
		for _, one := range pairs {
			one.asked = err == nil || refused(err) // a tree that is gone wants nothing
		}
		return ignoreRefused(err)
	})
	told := eachTree(known(pairs), func(p *pair) string { return p.HostID }, func(treeID string, pairs []*pair) error {
		return p.tellHosts(ctx, treeID, pairs)
	})
	answered := slices.DeleteFunc(known(pairs), func(p *pair) bool { return !p.wants })
	heard := eachTree(answered, func(p *pair) string { return p.SharedID }, func(treeID string, pairs []*pair) error {
		events := make([]fleet.Event, len(pairs))
		for n, one := range pairs {
			if one.refused != nil {
				events[n] = fleet.HostLost{SharedID: one.SharedID, HostID: one.HostID, Reason: lost(one.refused)}
				continue
			}
			events[n] = fleet.HostSaid{SharedID: one.SharedID, HostID: one.HostID, Word: one.said.Word, Connection: one.said.Connection, Delay: one.said.Delay}
		}
		_, err := p.decided(ctx, treeID, events...)
		return ignoreRefused(err)
	})
	return errors.Join(seen, told, heard)
}

// known are the pairs that every tree so far could be asked about.
func known(pairs []*pair) []*pair {
	return slices.DeleteFunc(slices.Clone(pairs), func(p *pair) bool { return !p.asked })
}

// tellHosts tells the tree of hosts what is wanted of them.
func (p *Placer) tellHosts(ctx context.Context, treeID string, pairs []*pair) error {
	events := make([]fleet.Event, len(pairs))
	for n, one := range pairs {
		if events[n] = one.wanted; !one.wants {
			events[n] = fleet.Unhost{SharedID: one.SharedID, HostID: one.HostID}
		}
	}
	said, err := p.decided(ctx, treeID, events...)
	room := map[string]bool{}
	for n, one := range pairs {
		switch {
		case err != nil:
			one.refused, one.asked = err, refused(err)
			continue
		case said[n].err != nil:
			one.refused = said[n].err
		}
		switch answer := said[n].answer.(type) {
		case fleet.HostAnswer:
			one.said = answer
		case fleet.UnhostAnswer:
			room[answer.Computer] = answer.Changed
		}
	}
	for computer, is := range room {
		if is && computer != "" {
			p.store.ComputerChanged(ctx, computer) // another shared instance may wait for the room
		}
	}
	return ignoreRefused(err)
}

// eachTree calls do for each tree, hostingTrees of them at a time.
func eachTree(pairs []*pair, treeOf func(*pair) string, do func(treeID string, pairs []*pair) error) error {
	byTree := map[string][]*pair{}
	for _, one := range pairs {
		id := fleet.TreeID(treeOf(one))
		byTree[id] = append(byTree[id], one)
	}
	if len(byTree) == 1 { // placing one: no goroutine for it
		for id, pairs := range byTree {
			return do(id, pairs)
		}
	}
	var (
		working sync.WaitGroup
		mu      sync.Mutex
		errs    []error
	)
	free := make(chan struct{}, hostingTrees)
	for _, id := range slices.Sorted(maps.Keys(byTree)) {
		free <- struct{}{}
		working.Go(func() {
			defer func() { <-free }()
			if err := do(id, byTree[id]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// lost is why a host does not host, in words.
func lost(err error) string {
	if core := new(fleet.Error); errors.As(err, &core) {
		return core.Message
	}
	return "the tree of its host is gone"
}

// verdict is what the core said to one event of several.
type verdict struct {
	answer fleet.Answer
	err    error
}

// decided lets events happen in a tree, in one commit, and carries out what follows. What the core refuses of them keeps the others from nothing.
func (p *Placer) decided(ctx context.Context, treeID string, events ...fleet.Event) (said []verdict, err error) {
	done, err := p.store.Update(ctx, redisstore.Change{
		Tree: treeID, By: redisstore.System(fleet.SystemHosting),
		Decide: func(t *fleet.Tree, now time.Time) (_ proto.Message, all fleet.Effects, _ error) {
			said = make([]verdict, len(events))
			for n, e := range events {
				var fx fleet.Effects
				if said[n].answer, fx, said[n].err = t.Step(e, now); said[n].err == nil {
					all.Merge(fx)
				}
			}
			return nil, all, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return said, p.Settle(ctx, done.Effects)
}

// decidedOne lets one event happen.
func (p *Placer) decidedOne(ctx context.Context, instanceID string, e fleet.Event) error {
	said, err := p.decided(ctx, fleet.TreeID(instanceID), e)
	if err != nil {
		return err
	}
	return said[0].err
}

// placeShared finds a host for a shared instance, or stores exactly why there is none.
func (p *Placer) placeShared(ctx context.Context, wanted fleet.HostRequest, seen *round) error {
	host, reason, err := p.chooseHost(ctx, wanted, seen)
	if err != nil {
		return err
	}
	if reason != "" {
		return ignoreRefused(p.decidedOne(ctx, wanted.SharedID, fleet.Unallocated{InstanceID: wanted.SharedID, Reason: reason}))
	}
	if err = p.decidedOne(ctx, wanted.SharedID, fleet.TakeHost{SharedID: wanted.SharedID, HostID: host.ID}); err != nil {
		return ignoreRefused(err)
	}
	host.Hosts, host.Bytes = host.Hosts+1, host.Bytes+wanted.Bytes
	// Without waiting for its turn: whoever requested it is told of a host that has heard of it.
	return p.bringTogether(ctx, fleet.Hosting{SharedID: wanted.SharedID, HostID: host.ID})
}

// chooseHost chooses among the instances of the wanted release and type.
func (p *Placer) chooseHost(ctx context.Context, wanted fleet.HostRequest, seen *round) (host *fleet.HostView, reason string, err error) {
	hosts, err := p.hosts(ctx, wanted, seen)
	if err != nil {
		return nil, "", err
	}
	shown := wanted
	shown.Release = telemetry.Redacted(wanted.Release)
	host, reason = fleet.ChooseHost(shown, hosts)
	return host, reason, nil
}

// hosts are the instances that may host it, of all trees, with their computers.
func (p *Placer) hosts(ctx context.Context, wanted fleet.HostRequest, seen *round) ([]fleet.HostView, error) {
	key := wanted.Key()
	if found, ok := seen.hosts[key]; ok {
		return found, nil
	}
	all, err := p.store.Hosts(ctx, key)
	if err != nil {
		return nil, err
	}
	on := map[string]fleet.ComputerView{}
	for _, h := range all {
		on[h.Computer.Name] = fleet.ComputerView{}
	}
	computers, err := p.store.Computers(ctx, slices.Sorted(maps.Keys(on)))
	if err != nil {
		return nil, err
	}
	for _, c := range computers {
		on[c.Name] = viewOf(c, wanted.Release)
	}
	found := []fleet.HostView{}
	for _, h := range all {
		if h.Computer = on[h.Computer.Name]; h.Computer.Name != "" { // a computer that is gone takes its instances with it
			found = append(found, h)
		}
	}
	if seen.hosts == nil {
		seen.hosts = map[fleet.HostKey][]fleet.HostView{}
	}
	seen.hosts[key] = found
	return found, nil
}

// keepShared looks at each tree that has shared instances, or hosts some, for what a crash left undone between its two sides; hosts that turned with time alone tell it.
func (p *Placer) keepShared(ctx context.Context) error {
	trees, err := p.store.SharingTrees(ctx)
	if err != nil {
		return err
	}
	seen := &sides{wanted: map[fleet.Hosting]fleet.Seen{}, hosted: map[fleet.Hosting]fleet.Seen{}}
	for _, treeID := range trees {
		turned := false
		err := p.store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
			seen.see(t)
			turned = len(t.Misjudged(now)) > 0
			return nil
		})
		if err == nil && turned {
			_, err = p.decided(ctx, treeID, fleet.Judge{})
		}
		if err := ignoreRefused(err); err != nil {
			return err // a tree that was not seen differs from all
		}
	}
	p.hostings.add(seen.differ())
	return nil
}

// sides are what a sweep saw of shared instances: what their trees want, and what their hosts have.
type sides struct {
	wanted map[fleet.Hosting]fleet.Seen
	hosted map[fleet.Hosting]fleet.Seen
}

// see adds what a tree says, both as the tree of shared instances and as that of hosts.
func (s *sides) see(t *fleet.Tree) {
	maps.Copy(s.wanted, t.SeenShared())
	maps.Copy(s.hosted, t.SeenHosted())
}

// differ are those of which the two sides do not agree.
func (s *sides) differ() (all []fleet.Hosting) {
	for h, wanted := range s.wanted {
		if wanted != s.hosted[h] {
			all = append(all, h)
		}
	}
	for h := range s.hosted {
		if _, ok := s.wanted[h]; !ok {
			all = append(all, h)
		}
	}
	return all
}
