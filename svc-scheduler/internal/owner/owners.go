package owner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// scope names this package to telemetry.
const scope = "svc-scheduler/internal/owner"

// Owners are the computers whose streams are here.
type Owners struct {
	store  Store
	master Master
	tel    *telemetry.Telemetry
	tracer trace.Tracer

	metrics metrics
	due     atomic.Int64
	overdue atomic.Int64
	banged  atomic.Pointer[banged]

	ctx  context.Context
	stop context.CancelCauseFunc

	mu     sync.Mutex // held for a few instructions only
	owners map[string]*Owner
	counts map[*Owner][2]int
	live   sync.WaitGroup
}

type metrics struct {
	folded conv.Counter
	limits conv.Counter
	gauges []metric.Registration
}

// New makes an empty set. Stop it.
func New(store Store, master Master, tel *telemetry.Telemetry) *Owners {
	o := &Owners{store: store, master: master, tel: telemetry.OrDisabled(tel), owners: map[string]*Owner{}, counts: map[*Owner][2]int{}}
	o.ctx, o.stop = context.WithCancelCause(context.Background())
	o.tracer = o.tel.Tracer(scope)
	meter := o.tel.Meter(scope)
	o.metrics.folded = conv.BangFolded.New(meter)
	o.metrics.limits = conv.LimitHits.New(meter)
	o.metrics.gauges = []metric.Registration{
		conv.AgendaDue.Observe(meter, func(_ context.Context, observe conv.Observer) { observe(o.due.Load()) }),
		conv.AgendaOverdue.Observe(meter, func(_ context.Context, observe conv.Observer) { observe(o.overdue.Load()) }),
	}
	return o
}

