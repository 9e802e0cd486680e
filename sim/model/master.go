package model

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
)

// master is svc-master: handlers around fleet.Tree, and what is stored.
type master struct {
	*host
	w *World
	// records, feed, floor and reserved are stored; trees are the cache and lost in a crash.
	records map[string]*record
	// feed holds the entries from position floor on.
	feed  []fleet.FeedEntry
	floor int
	// reserved partitions ("computer/partition" → instance).
	reserved map[string]string
	trees    map[string]*fleet.Tree
	commits  map[string]int
	// order are the followers of the feed and of desired states, in the order in which they came.
	order []*follower
	// startedAt is when this life began, by its clock.
	startedAt time.Time
	// epoch of the store.
	epoch uint64
}

// follower is the end of a feed or of a stream of desired states.
type follower struct {
	stream   *stream
	position int
	tell     func(position int, e fleet.FeedEntry)
	computer string
	watch    func(desired)
}

// errDied is what a handler returns whose process died under it; nobody gets to see it.
var errDied = errors.New("cannot answer: the process died")

func newMaster(w *World) *master {
	m := &master{host: &host{name: "master"}, w: w, records: map[string]*record{}, reserved: map[string]string{}, trees: map[string]*fleet.Tree{}, commits: map[string]int{}, epoch: 1}
	for _, p := range w.plans {
		t := fleet.New(p.id, "default", 1)
		m.records[p.id] = newRecord(t)
	}
	m.crashed = func() { m.trees, m.order = map[string]*fleet.Tree{}, nil }
	m.started = func() {
		m.startedAt = w.wall(m.host)
		w.checker.restarted(m)
		if m.beginEpoch(); m.up {
			m.reconcile()
		}
	}
	return m
}

// tree loads a tree unless it is cached.
func (m *master) tree(id string) *fleet.Tree {
	t := m.trees[id]
	if t == nil {
		r := m.records[id]
		if r == nil {
			return nil
		}
		t = r.load()
		if m.w.cfg.sabotage == greenAfterRestart {
			for _, p := range t.Partitions {
				p.Alarm = nil
			}
		}
		m.trees[id] = t
	}
	return t
}

// step is one commit: load, decide, write all or nothing, tell.
func (m *master) step(id string, e fleet.Event, key string) (fleet.Answer, error) {
	r := m.records[id]
	if r == nil {
		return nil, &fleet.Error{Kind: fleet.NotFound, Message: "cannot find tree " + id}
	}
	if done, ok := r.answers[key]; ok && key != "" {
		return done.answer, done.err
	}
	t, now := m.tree(id), m.w.wall(m.host)
	asked := e
	e = m.w.sabotageEvent(t, e)
	answer, fx, err := t.Step(e, now)
	if err != nil {
		m.w.say(m.name, "refuses %T: %v", e, err)
		return nil, err
	}
	if fx.None() {
		return answer, nil
	}
	if m.w.boundary(m.host) {
		return nil, errDied // decided and not written: the tree in memory is gone with the process
	}
	m.commit(id, key, t, asked, answer, &fx, now)
	if m.w.boundary(m.host) {
		return nil, errDied
	}
	for _, f := range m.order {
		m.advance(f)
	}
	for _, r := range fx.Rebound {
		m.reserved[r.Computer+"/"+r.Partition] = r.InstanceID
	}
	for _, freed := range fx.Freed {
		delete(m.reserved, freed.Computer+"/"+freed.Partition)
		m.watch(desired{computer: freed.Computer, freed: []string{freed.Partition}})
	}
	m.tellDesired(t, &fx)
	for _, h := range fx.Hosting {
		m.unite(h)
	}
	for _, instance := range fx.Place {
		if m.place(t, instance); !m.up {
			return nil, errDied
		}
	}
	return answer, nil
}

func (m *master) commit(id, key string, t *fleet.Tree, e fleet.Event, answer fleet.Answer, fx *fleet.Effects, now time.Time) {
	r := m.records[id]
	if !m.w.forgets(e, answer) {
		r.commit(t, fx)
		m.feed = append(m.feed, fx.Feed...)
		m.w.summary.Commits++
	}
	if key != "" {
		r.answers[key] = stored{answer: answer}
	}
	if m.w.cfg.Transcript != nil {
		m.w.say(m.name, "%s %s → %+v, generation %s", id, describe(e), answer, t.Generation)
	}
	m.w.checker.committed(t, e, answer, fx, now)
	m.commits[id]++
	if m.commits[id]%16 == 0 && m.w.cfg.sabotage == noSabotage {
		m.w.checker.storedWhole(t, r)
	}
}

