package owner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// errClosed is the cause of an ordinary end of a stream.
var errClosed = errors.New("the stream ended")

// Owner owns the agenda of one computer for one stream. Only its goroutine touches the agenda.
type Owner struct {
	owners   *Owners
	hello    Hello
	computer string
	session  uint64
	opening  []agenda.Event // applied first; what came to the mailbox meanwhile after them
	agenda   *agenda.Agenda
	offset   time.Duration // the store's clock minus ours, when the stream opened
	mailbox  *mailbox
	stream   *Stream
	log      *slog.Logger
	// trees are those of the agenda, for the follower; nil until the stream is open.
	trees atomic.Pointer[map[string]bool]

	ctx  context.Context
	end  context.CancelCauseFunc
	done chan struct{} // closed when nothing of it runs any more

	reading chan reading // what the reader found; at most one reader runs
	readers int
	again   bool // a reading was asked for while one was on its way
}

type reading struct {
	event agenda.Allocations
	err   error
}

// now is the store's time on our monotonic clock.
func (o *Owner) now() time.Time { return time.Now().Add(o.offset) }

// open takes the agenda over: raise the session, load, reconcile with the truth, hand over what is due.
func (o *Owner) open(ctx context.Context) error {
	asked := time.Now()
	placed, err := o.owners.master.Computer(ctx, o.computer)
	if err != nil {
		return err
	}
	stored, err := o.owners.store.Open(ctx, o.computer)
	if err != nil {
		return err
	}
	// The server read its clock before now: taken for now, an order is late by a part of the round trip and never early.
	o.offset = time.Until(stored.Now)
	o.session = stored.Session
	o.agenda = stored.Agenda(o.computer)
	for _, partition := range stored.Broken {
		o.log.WarnContext(ctx, "a stored entry cannot be read and is made anew", "partition", partition)
	}
	if err := o.agenda.Check(); err != nil {
		o.log.ErrorContext(ctx, "the stored agenda breaks an invariant", "error", err)
	}
	o.opening = []agenda.Event{
		agenda.Allocations{List: allocations(placed), Scope: agenda.OfComputer, Asked: asked},
		agenda.StreamOpened{Session: o.session, Slots: o.hello.Slots, BootID: o.hello.BootID, Running: o.hello.Running},
	}
	return nil
}

func allocations(placed []Placed) []agenda.Allocation {
	list := make([]agenda.Allocation, 0, len(placed))
	for _, p := range placed {
		list = append(list, p.Allocation)
	}
	return list
}

