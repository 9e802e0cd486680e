package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// gatherColours is the least pause between two looks of one watch: a storm of changes is one look.
const gatherColours = 100 * time.Millisecond

// turning is what a watch of colours knows of each thing that it watches: what was sent, and when time alone turns it.
type turning[M proto.Message] struct {
	sent map[string]M
	next map[string]time.Time
}

func newTurning[M proto.Message]() *turning[M] {
	return &turning[M]{sent: map[string]M{}, next: map[string]time.Time{}}
}

// news tells whether something has to be sent, and notes when it is to be looked at again.
func (k *turning[M]) news(name string, now M, gone bool, next time.Time) bool {
	before, known := k.sent[name]
	delete(k.next, name)
	if gone {
		delete(k.sent, name)
		return known
	}
	k.sent[name] = now
	if !next.IsZero() {
		k.next[name] = next
	}
	return !known || !proto.Equal(before, now)
}

// due takes what turns by now.
func (k *turning[M]) due(now time.Time) (names []string) {
	for name, next := range k.next {
		if !next.After(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// wait is how long until the next turning: just after it, since until then the colour is what it was.
func (k *turning[M]) wait(now time.Time) time.Duration {
	const idle = time.Hour
	wait := idle
	for _, next := range k.next {
		wait = min(wait, next.Sub(now)+time.Millisecond)
	}
	return max(wait, gatherColours)
}

// watchColours looks at what news names and at what turns by itself, until ctx or the stream ends. look gets the names to look at, nil = all.
func (a *API) watchColours(ctx context.Context, interest redisstore.Interest, look func(names []string) error, named func(redisstore.News) (names []string, all bool), until func(time.Time) time.Duration, due func(time.Time) []string) error {
	box := a.Store.Subscribe(interest) // before the first look, so that no change is missed
	defer func() { box.Close() }()
	if err := look(nil); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(until(time.Now()))
		var names []string
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			names = due(time.Now())
		case <-box.Ready():
			if err := wait.For(ctx, gatherColours); err != nil {
				return err
			}
			news, alive := box.Take()
			of, all := named(news)
			if all || !alive {
				if !alive {
					box = a.Store.Subscribe(interest)
				}
				if err := look(nil); err != nil {
					return err
				}
				continue
			}
			names = append(of, due(time.Now())...)
		}
		slices.Sort(names)
		if names = slices.Compact(names); len(names) == 0 {
			continue
		}
		if err := look(names); err != nil {
			return err
		}
	}
}

// WatchComputerColours streams the colours of computers as they turn.
func (a *API) WatchComputerColours(ctx context.Context, _ *masterv1.WatchComputerColoursRequest, stream *connect.ServerStream[masterv1.WatchComputerColoursResponse]) error {
	known := newTurning[*typev1.ColourStatus]()
	look := func(names []string) error {
		if names == nil {
			all, err := a.Store.ComputerNames(ctx)
			if err != nil {
				return err
			}
			names = union(all, known.sent)
		}
		computers, err := a.Store.Computers(ctx, names)
		if err != nil {
			return err
		}
		found := map[string]*redisstore.Computer{}
		for _, c := range computers {
			found[c.Name] = c
		}
		now := time.Now()
		for _, name := range names {
			message := &masterv1.WatchComputerColoursResponse{Computer: name}
			var shown *typev1.ColourStatus
			var next time.Time
			if c := found[name]; c != nil {
				s := fleet.ComputerColour(c.Contact, now, a.Started)
				message.Colour, message.LastContact = colour(s), wellknown.Timestamp(c.Contact)
				s.Reason = "" // it tells the age, which is no change of colour
				shown, next = colour(s), fleet.ComputerTurns(c.Contact, now, a.Started)
			}
			if known.news(name, shown, message.GetColour() == nil, next) {
				if err := send(ctx, stream, message); err != nil {
					return err
				}
			}
		}
		return nil
	}
	named := func(n redisstore.News) ([]string, bool) { return n.Computers, false }
	return coded(a.watchColours(ctx, redisstore.Interest{Computers: true}, look, named, known.wait, known.due))
}

func union[M any](names []string, more map[string]M) []string {
	names = append(slices.Clone(names), slices.Collect(maps.Keys(more))...)
	slices.Sort(names)
	return slices.Compact(names)
}

// WatchTreeColours streams the colours of trees and of their instances as they turn.
func (a *API) WatchTreeColours(ctx context.Context, req *masterv1.WatchTreeColoursRequest, stream *connect.ServerStream[masterv1.WatchTreeColoursResponse]) error {
	known := newTurning[*masterv1.WatchTreeColoursResponse]()
	one := fleet.TreeID(req.GetTreeId())
	look := func(names []string) error {
		switch {
		case names == nil && one != "":
			names = []string{one}
		case names == nil:
			all, err := a.Store.Trees(ctx)
			if err != nil {
				return err
			}
			names = union(all, known.sent)
		}
		for _, id := range names {
			var message *masterv1.WatchTreeColoursResponse
			var next time.Time
			err := a.Store.View(ctx, id, func(t *fleet.Tree, now time.Time) error {
				if !t.Gone() {
					message, next = a.colours(t, now), t.Turns(now, a.Started)
				}
				return nil
			})
			if err != nil && !isNotFound(err) {
				return err
			}
			if message == nil && one != "" && known.sent[id] == nil {
				return &redisstore.NotFoundError{Kind: "tree", Name: req.GetTreeId()}
			}
			if known.news(id, message, message == nil, next) {
				if message == nil {
					message = &masterv1.WatchTreeColoursResponse{TreeId: id}
				}
				if err := send(ctx, stream, message); err != nil {
					return err
				}
			}
		}
		return nil
	}
	interest := redisstore.Interest{Entries: func(e *masterv1.FeedEntry) bool {
		return (one == "" || e.GetTreeId() == one) && e.GetKind() != masterv1.FeedEntryKind_FEED_ENTRY_KIND_BEGUN
	}}
	named := func(n redisstore.News) (names []string, all bool) {
		for _, e := range n.Entries {
			names = append(names, e.GetTreeId())
		}
		return names, len(n.Rescan) > 0
	}
	return coded(a.watchColours(ctx, interest, look, named, known.wait, known.due))
}

// colours is what a tree shows of colours.
func (a *API) colours(t *fleet.Tree, now time.Time) *masterv1.WatchTreeColoursResponse {
	out := &masterv1.WatchTreeColoursResponse{TreeId: t.ID, Title: t.Title, Colour: colour(t.TreeColour(now, a.Started))}
	for _, i := range t.Sorted() {
		if i.State != fleet.Started {
			continue
		}
		shown := &masterv1.InstanceColour{InstanceId: i.ID, Title: i.Title, Colour: colour(t.PartitionColour(i.ID, now, a.Started))}
		if p := t.Partitions[i.ID]; p != nil {
			shown.Computer, shown.Partition, shown.Settled = p.Computer, p.Name, !p.Settled.Less(t.Wanted(p))
			if p.Latest != nil {
				shown.Error = p.Latest.Error
			}
		} else if i.Shared {
			shown.Settled, _ = t.Ready(i)
		} else {
			_, reason := t.Ready(i)
			shown.Colour = colour(fleet.Status{Colour: fleet.Red, Reason: reason, Since: i.RequestedAt})
		}
		out.Instances = append(out.Instances, shown)
	}
	return out
}
