package census

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// Every is the pause between two walks: a convergence is abandoned within a minute of its 24 h, a gauge is a minute old at
// most. A walk reads one version per tree.
const Every = time.Minute

// Census walks.
type Census struct {
	store   *redisstore.Store
	trail   *trail.Trail
	log     *slog.Logger
	started time.Time
	last    atomic.Pointer[counts]
}

// partitionKey and counts are what a walk found.
type partitionKey struct{ colour, reason string }

type counts struct {
	partitions map[partitionKey]int64
	computers  map[string]int64
	// crimes are the monitoring crimes of runs.
	crimes []fleet.Crime
}

// crimeNames is how the metrics name them.
var crimeNames = map[fleet.CrimeKind]string{fleet.CrimeSleepless: conv.CrimeSleepless, fleet.CrimeLongRun: conv.CrimeLongRun}

// New makes a census; started is when the control plane did.
func New(store *redisstore.Store, t *trail.Trail, log *slog.Logger, started time.Time) *Census {
	return &Census{store: store, trail: t, log: log, started: started}
}

// Observe makes the gauges; unregister them at the end.
func (c *Census) Observe() []metric.Registration {
	meter := c.trail.Meter()
	return []metric.Registration{
		conv.PartitionCount.Observe(meter, func(_ context.Context, observe conv.Observer) {
			if last := c.last.Load(); last != nil {
				for k, n := range last.partitions {
					observe(n, conv.Colour.String(k.colour), conv.ColourReason.String(k.reason))
				}
			}
		}),
		conv.ComputerCount.Observe(meter, func(_ context.Context, observe conv.Observer) {
			if last := c.last.Load(); last != nil {
				for colour, n := range last.computers {
					observe(n, conv.Colour.String(colour))
				}
			}
		}),
		conv.CrimeCount.Observe(meter, func(_ context.Context, observe conv.Observer) {
			if last := c.last.Load(); last != nil {
				count := map[fleet.CrimeKind]int64{}
				for i := range last.crimes {
					count[last.crimes[i].Kind]++
				}
				for kind, name := range crimeNames {
					observe(count[kind], conv.CrimeName.String(name))
				}
			}
		}),
		conv.CrimeReleases.Observe(meter, func(_ context.Context, observe conv.Observer) {
			if last := c.last.Load(); last != nil {
				count := map[fleet.CrimeKind]int64{}
				for _, r := range fleet.ReleaseCrimes(last.crimes) {
					count[r.Kind]++
				}
				for kind, name := range crimeNames {
					observe(count[kind], conv.CrimeName.String(name))
				}
			}
		}),
		conv.FeedLag.Observe(meter, func(_ context.Context, observe conv.Observer) {
			c.store.FeedLags(func(follower string, entries int) { observe(int64(entries), conv.FeedFollower.String(follower)) })
		}),
	}
}

// Keep walks until ctx ends.
func (c *Census) Keep(ctx context.Context) error {
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		if err := c.walk(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "cannot count colours", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *Census) walk(ctx context.Context) error {
	found := &counts{partitions: map[partitionKey]int64{}, computers: map[string]int64{}}
	trees, err := c.store.Trees(ctx)
	if err != nil {
		return err
	}
	for _, treeID := range trees {
		if err := c.tree(ctx, treeID, found); err != nil {
			return err
		}
	}
	names, err := c.store.ComputerNames(ctx)
	if err != nil {
		return err
	}
	computers, err := c.store.Computers(ctx, names)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, computer := range computers {
		found.computers[fleet.ComputerColour(computer.Contact, now, c.started).Colour.String()]++
		if free := int64(len(computer.Slots) - len(computer.Reservations)); free > 0 {
			found.partitions[partitionKey{conv.ColourNone, conv.ReasonFree}] += free
		}
	}
	c.last.Store(found)
	return nil
}

// tree counts one tree and lets time pass for it when it may matter.
func (c *Census) tree(ctx context.Context, treeID string, found *counts) error {
	overdue := false
	err := c.store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
		found.crimes = append(found.crimes, t.Crimes(now)...)
		for id := range t.Partitions {
			colour, reason := c.classify(t, id, now)
			found.partitions[partitionKey{colour, reason}]++
		}
		overdue = t.Convergence != nil && now.Sub(t.Convergence.OpenedAt) >= fleet.AbandonAfter
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return nil
	}
	if err != nil || !overdue {
		return err
	}
	done, err := c.store.Update(ctx, redisstore.Change{Tree: treeID, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, effects, err := t.Tick(fleet.Tick{}, now)
		return nil, effects, err
	}})
	if err == nil && done.Closed != nil {
		c.trail.Closed(done.Closed)
	}
	return err
}

// classify is the colour of a partition with the class of its reason; the core has the reason in words.
func (c *Census) classify(t *fleet.Tree, id string, now time.Time) (colour, reason string) {
	i, p := t.Instances[id], t.Partitions[id]
	status := t.PartitionColour(id, now, c.started)
	switch {
	case i.State != fleet.Started:
		return conv.ColourNone, conv.ReasonStopped
	case status.Colour == fleet.Green:
		return conv.ColourGreen, conv.ReasonGood
	case status.Unconfirmed:
		reason = conv.ReasonUnconfirmed
	case p.Alarm != nil && p.Alarm.Outcome.Wakes():
		reason = conv.ReasonBang
	case p.Alarm != nil:
		reason = conv.ReasonWithheld
	case p.Latest == nil:
		reason = conv.ReasonNever
	case p.Latest.Result != fleet.Success:
		reason = conv.ReasonFailed
	default:
		reason = conv.ReasonStale
	}
	return status.Colour.String(), reason
}