// Open opens the stream of a node, which ends an older one of the same computer. Close the stream. Errors: ErrUnknownComputer,
// ErrStopped, ErrSuperseded, those of the store and of svc-master.
func (o *Owners) Open(ctx context.Context, hello Hello) (*Stream, error) {
	owner := &Owner{
		owners: o, hello: hello, computer: hello.Computer, mailbox: newMailbox(), done: make(chan struct{}), reading: make(chan reading, 1),
		log: o.tel.Log.With(string(conv.ComputerID), hello.Computer),
	}
	owner.ctx, owner.end = context.WithCancelCause(o.ctx)
	owner.stream = newStream(owner)

	// It is known before it reads, so that what the feed tells meanwhile waits in its mailbox.
	o.mu.Lock()
	if o.ctx.Err() != nil {
		o.mu.Unlock()
		return nil, ErrStopped
	}
	older := o.owners[hello.Computer]
	o.owners[hello.Computer] = owner
	o.live.Add(1)
	o.mu.Unlock()
	if older != nil {
		older.end(ErrSuperseded)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(owner.ctx, cancel)()
	if err := owner.open(ctx); err != nil {
		ended := owner.ctx.Err() != nil
		owner.end(err)
		for _, a := range owner.mailbox.close() {
			a.reply <- err
		}
		o.forget(owner)
		close(owner.done)
		o.live.Done()
		if ended {
			return nil, context.Cause(owner.ctx)
		}
		return nil, fmt.Errorf("cannot open the orders of computer %q: %w", hello.Computer, err)
	}
	go func() {
		defer o.live.Done()
		owner.run()
	}()
	return owner.stream, nil
}

// Deliver gives events to the owner of a computer; without one here they are somebody else's.
func (o *Owners) Deliver(computer string, events ...agenda.Event) { o.Hand(computer, nil, events...) }

// Hand is Deliver that tells h, unless that is nil, when the owner has saved and handed over what the events made.
func (o *Owners) Hand(computer string, h *Handover, events ...agenda.Event) {
	owner := o.of(computer)
	if owner == nil {
		if h != nil {
			h.one()
		}
		return
	}
	if !owner.mailbox.put(h, events...) {
		o.metrics.limits.Add(o.ctx, 1, conv.LimitName.String("agenda.mailbox"))
		o.tel.Event(o.ctx, conv.EventLimitHit, conv.LimitName.String("agenda.mailbox"))
	}
}

// Has tells whether a computer's stream is here.
func (o *Owners) Has(computer string) bool { return o.of(computer) != nil }

// With lists the computers here whose agendas have, or may have, something of a tree.
func (o *Owners) With(tree string) []string {
	var names []string
	for _, owner := range o.all() {
		if trees := owner.trees.Load(); trees == nil || (*trees)[tree] {
			names = append(names, owner.computer)
		}
	}
	return names
}

// Reconcile makes every owner read the truth.
func (o *Owners) Reconcile() {
	for _, owner := range o.all() {
		owner.mailbox.flag(func(l *letters) { l.reread = true })
	}
}

// CheckSessions makes every owner ask whether its session is still current: an owner with nothing to save would not learn it.
func (o *Owners) CheckSessions() {
	for _, owner := range o.all() {
		owner.mailbox.flag(func(l *letters) { l.check = true })
	}
}

// Contacts is when bytes were last read from each computer.
func (o *Owners) Contacts() map[string]time.Time {
	contacts := map[string]time.Time{}
	for _, owner := range o.all() {
		if owner.hello.LastRead == nil {
			continue
		}
		if at, ok := owner.hello.LastRead(); ok {
			contacts[owner.computer] = at
		}
	}
	return contacts
}

// Look shows the agenda of a computer, from its owner here or as it is stored. look must not keep what it is given.
func (o *Owners) Look(ctx context.Context, computer string, look func(a *agenda.Agenda, now time.Time) error) error {
	return o.Do(ctx, computer, func(a *agenda.Agenda, now time.Time) ([]agenda.Event, error) { return nil, look(a, now) })
}

// Do decides on the agenda of a computer and applies the events of the decision; it returns when they are saved. Without a stream here,
// the stored agenda is changed under the session of its last stream, unless that is open elsewhere: ErrElsewhere.
func (o *Owners) Do(ctx context.Context, computer string, decide func(a *agenda.Agenda, now time.Time) ([]agenda.Event, error)) error {
	if owner := o.of(computer); owner != nil {
		a := ask{reply: make(chan error, 1), look: func(a *agenda.Agenda) ([]agenda.Event, error) { return decide(a, owner.now()) }}
		if owner.mailbox.putAsk(a) {
			select {
			case err := <-a.reply:
				if !errors.Is(err, errClosed) && !errors.Is(err, ErrSuperseded) {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return o.doStored(ctx, computer, decide)
}

func (o *Owners) doStored(ctx context.Context, computer string, decide func(a *agenda.Agenda, now time.Time) ([]agenda.Event, error)) error {
	stored, err := o.store.Load(ctx, computer)
	if err != nil {
		return err
	}
	if stored.Session == 0 {
		return fmt.Errorf("cannot find an agenda of computer %q, which never had a stream of orders: %w", computer, ErrUnknownComputer)
	}
	a := stored.Agenda(computer)
	a.Connected = stored.Head.Connected
	now := time.Now()
	events, err := decide(a, now)
	if err != nil || len(events) == 0 {
		return err
	}
	if stored.Head.Connected {
		return fmt.Errorf("cannot change the agenda of computer %q: %w", computer, ErrElsewhere)
	}
	out := a.Apply(now, events...) // without a stream, so that it hands nothing over
	var head *redisstore.Head
	if out.Head {
		h := redisstore.HeadOf(a)
		head = &h
	}
	entries := make([]*agenda.Entry, 0, len(out.Stored))
	for _, p := range out.Stored {
		entries = append(entries, a.Entries[p])
	}
	if err := o.store.Save(ctx, computer, stored.Session, head, entries, out.Removed); err != nil {
		if errors.Is(err, redisstore.ErrFenced) {
			return fmt.Errorf("cannot change the agenda of computer %q: %w", computer, ErrElsewhere)
		}
		return err
	}
	return nil
}

// Computers lists every computer that ever had a stream.
func (o *Owners) Computers(ctx context.Context) ([]string, error) { return o.store.Computers(ctx) }

// Stop ends all streams with ErrStopped and waits until each is saved, by the deadline of ctx.
func (o *Owners) Stop(ctx context.Context) error {
	o.mu.Lock()
	o.stop(ErrStopped)
	o.mu.Unlock()
	for _, g := range o.metrics.gauges {
		_ = g.Unregister()
	}
	ended := make(chan struct{})
	go func() {
		o.live.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot save the end of all streams: %w", ctx.Err())
	}
}

func (o *Owners) of(computer string) *Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owners[computer]
}

func (o *Owners) all() []*Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]*Owner, 0, len(o.owners))
	for _, owner := range o.owners {
		all = append(all, owner)
	}
	return all
}

// forget drops an owner that ended, unless a newer one is in its place.
func (o *Owners) forget(owner *Owner) {
	o.count(owner, 0, 0)
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.counts, owner)
	if o.owners[owner.computer] == owner {
		delete(o.owners, owner.computer)
	}
}

// count keeps the sums of the gauges.
func (o *Owners) count(owner *Owner, due, overdue int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.counts[owner]
	o.counts[owner] = [2]int{due, overdue}
	o.due.Add(int64(due - before[0]))
	o.overdue.Add(int64(overdue - before[1]))
}