// run is the owner's goroutine.
func (o *Owner) run() {
	defer close(o.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	err := o.loop(timer)
	o.end(err)
	o.drain(o.mailbox.close(), context.Cause(o.ctx))
	for o.readers > 0 {
		<-o.reading
		o.readers--
	}
	o.close()
}

func (o *Owner) loop(timer *time.Timer) error {
	wake, err := o.handle(letters{events: o.opening})
	if err != nil {
		return err
	}
	o.opening = nil
	for {
		timer.Stop()
		if !wake.IsZero() {
			timer.Reset(max(wake.Sub(o.now()), 0))
		}
		var mail letters
		select {
		case <-o.ctx.Done():
			return context.Cause(o.ctx)
		case <-o.mailbox.signal:
			mail = o.mailbox.take()
		case <-timer.C:
			mail.events = []agenda.Event{agenda.Due{}}
		case r := <-o.reading:
			o.readers--
			if r.err != nil {
				continue // only when the stream ended or the computer is gone
			}
			mail.events = []agenda.Event{r.event}
			if o.again {
				o.again, mail.reread = false, true
			}
		}
		if wake, err = o.handle(mail); err != nil {
			return err
		}
	}
}

// handle applies what came, saves, and hands orders over.
func (o *Owner) handle(mail letters) (time.Time, error) {
	defer mail.release()
	if mail.reread {
		o.read()
	}
	var waiting []ask
	for _, a := range mail.asks {
		events, err := a.look(o.agenda)
		if err != nil || len(events) == 0 {
			a.reply <- err
			continue
		}
		mail.events = append(mail.events, events...)
		waiting = append(waiting, a)
	}
	for i, event := range mail.events {
		if reading, ok := event.(agenda.Allocations); ok {
			reading.Asked = reading.Asked.Add(o.offset) // was asked by our clock
			mail.events[i] = reading
		}
	}
	now := o.now()
	out := o.agenda.Apply(now, mail.events...)
	ended := o.owners.trace(o.agenda, out.Orders)
	var head *redisstore.Head
	if out.Head {
		h := redisstore.HeadOf(o.agenda)
		head = &h
	}
	if head != nil || len(out.Stored) > 0 || len(out.Removed) > 0 || mail.check {
		if err := o.save(head, out.Stored, out.Removed); err != nil {
			o.drain(waiting, err)
			return time.Time{}, err
		}
	}
	o.drain(waiting, nil)
	if len(out.Orders) > 0 {
		o.stream.put(out.Orders)
	}
	ended(o.now())
	o.tell(out)
	o.index(out)
	due, overdue := o.agenda.Overdue(now, OverdueAfter)
	o.owners.count(o, due, overdue)
	return out.Wake, nil
}

// index tells the follower which trees the agenda has, after they changed.
func (o *Owner) index(out agenda.Outcome) {
	known := o.trees.Load()
	stale := known == nil || len(out.Removed) > 0
	for i := 0; i < len(out.Stored) && !stale; i++ {
		stale = !(*known)[o.agenda.Entries[out.Stored[i]].TreeID]
	}
	if !stale {
		return
	}
	trees := map[string]bool{}
	for _, e := range o.agenda.Entries {
		trees[e.TreeID] = true
	}
	o.trees.Store(&trees)
}

// OverdueAfter is how long after its due time a partition counts as overdue in the metrics.
const OverdueAfter = time.Minute

func (o *Owner) tell(out agenda.Outcome) {
	if out.Folded > 0 {
		o.owners.metrics.folded.Add(o.ctx, int64(out.Folded))
	}
	if out.Lost > 0 {
		o.log.WarnContext(o.ctx, "runs ended without a report, or orders without a begin", "runs", out.Lost, "reasons", out.Reasons)
	}
	if o.log.Enabled(o.ctx, slog.LevelDebug) {
		for _, reason := range out.Reasons {
			o.log.DebugContext(o.ctx, reason.String())
		}
	}
}

func (o *Owner) drain(asks []ask, err error) {
	for _, a := range asks {
		a.reply <- err
	}
}

// save tries until it is saved, fenced, or over.
func (o *Owner) save(head *redisstore.Head, partitions, removed []string) error {
	entries := make([]*agenda.Entry, 0, len(partitions))
	for _, p := range partitions {
		entries = append(entries, o.agenda.Entries[p])
	}
	for attempt := 1; ; attempt++ {
		err := o.owners.store.Save(o.ctx, o.computer, o.session, head, entries, removed)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, redisstore.ErrFenced):
			return ErrSuperseded
		case o.ctx.Err() != nil:
			return context.Cause(o.ctx)
		}
		if attempt%10 == 1 {
			o.log.WarnContext(o.ctx, "cannot save the agenda; nothing is ordered until it is saved", "attempt", attempt, "error", err)
		}
		if wait.For(o.ctx, backoff.Delay(attempt, o.computer, SaveFirst, SaveMax)) != nil {
			return context.Cause(o.ctx)
		}
	}
}

// read asks svc-master for the truth, one reading at a time: an older one never comes after a newer.
func (o *Owner) read() {
	if o.readers > 0 {
		o.again = true
		return
	}
	o.readers++
	go func() { o.reading <- o.readTruth() }()
}

func (o *Owner) readTruth() reading {
	for attempt := 1; ; attempt++ {
		asked := time.Now()
		placed, err := o.owners.master.Computer(o.ctx, o.computer)
		if err == nil {
			return reading{event: agenda.Allocations{List: allocations(placed), Scope: agenda.OfComputer, Asked: asked}}
		}
		if errors.Is(err, ErrUnknownComputer) {
			return reading{err: err}
		}
		if wait.For(o.ctx, backoff.Delay(attempt, o.computer, ReadFirst, ReadMax)) != nil {
			return reading{err: context.Cause(o.ctx)}
		}
	}
}

// close saves that the stream ended, unless a newer one owns the agenda.
func (o *Owner) close() {
	o.owners.forget(o)
	cause := context.Cause(o.ctx)
	if !errors.Is(cause, ErrStopped) {
		o.owners.tel.Event(o.ctx, conv.EventOrdersLost, conv.ComputerID.String(o.computer), conv.ErrorType.String(errorType(cause)))
	}
	if errors.Is(cause, ErrSuperseded) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), CloseTimeout)
	defer cancel()
	o.agenda.Apply(o.now(), agenda.StreamClosed{Session: o.session})
	head := redisstore.HeadOf(o.agenda)
	if err := o.owners.store.Save(ctx, o.computer, o.session, &head, nil, nil); err != nil && !errors.Is(err, redisstore.ErrFenced) {
		o.log.WarnContext(ctx, "cannot save that the stream ended", "error", err)
	}
}

func errorType(err error) string {
	switch {
	case errors.Is(err, ErrSuperseded):
		return "superseded"
	case errors.Is(err, ErrStopped):
		return "stopped"
	case errors.Is(err, errClosed):
		return "closed"
	}
	return fmt.Sprintf("%T", err)
}
