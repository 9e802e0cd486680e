package model

import "time"

// host is a process that messages reach, with the clock of its machine.
type host struct {
	name string
	up   bool
	// life counts its starts: what was begun in an earlier life ends with it.
	life uint64
	// skew of its machine's clock; offset is the skew when the process started, as its monotonic clock goes on from there.
	skew, offset time.Duration
	// crashed is called when it dies, started when it starts again.
	crashed, started func()
}

// epoch is when every world begins.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// wall is what the clock on the wall of a machine says; it jumps.
func (w *World) wall(h *host) time.Time { return epoch.Add(w.now + h.skew) }

// clock is what a process measures with: right at its start, monotonic since.
func (w *World) clock(h *host) time.Time { return epoch.Add(w.now + h.offset) }

// soon lets something happen on a host unless it dies before.
func (w *World) soon(h *host, d time.Duration, do func()) {
	life := h.life
	w.after(d, func() {
		if h.up && h.life == life {
			do()
		}
	})
}

// boundary is a place between two effects, where a process may die; it tells whether it did.
func (w *World) boundary(h *host) bool {
	if w.storming && w.chance(w.cfg.Crash) {
		w.say(h.name, "dies between two effects")
		w.crash(h)
	}
	return !h.up
}

// crash kills a process; it is started again later.
func (w *World) crash(h *host) {
	if !h.up {
		return
	}
	w.summary.Crashes++
	h.up = false
	h.life++
	w.breakStreams(h, nil)
	h.crashed()
	down := w.between(100*time.Millisecond, 90*time.Second)
	switch {
	case w.chance(0.05):
		down = w.between(2*time.Minute, 20*time.Minute)
	case w.chance(0.5):
		down = w.between(50*time.Millisecond, 2*time.Second)
	}
	w.after(down, func() { w.start(h) })
}

func (w *World) start(h *host) {
	if h.up {
		return
	}
	h.up, h.offset = true, h.skew
	w.say(h.name, "starts")
	h.started()
}

// link names a pair of hosts, in whatever order.
type link struct{ a, b *host }

func pair(a, b *host) link {
	if b.name < a.name {
		a, b = b, a
	}
	return link{a, b}
}

// delay of one message; ok is false when it is lost.
func (w *World) delay(a, b *host) (time.Duration, bool) {
	d := w.between(100*time.Microsecond, 2*time.Millisecond)
	if w.cuts[pair(a, b)] > 0 {
		return 0, false
	}
	if w.storming {
		if w.chance(w.cfg.Drop) {
			return 0, false
		}
		if w.chance(w.cfg.Late) {
			d += w.between(0, time.Second)
		}
	}
	return d, true
}

// send brings a message to a host, or loses it, or brings it twice.
func (w *World) send(from, to *host, deliver func()) {
	times := 1
	if w.storming && w.chance(w.cfg.Repeat) {
		times = 2
	}
	for range times {
		d, ok := w.delay(from, to)
		if !ok {
			w.summary.Lost++
			continue
		}
		w.after(d, func() {
			if to.up {
				deliver()
			}
		})
	}
}

// callTimeout bounds one call. No message is later than that, so what comes late is a repetition.
const callTimeout = 2 * time.Second

// call asks a host. done is called once, unless the caller dies: answered is false when nothing was heard. The handler may run twice, or run without an answer.
func call[A any](w *World, from, to *host, timeout time.Duration, handle func() (A, error), done func(answer A, err error, answered bool)) {
	life, finished := from.life, false
	finish := func(a A, err error, answered bool) {
		if finished || !from.up || from.life != life {
			return
		}
		finished = true
		done(a, err, answered)
	}
	w.send(from, to, func() {
		serving := to.life
		answer, err := handle()
		if to.up && to.life == serving {
			w.send(to, from, func() { finish(answer, err, true) })
		}
	})
	w.after(timeout, func() {
		var none A
		finish(none, nil, false)
	})
}

// patiently calls until there is an answer, or until patience is over; patience 0 = for ever.
func patiently[A any](w *World, from, to *host, patience time.Duration, handle func() (A, error), done func(answer A, err error, answered bool)) {
	began, pause := w.now, 50*time.Millisecond
	var try func()
	try = func() {
		call(w, from, to, callTimeout, handle, func(answer A, err error, answered bool) {
			if answered || patience > 0 && w.now-began+pause > patience {
				done(answer, err, answered)
				return
			}
			w.soon(from, pause, try)
			pause = min(2*pause, 5*time.Second)
		})
	}
	try()
}
