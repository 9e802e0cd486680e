package model

import (
	"math"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
)

// fault breaks something, and plans the next fault.
func (w *World) fault() {
	if !w.storming {
		return
	}
	w.breakSomething()
	wait := time.Duration(-math.Log(1-w.rand.Float64()) * float64(w.cfg.Calm))
	w.after(wait, w.fault)
}

func (w *World) breakSomething() {
	hosts := w.hosts()
	if w.chance(w.cfg.Epochs) {
		w.lose()
		return
	}
	if w.cfg.Evictions > 0 && w.chance(w.cfg.Evictions) {
		w.evict()
		return
	}
	switch w.rand.IntN(13) {
	case 0:
		w.say("fault", "the master dies")
		w.crash(w.master.host)
	case 1, 2:
		if h := pick(&w.loop, hosts); h != w.client.host {
			w.say("fault", "%s dies", h.name)
			w.crash(h)
		}
	case 3:
		a, b := pick(&w.loop, hosts), pick(&w.loop, hosts)
		if a != b {
			w.cut(a, b)
		}
	case 4:
		h := pick(&w.loop, hosts)
		for _, other := range hosts {
			if other != h {
				w.cut(h, other) // a machine without its network
			}
		}
	case 5:
		if w.cfg.Jump > 0 {
			w.summary.Jumps++
			if w.chance(0.3) {
				w.agendas.skew = w.between(-w.cfg.Jump, w.cfg.Jump)
				w.say("fault", "the store's clock jumps to %s", w.agendas.skew)
				return
			}
			h := pick(&w.loop, hosts)
			h.skew = w.between(-w.cfg.Jump, w.cfg.Jump)
			w.say("fault", "the clock of %s jumps to %s", h.name, h.skew)
		}
	case 6:
		w.say("fault", "the feed is trimmed")
		w.master.trim()
	case 7:
		if n := pick(&w.loop, w.nodes); w.chance(0.3) {
			n.machine.reboot()
		}
	case 8, 9:
		w.killProcess()
	case 10:
		w.flap(3 + w.rand.IntN(10))
	default:
		w.breakTenant()
	}
}

// evict has svc-master take an instance from its computer, which may be alive, busy with it, or out of reach.
func (w *World) evict() {
	n, t := w.tenant()
	if t == nil || !w.master.up {
		return
	}
	w.say("fault", "%s is evicted from %s", t.allocation, n.name)
	if _, err := w.master.step(t.tree, fleet.Evict{AllocationID: t.allocation, Reason: "evicted from " + n.name}, ""); err == nil {
		w.summary.Evictions++
	}
}

// cut parts two hosts for a while.
func (w *World) cut(a, b *host) {
	w.summary.Cuts++
	of, d := pair(a, b), w.between(time.Second, 2*time.Minute)
	if w.chance(0.1) {
		d = w.between(2*time.Minute, 20*time.Minute)
	}
	w.say("fault", "%s and %s are cut for %s", of.a.name, of.b.name, d)
	w.cuts[of]++
	w.breakStreams(a, b)
	w.after(d, func() {
		if w.cuts[of] > 0 {
			w.cuts[of]--
		}
	})
}

func (w *World) tenant() (*node, *tenant) {
	n := pick(&w.loop, w.nodes)
	t := n.machine.tenants[pick(&w.loop, n.machine.partitions)]
	return n, t
}

func (w *World) killProcess() {
	n, t := w.tenant()
	if t == nil || t.plan.services == 0 {
		return
	}
	k := key(t, w.rand.IntN(t.plan.services))
	w.say("fault", "%s of %s dies", k, n.name)
	n.machine.exit(k)
}

// flap makes a service exit again and again, soon after each start.
func (w *World) flap(times int) {
	n, t := w.tenant()
	if t == nil || t.plan.services == 0 {
		return
	}
	k := key(t, w.rand.IntN(t.plan.services))
	w.say("fault", "%s of %s exits %d times", k, n.name, times)
	var again func()
	again = func() {
		if times--; times < 0 || !w.storming || n.machine.tenants[t.partition] != t {
			return
		}
		n.machine.exit(k)
		w.after(w.between(time.Second, 12*time.Second), again)
	}
	again()
}

// breakTenant breaks a promise, or makes the next runs of a partition fail, or makes it publish another value.
func (w *World) breakTenant() {
	n, t := w.tenant()
	if t == nil {
		return
	}
	w.summary.Breakages++
	switch {
	case w.chance(0.2):
		t.fails, t.stage = 1+w.rand.IntN(3), []converge.Stage{converge.AtRelease, converge.AtProfile}[w.rand.IntN(2)]
		w.say("fault", "the next %d runs of %s on %s fail at %s", t.fails, t.allocation, n.name, t.stage)
	case w.chance(0.2):
		t.published++
		w.say("fault", "%s on %s publishes another value", t.allocation, n.name)
	case len(t.promises) > 0:
		p := pick(&w.loop, t.promises)
		if w.chance(0.6) {
			p.repairs = 1 + w.rand.IntN(3)
		} else {
			p.until = w.now + w.between(time.Second, 10*time.Minute)
		}
		w.say("fault", "promise %s of %s on %s fails: %d repairs, until %s", p.name, t.allocation, n.name, p.repairs, p.until)
	}
}

// heal ends the storm: nothing breaks any more, all links are there, all hosts start again in their time, and what is broken is repaired by one run:
// several with the growing delay between them would only take longer.
func (w *World) heal() {
	w.say("world", "the storm is over")
	w.storming = false
	clear(w.cuts)
	for _, n := range w.nodes {
		for _, name := range sortedKeys(n.machine.tenants) {
			t := n.machine.tenants[name]
			t.fails = 0
			for _, p := range t.promises {
				p.repairs = min(p.repairs, 1)
			}
		}
	}
}