// advance sends a follower what it has not got.
func (m *master) advance(f *follower) {
	if f.tell == nil {
		return
	}
	for f.position < m.floor+len(m.feed) && f.position >= m.floor {
		position, entry := f.position, m.feed[f.position-m.floor]
		f.position++
		f.stream.send(0, func() { f.tell(position, entry) })
	}
}

// trim forgets the feed up to now; who has not read it must read everything.
func (m *master) trim() { m.floor, m.feed = m.floor+len(m.feed), nil }

// place reserves a partition for an instance and commits it, or says why not.
func (m *master) place(t *fleet.Tree, id string) {
	i := t.Instances[id]
	if i == nil || t.Partitions[id] != nil {
		return
	}
	if i.Shared {
		if wanted, ok := t.HostWanted(id); ok {
			m.placeShared(t, wanted)
		}
		return
	}
	var views []fleet.ComputerView
	for _, n := range m.w.nodes {
		v := fleet.ComputerView{Name: n.name, Supplied: true, Partitions: m.w.cfg.Partitions}
		for _, p := range n.machine.partitions {
			holder := m.reserved[n.name+"/"+p]
			if holder == id && m.holder(t, n.name, p) == "" { // reserved before a crash
				m.allocate(t, id, n.name, p)
				return
			}
			if holder == "" {
				v.Free = append(v.Free, p)
			}
		}
		views = append(views, v)
	}
	chosen, reason, ok := fleet.ChoosePlace(fleet.PlaceRequest{Release: i.Release, Computer: i.Computer}, views)
	if !ok {
		_, _ = m.step(t.ID, fleet.Unallocated{InstanceID: id, Reason: reason}, "")
		return
	}
	m.reserved[chosen.Computer+"/"+chosen.Partition] = id
	if m.w.boundary(m.host) {
		return
	}
	m.allocate(t, id, chosen.Computer, chosen.Partition)
}

func (m *master) allocate(t *fleet.Tree, id, computer, partition string) {
	policy, quota := fleet.PolicyTree, m.w.cfg.Quota
	if p := m.w.planOf(t, id); p != nil && p.ancestors {
		policy = fleet.PolicyAncestors
	}
	_, _ = m.step(t.ID, fleet.Allocate{
		InstanceID: id, Computer: computer, Partition: partition, ComputerPeriod: m.w.cfg.Period, Options: fleet.Options{Policy: policy, Quota: &quota},
	}, "")
}

// holder is the instance of a tree that is in a partition; empty = none.
func (m *master) holder(t *fleet.Tree, computer, partition string) string {
	for id, p := range t.Partitions {
		if p.Computer == computer && p.Name == partition {
			return id
		}
	}
	return ""
}

// reconcile finds places for what has none, and releases reservations whose instance is elsewhere or gone; every 30 s.
func (m *master) reconcile() {
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		t := m.tree(id)
		for _, i := range t.Sorted() {
			if t.Partitions[i.ID] == nil && i.State != fleet.Destroyed {
				if m.place(t, i.ID); !m.up {
					return
				}
			}
		}
		if t.Convergence != nil {
			_, _ = m.step(id, fleet.Tick{}, "")
		}
		if !m.up {
			return
		}
	}
	for _, at := range slices.Sorted(maps.Keys(m.reserved)) {
		id := m.reserved[at]
		t := m.tree(fleet.TreeID(id))
		if computer, partition, _ := strings.Cut(at, "/"); m.holder(t, computer, partition) != "" {
			m.reserved[at] = m.holder(t, computer, partition) // of an eviction that a crash cut short
			continue
		}
		if p := t.Partitions[id]; p == nil || p.Computer+"/"+p.Name != at {
			if i := t.Instances[id]; i == nil || p != nil || i.State == fleet.Destroyed {
				delete(m.reserved, at)
			}
		}
	}
	if m.keepShared(); m.up {
		m.w.soon(m.host, 30*time.Second, m.reconcile)
	}
}
