package model

import (
	"fmt"
	"strconv"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// client is who requests instances, upgrades them, stops and starts them, and bangs by hand: each tree's wishes one after the other, each until it is answered.
type client struct {
	*host
	w *World
	// wanted version of each tree, and its root once it is known; stopped ones are to be started in the end.
	version       map[string]int
	root          map[string]string
	stopped, gone map[string]bool
	// changing are the trees whose state is being changed.
	changing map[string]bool
	// redo are the trees whose latest wishes may be lost.
	redo   map[string]bool
	number int
}

func newClient(w *World) *client {
	c := &client{host: &host{name: "client"}, w: w, version: map[string]int{}, root: map[string]string{}, stopped: map[string]bool{}, gone: map[string]bool{}, changing: map[string]bool{}, redo: map[string]bool{}}
	c.crashed = func() {}
	c.started = func() {
		for _, p := range w.plans {
			// The later ones find partitions that others have left.
			w.soon(c.host, w.between(0, w.cfg.Storm*7/10), func() { c.upgrade(p, func() { c.next(p) }) })
		}
	}
	return c
}

func (c *client) id() string {
	c.number++
	return "request-" + strconv.Itoa(c.number)
}

// next is the next wish for a tree, while there is a storm.
func (c *client) next(p *treePlan) {
	w := c.w
	w.soon(c.host, w.between(5*time.Second, 4*time.Minute), func() {
		again := func() { c.next(p) }
		switch {
		case c.redo[p.id]:
			delete(c.redo, p.id)
			c.upgrade(p, func() { c.setState(p, fleet.Started, again) })
		case !w.storming:
			if c.stopped[p.id] {
				c.setState(p, fleet.Started, func() {})
			}
			return
		case w.chance(0.04):
			c.setState(p, fleet.Destroyed, func() {})
		case w.chance(0.4):
			c.bang(p, again)
		case w.chance(0.3):
			c.upgrade(p, again)
		case w.chance(0.3) && !c.stopped[p.id]:
			c.setState(p, fleet.Stopped, again)
		case c.stopped[p.id]:
			c.setState(p, fleet.Started, again)
		case w.chance(0.4):
			c.pause(p, again)
		case w.chance(0.2):
			c.cancel(p)
			again()
		default:
			c.runNow()
			again()
		}
	})
}

// upgrade requests the root in its next version, again if the store lost its last seconds meanwhile.
func (c *client) upgrade(p *treePlan, done func()) {
	c.version[p.id]++
	version, losses := c.version[p.id], c.w.losses
	e := fleet.Request{RequestID: c.id(), Title: p.root.title, Release: "release", Parameters: map[string]string{"version": strconv.Itoa(version)}}
	patiently(c.w, c.host, c.w.master.host, 0, func() (fleet.RequestAnswer, error) { return c.w.master.request(p.id, e) }, func(a fleet.RequestAnswer, err error, _ bool) {
		if c.w.losses != losses {
			c.upgrade(p, done)
			return
		}
		c.w.checker.requestAcked(p, &e, version, a, err)
		c.root[p.id] = a.InstanceID
		done()
	})
}

// setState wants a state of the root, and so of the whole tree.
func (c *client) setState(p *treePlan, state fleet.State, done func()) {
	c.changing[p.id] = true
	losses := c.w.losses
	e := fleet.SetState{RequestID: c.id(), InstanceID: c.root[p.id], State: state}
	patiently(c.w, c.host, c.w.master.host, 0, func() (fleet.SetStateAnswer, error) { return c.w.master.setState(p.id, e) }, func(_ fleet.SetStateAnswer, err error, _ bool) {
		switch {
		case c.w.losses != losses:
			c.setState(p, state, done)
			return
		case fleet.KindOf(err) == fleet.NotFound && c.w.losses > 0: // its request is lost, or it had gone before
		default:
			c.w.checker.stateAcked(p, state, err)
		}
		c.changing[p.id] = false
		c.stopped[p.id], c.gone[p.id] = state == fleet.Stopped, state == fleet.Destroyed
		if c.gone[p.id] {
			delete(c.redo, p.id)
		}
		done()
	})
}

func (c *client) bang(p *treePlan, done func()) {
	losses := c.w.losses
	e := fleet.Bang{RequestID: c.id(), Origin: fleet.OriginManual, Source: "client", Message: fmt.Sprintf("version %d", c.version[p.id])}
	patiently(c.w, c.host, c.w.master.host, 0, func() (fleet.BangAnswer, error) { return c.w.master.bang(p.id, e) }, func(a fleet.BangAnswer, err error, _ bool) {
		if c.w.losses == losses {
			c.w.checker.bangAcked(p.id, &e, a, err)
		}
		done()
	})
}

// pause pauses a tree for some minutes, and mostly resumes it before they are over.
func (c *client) pause(p *treePlan, done func()) {
	w := c.w
	until := w.between(time.Second, 5*time.Minute)
	step := func(e fleet.Event, next func()) {
		patiently(w, c.host, w.master.host, 0, func() (fleet.Pause, error) { return answer[fleet.Pause](w.master.step(p.id, e, "")) }, func(_ fleet.Pause, err error, _ bool) {
			w.checker.pauseAcked(p, err)
			next()
		})
	}
	step(fleet.PauseTree{For: until, Reason: "maintenance", By: "client"}, func() {
		if w.chance(0.3) {
			done() // it ends by itself
			return
		}
		w.soon(c.host, w.between(0, until), func() { step(fleet.ResumeTree{By: "client"}, done) })
	})
}

// cancel takes out what is due of a partition of the tree, if its owner hears; a bang makes sure that it is run nevertheless.
func (c *client) cancel(p *treePlan) {
	t := c.w.master.tree(p.id)
	for _, id := range sortedKeys(t.Partitions) {
		at := t.Partitions[id]
		request := c.id()
		for _, r := range c.w.replicas {
			c.w.send(c.host, r.host, func() {
				if o := r.owners[at.Computer]; o != nil && o.agenda != nil {
					o.apply(agenda.Cancel{Partition: at.Name, RequestID: request, By: "client"})
				}
			})
		}
	}
	c.w.soon(c.host, time.Minute, func() { c.bang(p, func() {}) }) // long after the last copy of a cancellation
}

// runNow asks the replica that owns a computer for a run; if no one does, nobody hears.
func (c *client) runNow() {
	n := pick(&c.w.loop, c.w.nodes)
	partition := pick(&c.w.loop, n.machine.partitions)
	id := c.id()
	for _, r := range c.w.replicas {
		c.w.send(c.host, r.host, func() {
			if o := r.owners[n.name]; o != nil && o.agenda != nil {
				o.apply(agenda.RunNow{Partition: partition, RequestID: id})
			}
		})
	}
}
