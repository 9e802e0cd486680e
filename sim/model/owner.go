package model

import (
	"slices"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// agendaStore is svc-scheduler's part of the store, with a clock of its own.
type agendaStore struct {
	records map[string]*agendaRecord
	skew    time.Duration
}

// agendaRecord is the stored agenda of one computer.
type agendaRecord struct {
	session uint64
	bootID  string
	pause   agenda.Paused
	entries map[string]*agenda.Entry
}

// open raises the session and loads the agenda.
func (s *agendaStore) open(computer string) *agenda.Agenda {
	r := s.records[computer]
	if r == nil {
		r = &agendaRecord{entries: map[string]*agenda.Entry{}}
		s.records[computer] = r
	}
	r.session++
	var entries []*agenda.Entry
	for _, e := range r.entries {
		entries = append(entries, cloneEntry(e))
	}
	slices.SortFunc(entries, func(a, b *agenda.Entry) int { return compare(a.Partition, b.Partition) })
	a := agenda.New(computer, entries...)
	a.Session, a.BootID, a.Pause = r.session, r.bootID, r.pause
	return a
}

// save writes what an outcome names; false when a newer session owns the agenda.
func (s *agendaStore) save(session uint64, a *agenda.Agenda, out *agenda.Outcome) bool {
	r := s.records[a.Computer]
	if r.session != session {
		return false
	}
	if out.Head {
		r.bootID, r.pause = a.BootID, a.Pause
	}
	for _, p := range out.Stored {
		r.entries[p] = cloneEntry(a.Entries[p])
	}
	for _, p := range out.Removed {
		delete(r.entries, p)
	}
	return true
}

func cloneEntry(e *agenda.Entry) *agenda.Entry {
	c := *e
	c.Bangs, c.Requests = slices.Clone(e.Bangs), slices.Clone(e.Requests)
	return &c
}

// owner owns the agenda of one computer for one stream.
type owner struct {
	replica  *replica
	w        *World
	computer string
	stream   *stream
	session  uint64
	agenda   *agenda.Agenda // nil until the truth is read
	offset   time.Duration  // the store's clock when the stream opened
	waiting  []fleet.FeedEntry
	events   []agenda.Event
	timer    uint64
	order    func(agenda.Order)
	applied  int
}

// serve takes a computer's stream of orders.
func (r *replica) serve(s *stream, computer string, hello agenda.StreamOpened, order func(agenda.Order)) {
	o := &owner{replica: r, w: r.w, computer: computer, stream: s, offset: r.w.agendas.skew, order: order}
	r.owners[computer] = o
	s.lost[1] = o.close
	r.read("", computer, false, func(a reading, asked map[string]time.Time) {
		if r.owners[computer] != o || !s.open[1] {
			return
		}
		o.agenda = r.w.agendas.open(computer)
		o.session, o.offset = o.agenda.Session, r.w.agendas.skew
		hello.Session = o.session
		events := append([]agenda.Event{agenda.Allocations{List: of(a, computer), Scope: agenda.OfComputer, Asked: asked[computer]}, hello}, o.events...)
		o.events = nil
		o.apply(events...)
		for _, e := range o.waiting {
			if o.agenda == nil || !r.up {
				return
			}
			o.entry(e)
		}
		o.waiting = nil
	})
}

// now is the store's time on the replica's monotonic clock.
func (o *owner) now() time.Time { return epoch.Add(o.w.now + o.offset) }

func (o *owner) close() {
	if o.replica.owners[o.computer] == o {
		delete(o.replica.owners, o.computer)
	}
	o.agenda = nil
	o.timer++
}

// deliver applies an event now, or once the agenda is loaded.
func (o *owner) deliver(e agenda.Event) {
	if o.agenda == nil {
		o.events = append(o.events, e)
		return
	}
	o.apply(e)
}

// reread reads the truth anew.
func (o *owner) reread() {
	o.replica.read("", o.computer, false, func(a reading, asked map[string]time.Time) {
		if o.replica.owners[o.computer] == o {
			o.deliver(agenda.Allocations{List: of(a, o.computer), Scope: agenda.OfComputer, Asked: asked[o.computer]})
		}
	})
}

// entry turns a feed entry into events of this agenda.
func (o *owner) entry(e fleet.FeedEntry) {
	if o.agenda == nil {
		o.waiting = append(o.waiting, e)
		return
	}
	var events []agenda.Event
	switch e.Kind {
	case fleet.FeedBang, fleet.FeedChanged:
		for _, name := range sortedKeys(o.agenda.Entries) {
			at := o.agenda.Entries[name]
			if at.TreeID != e.TreeID {
				continue
			}
			wanted := agenda.Wanted{Partition: name, AllocationID: at.AllocationID, Generation: agenda.Generation(e.Generation), Cause: agenda.Changed, At: e.At, Delay: e.Delay}
			if e.Kind == fleet.FeedBang {
				wanted.Cause, wanted.Delay = agenda.FromBang, e.Bang.Delay
				wanted.Bang = agenda.Bang{ID: e.Bang.ID, Number: e.Bang.Number, At: e.Bang.At}
			}
			if e.Kind == fleet.FeedBang && len(e.Bang.InstanceIDs) == 0 || e.Kind == fleet.FeedBang && slices.Contains(e.Bang.InstanceIDs, at.InstanceID) ||
				e.Kind == fleet.FeedChanged && slices.Contains(e.InstanceIDs, at.InstanceID) {
				events = append(events, wanted)
			}
		}
	case fleet.FeedBegun:
		if e.Computer == o.computer {
			events = append(events, agenda.Begun{
				Partition: e.Partition, AllocationID: e.AllocationID, RunSeen: agenda.RunSeen{RunID: e.Run.ID, Token: e.Run.Token, Generation: agenda.Generation(e.Run.Generation)},
			})
		}
	case fleet.FeedReported:
		if e.Computer == o.computer {
			events = append(events, agenda.Reported{
				Partition: e.Partition, AllocationID: e.AllocationID, Token: e.Run.Token, Generation: agenda.Generation(e.Run.Generation),
				RunEnded: agenda.RunEnded{RunID: e.Run.ID, Success: e.Run.Result == fleet.Success, Result: e.Run.Result.String(), ErrorType: e.Run.ErrorType, At: e.At},
			})
		}
	case fleet.FeedClosed, fleet.FeedWithheld, fleet.FeedUnspecified:
	}
	if len(events) > 0 {
		o.apply(events...)
	}
}

// apply lets events happen: decide, store, and only then hand over.
func (o *owner) apply(events ...agenda.Event) {
	now := o.now()
	out := o.agenda.Apply(now, events...)
	o.w.checker.decided(o, &out)
	if o.w.cfg.Transcript != nil {
		for _, reason := range out.Reasons {
			o.w.say(o.replica.name, "%s: %s", o.computer, reason)
		}
	}
	if o.w.boundary(o.replica.host) {
		return
	}
	if o.w.cfg.sabotage == forgottenOrder && len(out.Orders) > 0 {
		out.Stored = nil
	}
	if !o.w.agendas.save(o.session, o.agenda, &out) {
		o.w.say(o.replica.name, "%s: a newer session owns the agenda", o.computer)
		stream := o.stream
		o.close()
		stream.close(1)
		return
	}
	if o.applied++; o.applied%64 == 0 {
		o.w.checker.agendaStored(o)
	}
	if o.w.boundary(o.replica.host) {
		return
	}
	o.w.summary.Folded += out.Folded
	for _, order := range out.Orders {
		o.w.checker.ordered(o, &order)
		if order.Again {
			o.w.summary.OrdersAgain++
		} else {
			o.w.summary.Orders++
		}
		o.stream.send(0, func() { o.order(order) })
	}
	o.timer++
	if !out.Wake.IsZero() {
		timer := o.timer
		o.w.soon(o.replica.host, out.Wake.Sub(now), func() {
			if o.timer == timer && o.agenda != nil {
				o.apply(agenda.Due{})
			}
		})
	}
}
