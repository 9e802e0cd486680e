package follow

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

const scope = "svc-scheduler/internal/follow"

// Intervals, unless Settings say otherwise.
const (
	// UnsettledEvery is how often the unsettled allocations are read: what a lost hint costs at most.
	UnsettledEvery = 30 * time.Second
	// ContactsEvery batches the contacts of computers: far below the 5 min after which a computer is no longer Green.
	ContactsEvery = 5 * time.Second
	// againFirst and againMax shape the delay before the feed is opened again, and before a reading that failed is repeated.
	againFirst = 50 * time.Millisecond
	againMax   = 5 * time.Second
	// name is this service in svc-master's log and metrics.
	name = "svc-scheduler"
	// maxContacts is what ReportContacts takes.
	maxContacts = 5000
)

// Settings are what a developer passes. Zero values mean the defaults.
type Settings struct {
	UnsettledEvery time.Duration
	ContactsEvery  time.Duration
	Telemetry      *telemetry.Telemetry
}

// Follower follows the feed for one replica.
type Follower struct {
	master   Master
	owners   *owner.Owners
	settings Settings
	tel      *telemetry.Telemetry

	positions map[uint32]Position
	members   members
	lag       atomic.Int64
	following atomic.Bool
	fanout    conv.Distribution
	gauge     metric.Registration
	contacts  map[string]time.Time // reported last
}

// New makes a follower; Run it.
func New(master Master, owners *owner.Owners, s Settings) *Follower {
	if s.UnsettledEvery == 0 {
		s.UnsettledEvery = UnsettledEvery
	}
	if s.ContactsEvery == 0 {
		s.ContactsEvery = ContactsEvery
	}
	f := &Follower{
		master: master, owners: owners, settings: s, tel: telemetry.OrDisabled(s.Telemetry),
		positions: map[uint32]Position{}, members: members{trees: map[string]tree{}}, contacts: map[string]time.Time{},
	}
	meter := f.tel.Meter(scope)
	f.fanout = conv.BangFanout.New(meter)
	f.gauge = conv.FeedLag.Observe(meter, func(_ context.Context, observe conv.Observer) {
		observe(f.lag.Load(), conv.FeedFollower.String("svc-scheduler"))
	})
	return f
}

// Close ends the metrics, after Run ended.
func (f *Follower) Close() { _ = f.gauge.Unregister() }

// Following tells whether the feed is open, for readiness.
func (f *Follower) Following() bool { return f.following.Load() }

// Run follows the feed until ctx ends; it opens it again whenever it breaks.
func (f *Follower) Run(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		began := time.Now()
		err := f.follow(ctx)
		f.following.Store(false)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > againMax {
			attempt = 1 // it had worked
		}
		if attempt%10 == 1 {
			f.tel.Log.WarnContext(ctx, "the feed broke off and is opened again", "attempt", attempt, "error", err)
		}
		if err := wait.For(ctx, backoff.Delay(attempt, name, againFirst, againMax)); err != nil {
			return err
		}
	}
}

func (f *Follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := make([]Position, 0, len(f.positions))
	for _, p := range f.positions {
		from = append(from, p)
	}
	slices.SortFunc(from, func(a, b Position) int { return int(a.Shard) - int(b.Shard) })
	feed, err := f.master.Follow(ctx, from, name)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		batch, err := feed.Next()
		if err != nil {
			return err
		}
		f.following.Store(true)
		if err := f.take(ctx, batch); err != nil {
			return err
		}
	}
}

// take handles a batch: effects first, positions after.
func (f *Follower) take(ctx context.Context, batch Batch) error {
	lost := len(batch.Rescan) > 0
	for _, p := range batch.Start {
		if _, known := f.positions[p.Shard]; !known {
			lost = true
			f.positions[p.Shard] = p
		}
	}
	for _, p := range batch.Rescan {
		f.positions[p.Shard] = p
	}
	if lost {
		// Entries may have been missed; memberships that changed in them would be believed for ever.
		clear(f.members.trees)
		f.owners.Reconcile()
	}
	f.lag.Store(int64(len(batch.Entries)))
	defer f.lag.Store(0)
	d := &delivery{owners: f.owners, events: map[string][]agenda.Event{}}
	if err := f.memberships(ctx, batch.Entries, d); err != nil {
		return err
	}
	bangs := map[string]int{} // of each tree, so far: the runs of the next one answer them too
	for i := range batch.Entries {
		e := &batch.Entries[i]
		f.expand(ctx, e, bangs[e.Tree], d)
		if e.Kind == Bang {
			bangs[e.Tree]++
		}
	}
	if err := d.send(ctx); err != nil {
		return err
	}
	for _, e := range batch.Entries {
		f.positions[e.Position.Shard] = e.Position
	}
	return nil
}

