package model

import (
	"slices"
	"time"
)

// pingTimeout is how long a dead connection may go unnoticed: 15 s between pings and as long for the answer.
const pingTimeout = 30 * time.Second

// stream is a connection over which messages come in order or not at all. Each end finds out by itself that it is broken.
type stream struct {
	w       *World
	ends    [2]*host
	open    [2]bool
	arrived [2]time.Duration // when the latest message towards an end arrives
	doomed  bool             // what is sent from now on is lost
	lost    [2]func()        // called when an end finds it broken
}

// dial opens a stream from a host to another: connected is called once it is open, failed when it could not be. The other end learns of it by the first message.
func (w *World) dial(from, to *host, connected func(*stream), failed func()) {
	call(w, from, to, callTimeout, func() (*stream, error) {
		s := &stream{w: w, ends: [2]*host{from, to}, open: [2]bool{false, true}}
		w.streams = append(w.streams, s)
		w.after(pingTimeout, func() {
			if !s.open[0] { // nobody took it up
				s.doom()
			}
		})
		return s, nil
	}, func(s *stream, _ error, answered bool) {
		switch {
		case !answered:
			failed() // the other end, if there is one, finds out by its pings
		case s.doomed || !s.open[1]:
			failed()
		default:
			s.open[0] = true
			connected(s)
		}
	})
}

// send sends a message towards end 0 or 1.
func (s *stream) send(towards int, deliver func()) {
	from, to := s.ends[1-towards], s.ends[towards]
	if !s.open[1-towards] || s.doomed {
		return
	}
	d, ok := s.w.delay(from, to)
	if !ok {
		s.doom()
		return
	}
	s.arrived[towards] = max(s.arrived[towards], s.w.now+d)
	s.w.after(s.arrived[towards]-s.w.now, func() {
		if s.open[towards] && to.up {
			deliver()
		}
	})
}

// doom breaks the stream: both ends find out within pingTimeout, each in its time.
func (s *stream) doom() {
	if s.doomed {
		return
	}
	s.doomed = true
	for end := range s.ends {
		s.w.after(s.w.between(0, pingTimeout), func() { s.close(end) })
	}
}

// close is an end that finds the stream broken, or gives it up; then the other end hears of it soon.
func (s *stream) close(end int) {
	if s.open[end] {
		s.open[end] = false
		if s.lost[end] != nil && s.ends[end].up {
			s.lost[end]()
		}
	}
	if s.open[1-end] && !s.doomed {
		s.doomed = true
		s.w.after(s.w.between(time.Millisecond, 5*time.Second), func() { s.close(1 - end) })
	}
}

// breakStreams breaks the streams of a host, or those between two.
func (w *World) breakStreams(a, b *host) {
	kept := w.streams[:0]
	for _, s := range w.streams {
		at := slices.Index(s.ends[:], a)
		switch {
		case at < 0:
		case b == nil: // the process died: its end is gone without a word
			s.open[at] = false
			s.doom()
		case s.ends[1-at] == b:
			s.doom()
		}
		if !s.doomed {
			kept = append(kept, s)
		}
	}
	clear(w.streams[len(kept):])
	w.streams = kept
}
