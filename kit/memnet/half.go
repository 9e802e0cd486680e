package memnet

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// MaxBuffered bounds what one direction of a connection holds for a reader that does not read. A real peer would have
// been blocked long before (sockets hold some MiB): hitting it is a bug of the reader, and resets the connection.
const MaxBuffered = 256 << 20

// Errors of connections.
var (
	// ErrReset ends a connection whose peer was killed or whose link lost bytes.
	ErrReset = errors.New("connection reset by peer")
	// ErrBufferFull resets a connection whose reader let MaxBuffered pile up.
	ErrBufferFull = errors.New("connection reset: the peer does not read")
)

// half is one direction of a connection: a queue of chunks, each with the time when it arrives.
type half struct {
	now func() time.Time

	mu       sync.Mutex
	chunks   []chunk
	buffered int
	latency  time.Duration
	held     bool          // the link is cut: nothing arrives
	lossy    bool          // the link is cut: what is written is lost
	lost     bool          // something was lost
	eof      bool          // the writer closed; arrives after the chunks
	err      error         // the connection broke; arrives at once
	gone     bool          // the reader closed
	deadline time.Time     // of reads
	changed  chan struct{} // closed at the next change, if somebody waits
}

type chunk struct {
	bytes   []byte
	arrives time.Time
}

func newHalf() *half { return &half{now: time.Now} }

// change wakes who waits; h.mu is held.
func (h *half) change() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return 0, h.err
	case h.eof:
		return 0, io.ErrClosedPipe
	case h.gone:
		return 0, ErrReset
	case len(b) == 0:
		return 0, nil
	case h.lossy:
		h.lost = true
		return len(b), nil
	case h.buffered+len(b) > MaxBuffered:
		h.err = ErrBufferFull
		h.change()
		return 0, h.err
	}
	arrives := time.Time{}
	if h.latency > 0 {
		arrives = h.now().Add(h.latency)
	}
	// Small writes on top of each other share a chunk: a frame header and its payload are two writes.
	if last := len(h.chunks) - 1; last >= 0 && h.chunks[last].arrives.Equal(arrives) && len(h.chunks[last].bytes)+len(b) <= 64<<10 {
		h.chunks[last].bytes = append(h.chunks[last].bytes, b...)
	} else {
		h.chunks = append(h.chunks, chunk{append([]byte(nil), b...), arrives})
	}
	h.buffered += len(b)
	h.change()
	return len(b), nil
}

func (h *half) read(b []byte) (int, error) {
	for {
		n, wait, changed, err := h.tryRead(b)
		if changed == nil {
			return n, err
		}
		if wait < 0 {
			<-changed
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// tryRead reads what has arrived; a non-nil channel says to wait for it, or for a time when that is not negative.
func (h *half) tryRead(b []byte) (n int, wait time.Duration, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	switch {
	case h.gone:
		return 0, 0, nil, io.ErrClosedPipe
	case h.err != nil:
		return 0, 0, nil, h.err
	case !h.deadline.IsZero() && !now.Before(h.deadline):
		return 0, 0, nil, os.ErrDeadlineExceeded
	case len(b) == 0:
		return 0, 0, nil, nil
	}
	wait = -1
	if !h.held {
		for n < len(b) && len(h.chunks) > 0 && !h.chunks[0].arrives.After(now) {
			n += h.take(b[n:])
		}
		if n > 0 {
			return n, 0, nil, nil
		}
		if len(h.chunks) == 0 && h.eof {
			return 0, 0, nil, io.EOF
		}
		if len(h.chunks) > 0 {
			wait = h.chunks[0].arrives.Sub(now)
		}
	}
	if !h.deadline.IsZero() && (wait < 0 || h.deadline.Sub(now) < wait) {
		wait = h.deadline.Sub(now)
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return 0, wait, h.changed, nil
}

// take moves bytes of the first chunk to b.
func (h *half) take(b []byte) int {
	first := &h.chunks[0]
	n := copy(b, first.bytes)
	first.bytes = first.bytes[n:]
	h.buffered -= n
	if len(first.bytes) == 0 {
		h.chunks[0] = chunk{}
		h.chunks = h.chunks[1:]
	}
	return n
}

func (h *half) setDeadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = t
	h.change()
}

// finish is the writer's close.
func (h *half) finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lossy {
		h.lost = true // so is the end of the stream
		return
	}
	h.eof = true
	h.change()
}

// abandon is the reader's close.
func (h *half) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	h.chunks, h.buffered = nil, 0
	h.change()
}

// fail breaks the connection.
func (h *half) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
	h.change()
}

// link applies the state of the link; it tells whether bytes were lost that will never arrive.
func (h *half) link(cut *Cut, latency time.Duration) (lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latency = latency
	h.held = cut != nil
	h.lossy = cut != nil && *cut == Drop
	if h.lossy && (len(h.chunks) > 0) {
		// What was on its way when the cable was cut is lost too.
		h.chunks, h.buffered, h.lost = nil, 0, true
	}
	h.change()
	return cut == nil && h.lost
}
