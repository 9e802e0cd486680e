package live

import (
	"context"
	"strings"
	"sync"

	"github.com/vow-os/vow/console/internal/api"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
)

// Fleet is the topic of everything: any colour of a tree or a computer. Ids of convergences are topics too.
const Fleet = "fleet"

// Hub has the subscriptions.
type Hub struct {
	fleet *api.Fleet
	group *app.Group

	mu      sync.Mutex // never held while anything waits
	sources map[string]*source
}

// source is one topic that somebody looks at.
type source struct {
	cancel context.CancelFunc
	woken  map[*Subscription]struct{}
}

// Subscription is one who looks.
type Subscription struct {
	// C gets a value when what is shown may have changed; values that nobody took yet are one.
	C     chan struct{}
	of    string
	about string
	hub   *Hub
}

// New makes a hub, whose goroutines are of group.
func New(fleet *api.Fleet, group *app.Group) *Hub {
	return &Hub{fleet: fleet, group: group, sources: map[string]*source{}}
}

// Subscribe to a topic; about = only what concerns that tree or computer, empty = all of it. End it with Close.
func (h *Hub) Subscribe(topic, about string) *Subscription {
	s := &Subscription{C: make(chan struct{}, 1), of: topic, about: about, hub: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.sources[topic]
	if from == nil {
		ctx, cancel := context.WithCancel(context.Background())
		from = &source{cancel: cancel, woken: map[*Subscription]struct{}{}}
		h.sources[topic] = from
		for _, follow := range h.follow(topic) {
			h.group.Go("live "+strings.SplitN(topic, ".", 2)[0], func(stop context.Context) error {
				defer context.AfterFunc(stop, cancel)()
				h.keep(ctx, topic, follow)
				return nil
			})
		}
	}
	from.woken[s] = struct{}{}
	return s
}

// Close ends the subscription; the last one ends its source.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	from := s.hub.sources[s.of]
	delete(from.woken, s)
	if len(from.woken) == 0 {
		from.cancel()
		delete(s.hub.sources, s.of)
	}
}

// wake those who look at about of a topic; empty = all.
func (h *Hub) wake(topic, about string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.sources[topic]
	if from == nil {
		return
	}
	for s := range from.woken {
		if s.about != "" && about != "" && s.about != about {
			continue
		}
		select {
		case s.C <- struct{}{}:
		default: // it is woken already
		}
	}
}

// follower follows one stream until it ends, and calls heard for each message with the tree or computer concerned. True = it need not be opened again.
type follower func(ctx context.Context, heard func(about string)) (ended bool)

func (h *Hub) follow(topic string) []follower {
	if topic == Fleet {
		return []follower{h.trees, h.computers}
	}
	return []follower{func(ctx context.Context, heard func(string)) bool { return h.convergence(ctx, topic, heard) }}
}

// keep follows a stream until ctx ends.
func (h *Hub) keep(ctx context.Context, topic string, follow follower) {
	api.Keep(ctx, topic, func(ctx context.Context, heard func()) bool {
		return follow(ctx, func(about string) { heard(); h.wake(topic, about) })
	}, func() {
		h.fleet.Changed()
		h.wake(topic, "") // whatever was missed, or that the service is away
	})
}

func (h *Hub) trees(ctx context.Context, heard func(string)) bool {
	stream, err := h.fleet.Trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{})
	_ = api.Each(stream, err, func(m *masterv1.WatchTreeColoursResponse) {
		h.fleet.Changed()
		heard(m.GetTreeId())
	})
	return false
}

func (h *Hub) computers(ctx context.Context, heard func(string)) bool {
	stream, err := h.fleet.Computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
	_ = api.Each(stream, err, func(m *masterv1.WatchComputerColoursResponse) {
		h.fleet.Changed()
		heard(m.GetComputer())
	})
	return false
}

// convergence ends with it.
func (h *Hub) convergence(ctx context.Context, id string, heard func(string)) bool {
	closed := false
	stream, err := h.fleet.Convergences.WatchConvergence(ctx, &masterv1.WatchConvergenceRequest{Id: id})
	err = api.Each(stream, err, func(m *masterv1.WatchConvergenceResponse) {
		closed = m.GetConvergence().GetClosedAt() != nil
		heard("")
	})
	return closed || rpc.IsNotFound(err)
}
