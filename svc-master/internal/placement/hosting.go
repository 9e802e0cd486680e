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

// take takes the first one; what changes from here on adds it again.
func (h *hostings) take() (one fleet.Hosting, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return one, false
	}
	one, h.queue = h.queue[0], h.queue[1:]
	delete(h.wants, one)
	return one, true
}

// KeepHosted brings the two sides of shared instances together whenever one changed, until ctx ends.
func (p *Placer) KeepHosted(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.hostings.news:
		}
		for ctx.Err() == nil {
			one, ok := p.hostings.take()
			if !ok {
				break
			}
			p.warn(ctx, "cannot bring a shared instance and its host together yet", p.bringTogether(ctx, one))
		}
	}
}

// bringTogether tells the host what is wanted, and the shared instance what its host says. It reads both sides anew, and does nothing where nothing differs.
func (p *Placer) bringTogether(ctx context.Context, h fleet.Hosting) error {
	var wanted fleet.Host
	wants := false
	err := p.store.View(ctx, fleet.TreeID(h.SharedID), func(t *fleet.Tree, _ time.Time) error {
		wanted, wants = t.Wants(h)
		return nil
	})
	if err != nil && !refused(err) {
		return err
	}
	if !wants {
		return p.unhost(ctx, h)
	}
	said, err := decided[fleet.HostAnswer](ctx, p, h.HostID, wanted)
	if refused(err) {
		_, err = decided[fleet.SharedAnswer](ctx, p, h.SharedID, fleet.HostLost{SharedID: h.SharedID, HostID: h.HostID, Reason: lost(err)})
		return ignoreRefused(err)
	}
	if err != nil {
		return err
	}
	_, err = decided[fleet.SharedAnswer](ctx, p, h.SharedID, fleet.HostSaid{
		SharedID: h.SharedID, HostID: h.HostID, Word: said.Word, Connection: said.Connection, Delay: said.Delay,
	})
	return ignoreRefused(err)
}

// lost is why a host does not host, in words.
func lost(err error) string {
	if core := new(fleet.Error); errors.As(err, &core) {
		return core.Message
	}
	return "the tree of its host is gone"
}

func (p *Placer) unhost(ctx context.Context, h fleet.Hosting) error {
	done, err := decided[fleet.UnhostAnswer](ctx, p, h.HostID, fleet.Unhost{SharedID: h.SharedID, HostID: h.HostID})
	if err == nil && done.Changed && done.Computer != "" {
		p.store.ComputerChanged(ctx, done.Computer) // another shared instance may wait for its room
	}
	return ignoreRefused(err)
}

// decided lets an event happen in the tree of an instance, and carries out what follows.
func decided[A any](ctx context.Context, p *Placer, instanceID string, e fleet.Event) (answer A, err error) {
	done, err := p.store.Update(ctx, redisstore.Change{
		Tree: fleet.TreeID(instanceID), By: redisstore.System(fleet.SystemHosting),
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			a, effects, err := t.Step(e, now)
			answer, _ = a.(A)
			return nil, effects, err
		},
	})
	if err != nil {
		return answer, err
	}
	return answer, p.Settle(ctx, done.Effects)
}

// placeShared finds a host for a shared instance, or stores exactly why there is none.
func (p *Placer) placeShared(ctx context.Context, wanted fleet.HostRequest, seen *round) error {
	host, reason, err := p.chooseHost(ctx, wanted, seen)
	if err != nil {
		return err
	}
	if reason != "" {
		_, err = decided[fleet.UnallocatedAnswer](ctx, p, wanted.SharedID, fleet.Unallocated{InstanceID: wanted.SharedID, Reason: reason})
		return ignoreRefused(err)
	}
	if _, err = decided[fleet.SharedAnswer](ctx, p, wanted.SharedID, fleet.TakeHost{SharedID: wanted.SharedID, HostID: host.ID}); err != nil {
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

// hosts are the instances of a release and type that hold a partition, of all trees. Few computers have the release of a host: the trees on them are looked at.
func (p *Placer) hosts(ctx context.Context, wanted fleet.HostRequest, seen *round) ([]fleet.HostView, error) {
	key := [2]string{wanted.Release, wanted.Type}
	if found, ok := seen.hosts[key]; ok {
		return found, nil
	}
	computers, err := p.candidates(ctx, "", seen)
	if err != nil {
		return nil, err
	}
	views, trees := map[string]fleet.ComputerView{}, map[string]bool{}
	for _, c := range computers {
		if c.Software[wanted.Release] == nil {
			continue
		}
		views[c.Name] = viewOf(c, wanted.Release)
		for _, treeID := range c.Trees() {
			trees[treeID] = true
		}
	}
	found := []fleet.HostView{}
	for _, treeID := range slices.Sorted(maps.Keys(trees)) {
		err := p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			found = append(found, t.Hosts(wanted.Release, wanted.Type, views)...)
			return nil
		})
		if err != nil && !refused(err) {
			return nil, err
		}
	}
	if seen.hosts == nil {
		seen.hosts = map[[2]string][]fleet.HostView{}
	}
	seen.hosts[key] = found
	return found, nil
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
