package owner

import (
	"sync"
	"sync/atomic"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// ask is something that a caller waits for: it looks at the agenda and may add events; the answer comes once they are saved.
type ask struct {
	look  func(*agenda.Agenda) ([]agenda.Event, error)
	reply chan error // buffered
}

// letters is what a mailbox holds.
type letters struct {
	events []agenda.Event
	asks   []ask
	// reread asks for the truth; check asks whether the session is still current.
	reread, check bool
	// handed are told when all of this is handed over, or never will be.
	handed []*Handover
}

func (l *letters) release() {
	for _, h := range l.handed {
		h.one()
	}
}

// Handover is what was delivered to several owners at once: whoever reads the feed waits for it before reading on (internal/follow).
type Handover struct {
	left atomic.Int64
	done chan struct{}
}

// NewHandover makes one for a number of deliveries.
func NewHandover(deliveries int) *Handover {
	h := &Handover{done: make(chan struct{})}
	if h.left.Store(int64(deliveries)); deliveries == 0 {
		close(h.done)
	}
	return h
}

// Done is closed when each owner has saved and handed over what it was delivered, or ended.
func (h *Handover) Done() <-chan struct{} { return h.done }

func (h *Handover) one() {
	if h.left.Add(-1) == 0 {
		close(h.done)
	}
}

// mailbox never makes its senders wait.
type mailbox struct {
	mu      sync.Mutex // held for a few instructions only
	content letters
	closed  bool
	signal  chan struct{} // buffered: there is something
}

func newMailbox() *mailbox { return &mailbox{signal: make(chan struct{}, 1)} }

// put adds events, handed over with h unless that is nil; false when there were too many: then the truth is read anew instead.
func (m *mailbox) put(h *Handover, events ...agenda.Event) bool {
	m.mu.Lock()
	if h != nil && m.closed {
		defer h.one()
	} else if h != nil {
		m.content.handed = append(m.content.handed, h)
	}
	full := len(m.content.events)+len(events) > MailboxSize
	if full {
		m.content.events, m.content.reread = nil, true
	} else {
		m.content.events = append(m.content.events, events...)
	}
	m.mu.Unlock()
	m.ring()
	return !full
}

// putAsk adds a question; false when nobody will answer.
func (m *mailbox) putAsk(a ask) bool {
	m.mu.Lock()
	closed := m.closed
	if !closed {
		m.content.asks = append(m.content.asks, a)
	}
	m.mu.Unlock()
	m.ring()
	return !closed
}

func (m *mailbox) flag(set func(*letters)) {
	m.mu.Lock()
	set(&m.content)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) take() letters {
	m.mu.Lock()
	defer m.mu.Unlock()
	content := m.content
	m.content = letters{}
	return content
}

// close returns the questions that nobody will answer.
func (m *mailbox) close() []ask {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	content := m.content
	m.content = letters{}
	content.release()
	return content.asks
}

func (m *mailbox) ring() {
	select {
	case m.signal <- struct{}{}:
	default:
	}
}
