package model

import (
	"maps"
	"slices"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// replica is one of svc-scheduler: it follows the feed, and owns the agendas of the computers whose stream of orders it holds.
type replica struct {
	*host
	w *World
	// position of the next feed entry; -1 = it never followed.
	position int
	feed     *stream
	owners   map[string]*owner
	// membership of each tree as of the last reading; asking are the trees being read, and again those to be read once more.
	membership    map[string]uint64
	asking, again map[string]bool
}

func newReplica(w *World, name string) *replica {
	r := &replica{host: &host{name: name}, w: w, position: -1}
	r.crashed = func() { r.owners, r.feed, r.position = nil, nil, -1 }
	r.started = func() {
		r.owners, r.membership, r.asking, r.again = map[string]*owner{}, map[string]uint64{}, map[string]bool{}, map[string]bool{}
		r.follow()
		w.soon(r.host, 30*time.Second, r.readUnsettled)
	}
	return r
}

// follow opens the feed, for ever again.
func (r *replica) follow() {
	retry := func() { r.w.soon(r.host, r.w.between(200*time.Millisecond, time.Second), r.follow) }
	r.w.dial(r.host, r.w.master.host, func(s *stream) {
		r.feed = s
		s.lost[0] = func() { r.feed = nil; retry() }
		asked := r.position
		s.send(1, func() {
			from := r.w.master.follow(s, asked, r.heard)
			s.send(0, func() { r.following(asked, from) })
			for _, f := range r.w.master.order {
				if f.stream == s {
					r.w.master.advance(f)
				}
			}
		})
	}, retry)
}

// following begins at a position; when entries between are trimmed, everything owned is read anew.
func (r *replica) following(asked, from int) {
	if asked != from { // a replica that just started may own agendas already, read before it followed
		r.w.say(r.name, "lost its position in the feed: %d, told from %d", asked, from)
		for _, computer := range r.computers() {
			r.owners[computer].reread()
		}
	}
	r.position = from
}

func (r *replica) computers() []string { return slices.Sorted(maps.Keys(r.owners)) }

// heard expands a feed entry to the agendas that it concerns.
func (r *replica) heard(position int, e fleet.FeedEntry) {
	if r.position != position || r.w.cfg.sabotage == deafScheduler {
		return
	}
	r.position++
	for _, computer := range r.computers() {
		if o := r.owners[computer]; o != nil {
			o.entry(e)
		}
		if !r.up {
			return
		}
	}
	if known, ok := r.membership[e.TreeID]; !ok || known != e.Membership {
		r.readTree(e.TreeID)
	}
}

// read asks svc-master for the truth until it answers. asked is when the reading was asked for, by the clock of each owner.
func (r *replica) read(tree, computer string, unsettled bool, done func(a reading, asked map[string]time.Time)) {
	asked := map[string]time.Time{}
	for _, name := range r.computers() {
		asked[name] = r.owners[name].now()
	}
	call(r.w, r.host, r.w.master.host, callTimeout, func() (reading, error) { return r.w.master.allocations(tree, computer, unsettled), nil }, func(a reading, _ error, answered bool) {
		if answered {
			done(a, asked)
			return
		}
		r.w.soon(r.host, r.w.between(100*time.Millisecond, time.Second), func() { r.read(tree, computer, unsettled, done) })
	})
}

// readTree reads the allocations of a tree whose membership changed.
func (r *replica) readTree(tree string) {
	if r.asking[tree] {
		r.again[tree] = true
		return
	}
	r.asking[tree] = true
	r.read(tree, "", false, func(a reading, asked map[string]time.Time) {
		r.membership[tree] = a.membership[tree]
		delete(r.asking, tree)
		r.take(a, asked, agenda.OfTree, tree)
		if r.up && r.again[tree] {
			delete(r.again, tree)
			r.readTree(tree)
		}
	})
}

// take gives each owner its part of a reading.
func (r *replica) take(a reading, asked map[string]time.Time, scope agenda.Scope, tree string) {
	for _, computer := range r.computers() {
		at, ok := asked[computer]
		list := of(a, computer)
		if o := r.owners[computer]; !ok && o != nil && scope != agenda.Some {
			o.reread() // its stream opened while the reading was on its way
		} else if ok && o != nil && (len(list) > 0 || scope != agenda.Some) {
			o.deliver(agenda.Allocations{List: list, Scope: scope, Tree: tree, Asked: at})
		}
		if !r.up {
			return
		}
	}
}

// readUnsettled reads what is wanted and not settled: the feed is a hint, and this is the truth.
func (r *replica) readUnsettled() {
	if r.w.cfg.sabotage == deafScheduler || len(r.owners) == 0 {
		r.w.soon(r.host, 30*time.Second, r.readUnsettled)
		return
	}
	r.read("", "", true, func(a reading, asked map[string]time.Time) {
		r.take(a, asked, agenda.Some, "")
		if r.up {
			r.w.soon(r.host, 30*time.Second, r.readUnsettled)
		}
	})
}

func of(a reading, computer string) []agenda.Allocation {
	var list []agenda.Allocation
	for i := range a.list {
		if a.list[i].computer == computer {
			list = append(list, a.list[i].Allocation)
		}
	}
	return list
}