// memberships reads those that a batch needs, until it has them or the feed ends.
func (f *Follower) memberships(ctx context.Context, entries []Entry, d *delivery) error {
	stale := f.members.stale(entries)
	for attempt := 1; len(stale) > 0; attempt++ {
		err := f.refresh(ctx, stale, d)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.tel.Log.WarnContext(ctx, "cannot read the members of trees", "trees", len(stale), "attempt", attempt, "error", err)
		if err := wait.For(ctx, backoff.Delay(attempt, name, againFirst, againMax)); err != nil {
			return err
		}
	}
	return nil
}

// expand turns an entry into events of the computers concerned; folds are the bangs of its tree before it in the batch.
func (f *Follower) expand(ctx context.Context, e *Entry, folds int, d *delivery) {
	switch e.Kind {
	case Bang:
		f.fanOut(ctx, e, folds, d)
	case Changed:
		concerned := set(e.Instances)
		for _, m := range f.members.trees[e.Tree].members {
			if concerned[m.instance] {
				d.add(m.computer, agenda.Wanted{
					Partition: m.partition, AllocationID: m.allocation, Generation: e.Generation, Cause: agenda.Changed, At: e.At, Delay: e.Delay,
				})
			}
		}
	case Begun:
		d.add(e.Computer, agenda.Begun{Partition: e.Partition, AllocationID: e.Allocation, RunSeen: e.Run})
	case Reported:
		end := e.End
		end.At = time.Time{} // learnt now: the delay runs on the scheduler's clock
		d.add(e.Computer, agenda.Reported{
			Partition: e.Partition, AllocationID: e.Allocation, Token: e.Run.Token, Generation: e.Run.Generation, RunEnded: end,
		})
	case Other:
	}
}

// set makes ids quick to find: a change of a whole tree names 10,000 instances, of as many members.
func set(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// fanOut makes the members of the tree, or those that the bang names, due. The span says how many, wherever they are.
func (f *Follower) fanOut(ctx context.Context, e *Entry, folds int, d *delivery) {
	var targets []member
	owned := map[string]bool{} // computers
	concerned := set(e.Instances)
	for _, m := range f.members.trees[e.Tree].members {
		if len(concerned) > 0 && !concerned[m.instance] {
			continue
		}
		targets = append(targets, m)
		if !owned[m.computer] && f.owners.Has(m.computer) {
			owned[m.computer] = true
		}
	}
	if len(owned) == 0 {
		return
	}
	f.fanout.Record(ctx, int64(len(targets)))
	spanCtx := telemetry.Extract(telemetry.NewRootContext(ctx), telemetry.Carrier(e.Bang.Trace))
	spanCtx = telemetry.WithBang(spanCtx, e.Bang.ID)
	spanCtx, span := f.tel.Tracer(scope).Start(spanCtx, conv.SpanFanOut)
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(conv.TreeID.String(e.Tree), conv.BangID.String(e.Bang.ID), conv.BangTargets.Int(len(targets)), conv.BangFolds.Int(folds))
	}
	bang := e.Bang
	bang.Targets = len(targets)
	bang.FanOut = agenda.Trace(telemetry.Inject(spanCtx))
	for _, m := range targets {
		d.add(m.computer, agenda.Wanted{
			Partition: m.partition, AllocationID: m.allocation, Generation: e.Generation, Cause: agenda.FromBang, Bang: bang, At: bang.At, Delay: e.Delay, Hold: hold(len(owned)),
		})
	}
}

// RunUnsettled reads the unsettled allocations and asks for the sessions, again and again until ctx ends.
func (f *Follower) RunUnsettled(ctx context.Context) error {
	for {
		if err := wait.For(ctx, f.settings.UnsettledEvery); err != nil {
			return err
		}
		f.owners.CheckSessions()
		asked := time.Now()
		placed, err := f.master.Unsettled(ctx)
		if err != nil {
			if ctx.Err() == nil {
				f.tel.Log.WarnContext(ctx, "cannot read the unsettled allocations", "error", err)
			}
			continue
		}
		lists := map[string][]agenda.Allocation{}
		for _, p := range placed {
			lists[p.Computer] = append(lists[p.Computer], p.Allocation)
		}
		for computer, list := range lists {
			f.owners.Deliver(computer, agenda.Allocations{List: list, Scope: agenda.Some, Asked: asked})
		}
	}
}

// RunContacts reports from which computers bytes were read, again and again until ctx ends.
func (f *Follower) RunContacts(ctx context.Context) error {
	for {
		if err := wait.For(ctx, f.settings.ContactsEvery); err != nil {
			return err
		}
		now := f.owners.Contacts()
		news := map[string]time.Time{}
		for computer, at := range now {
			if at.After(f.contacts[computer]) && len(news) < maxContacts {
				news[computer] = at
			}
		}
		if len(news) == 0 {
			continue
		}
		if err := f.master.ReportContacts(ctx, news); err != nil {
			if ctx.Err() == nil {
				f.tel.Log.WarnContext(ctx, "cannot report contacts", "computers", len(news), "error", err)
			}
			continue
		}
		for computer := range f.contacts {
			if _, open := now[computer]; !open {
				delete(f.contacts, computer)
			}
		}
		maps.Copy(f.contacts, news)
	}
}
