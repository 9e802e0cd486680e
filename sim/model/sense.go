package model

import (
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// evaluateWithin is how long the node waits for svc-promise before it evaluates by itself (docs/rules.md, autonomy).
const evaluateWithin = time.Second

// batch is what a node sends to svc-promise: one group with what is known of the runs.
type batch struct {
	allocation, promise string
	recorded            verdict.Recorded
}

func (w *World) rules(p *promise) (test, anomaly verdict.Rule) {
	return verdict.TestRule, verdict.Rule{ResultCount: p.failures, FailureAmount: p.failures}
}

// runsOf is what the node knows of a partition's runs.
func (n *node) runsOf(partition string) verdict.Runs {
	p := n.core.Partition(partition)
	return verdict.Runs{LatestSuccess: p.Latest == converge.Success, LastSuccess: p.LastSuccess, InProgress: p.InProgress()}
}

// senseTenant senses the promises of a tenant from now on, each at its period.
func (n *node) senseTenant(t *tenant) {
	if n.sensing[t.allocation] {
		return
	}
	n.sensing[t.allocation] = true
	for _, p := range t.promises {
		var again func()
		again = func() {
			if n.machine.tenants[t.partition] != t {
				return
			}
			if k := n.core.Partition(t.partition); k.Desired.AllocationID == t.allocation && k.Desired.Requested == converge.Started && k.Latest != 0 {
				n.send(t, p, n.record(t, p, false))
			}
			n.w.soon(n.host, p.period, again)
		}
		n.w.soon(n.host, n.w.between(0, p.period), again)
	}
}

// maxGroups is how many groups of a promise its machine keeps: more than any window here.
const maxGroups = 10

// record executes a sensor and logs its group.
func (n *node) record(t *tenant, p *promise, asked bool) group {
	p.sequence++
	g := group{Group: verdict.Group{Sequence: p.sequence, At: n.w.wall(n.host), Failed: n.machine.failing(t, p)}, asked: asked}
	if len(p.groups) == maxGroups {
		p.groups = append(p.groups[:0], p.groups[1:]...)
	}
	p.groups = append(p.groups, g)
	return g
}

func (n *node) batch(t *tenant, p *promise, g group, replayed bool) batch {
	b := batch{allocation: t.allocation, promise: p.name, recorded: verdict.Recorded{
		Group: g.Group, Runs: n.runsOf(t.partition), Asked: g.asked, Replayed: replayed, BangDisabled: p.silent,
	}}
	b.recorded.Test, b.recorded.Anomaly = n.w.rules(p)
	return b
}

// send brings a group to svc-promise, or evaluates it here when the stream is lost.
func (n *node) send(t *tenant, p *promise, g group) {
	b := n.batch(t, p, g, false)
	if n.sense == nil {
		if effect, why := p.local.Step(b.recorded); effect.Has(verdict.Bang) || effect.Has(verdict.BangNotAllowed) {
			n.w.say(n.name, "%s %s: %s, evaluated here", t.allocation, p.name, why)
			n.bang(t.partition, b.bang(effect), func() {})
		}
		return
	}
	n.deliver(p, b)
}

func (b *batch) bang(effect verdict.Effect) fleet.Bang {
	return fleet.Bang{
		AllocationID: b.allocation, Origin: fleet.OriginPromise, Source: b.promise, LastSuccessRunID: b.recorded.Runs.LastSuccess,
		RunInProgress: b.recorded.Runs.InProgress, NoticedAt: b.recorded.Group.At, NotAllowed: effect.Has(verdict.BangNotAllowed),
	}
}

func (n *node) deliver(p *promise, b batch) {
	s := n.sense
	s.send(1, func() {
		n.w.promise.record(b, func() {
			s.send(0, func() {
				for i := range p.groups {
					if p.groups[i].Sequence == b.recorded.Group.Sequence {
						p.groups[i].acked = true
					}
				}
			})
		})
	})
}

// openSense opens the stream of groups: what svc-promise lacks is replayed, what it did not acknowledge is sent again.
func (n *node) openSense() {
	n.w.dial(n.host, n.w.promise.host, func(s *stream) {
		n.sense = s
		s.lost[0] = func() {
			n.sense = nil
			n.retry(n.openSense)()
		}
		for _, partition := range sortedKeys(n.machine.tenants) {
			t := n.machine.tenants[partition]
			for _, p := range t.promises {
				for _, g := range p.groups {
					n.deliver(p, n.batch(t, p, g, g.acked || g.asked))
				}
			}
		}
	}, n.retry(n.openSense))
}

// evaluate has the promises of a run evaluated.
func (n *node) evaluate(r *run) {
	var batches []batch
	for _, p := range r.tenant.promises {
		if len(p.groups) > 0 {
			batches = append(batches, n.batch(r.tenant, p, p.groups[len(p.groups)-1], false))
		}
	}
	if len(batches) == 0 {
		r.tested(nil, nil, false)
		return
	}
	for i := range batches {
		batches[i].recorded.Asked = true
	}
	call(n.w, n.host, n.w.promise.host, evaluateWithin, func() ([]verdict.Verdict, error) { return n.w.promise.evaluate(batches), nil }, func(all []verdict.Verdict, _ error, answered bool) {
		if !answered {
			all = all[:0]
			for i, p := range r.tenant.promises {
				p.local.Step(batches[i].recorded)
				all = append(all, p.local.Verdict())
			}
		}
		tested := make([]converge.Tested, 0, len(all))
		verdicts := make([]fleet.Verdict, 0, len(all))
		for i, v := range all {
			tested = append(tested, converge.Tested{Promise: batches[i].promise, Failed: v.TestFailed})
			verdicts = append(verdicts, fleet.Verdict{Promise: batches[i].promise, TestFailed: v.TestFailed, Anomaly: v.Anomaly})
		}
		r.tested(tested, verdicts, !answered)
	})
}

// promiseService is svc-promise: windows in memory, and bangs on their way.
type promiseService struct {
	*host
	w       *World
	windows map[string]*verdict.Promise
	// pending are the bangs on their way, with who waits for each.
	pending map[string][]func()
}

func newPromiseService(w *World) *promiseService {
	s := &promiseService{host: &host{name: "promise"}, w: w}
	s.crashed = func() { s.windows, s.pending = nil, nil }
	s.started = func() { s.windows, s.pending = map[string]*verdict.Promise{}, map[string][]func(){} }
	return s
}

func (s *promiseService) window(b *batch) *verdict.Promise {
	id := b.allocation + "/" + b.promise
	p := s.windows[id]
	if p == nil {
		p = &verdict.Promise{}
		s.windows[id] = p
	}
	return p
}

// giveUp is how long a bang is tried.
const giveUp = 10 * time.Minute

// record takes a group; acknowledge is called once its bang is known.
func (s *promiseService) record(b batch, acknowledge func()) {
	effect, why := s.window(&b).Step(b.recorded)
	id := b.allocation + "/" + b.promise
	_, waits := s.pending[id]
	if effect.Has(verdict.Bang) || effect.Has(verdict.BangNotAllowed) {
		s.w.say(s.name, "%s: %s", id, why)
		if !waits {
			s.pending[id] = []func(){acknowledge}
			s.tell(id, b, b.bang(effect))
			return
		}
	}
	if waits {
		s.pending[id] = append(s.pending[id], acknowledge)
		return
	}
	acknowledge()
}

func (s *promiseService) tell(id string, b batch, e fleet.Bang) {
	tree := fleet.TreeID(b.allocation)
	patiently(s.w, s.host, s.w.master.host, giveUp, func() (fleet.BangAnswer, error) { return s.w.master.bang(tree, e) }, func(a fleet.BangAnswer, err error, answered bool) {
		if answered {
			s.w.checker.bangAcked(tree, &e, a, err)
		} else {
			s.window(&b).Unsent()
		}
		waiting := s.pending[id]
		delete(s.pending, id)
		for _, acknowledge := range waiting {
			acknowledge()
		}
	})
}

// evaluate takes the groups of a run and returns their verdicts.
func (s *promiseService) evaluate(batches []batch) []verdict.Verdict {
	all := make([]verdict.Verdict, 0, len(batches))
	for i := range batches {
		p := s.window(&batches[i])
		p.Step(batches[i].recorded)
		all = append(all, p.Verdict())
	}
	return all
}
