package redisstore

import (
	"sync"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// position is a place in one shard's feed: the id of an entry of its stream.
type position struct{ epoch, sequence uint64 }

// Hub fans out, within this process, what the one reader of the shards' feeds reads.
type Hub struct {
	limit func(name string)

	mu        sync.Mutex // never held while anything waits
	positions [Shards]position
	boxes     map[*Mailbox]struct{}
}

func newHub(limit func(string)) *Hub {
	return &Hub{limit: limit, boxes: map[*Mailbox]struct{}{}}
}

// News is what came since the last look.
type News struct {
	// Entries are in order within each shard, with their positions.
	Entries []*masterv1.FeedEntry
	// Rescan are shards of which entries were lost or whose epoch moved; the entries here come after that.
	Rescan []int
	// Computers changed: registered, supplied, reserved. Only for mailboxes that asked for them.
	Computers []string
}

// Interest says what a mailbox gets.
type Interest struct {
	// Entries picks feed entries; nil = none.
	Entries func(*masterv1.FeedEntry) bool
	// Computers wants changes of computers.
	Computers bool
	// Name is who follows, for metrics.
	Name string
}

// Mailbox is one follower's bounded queue. A follower that is too slow is cut off, not waited for.
type Mailbox struct {
	hub      *Hub
	interest Interest
	bound    int
	ready    chan struct{}

	mu   sync.Mutex // never held while anything waits
	news News
	cut  bool
}

// subscribe makes a mailbox and tells the positions after which it gets entries.
func (h *Hub) subscribe(interest Interest, bound int) (*Mailbox, [Shards]position) {
	m := &Mailbox{hub: h, interest: interest, bound: bound, ready: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.boxes[m] = struct{}{}
	return m, h.positions
}

// Close ends the mailbox.
func (m *Mailbox) Close() {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	delete(m.hub.boxes, m)
}

// Ready holds one when there is news; Take takes it.
func (m *Mailbox) Ready() <-chan struct{} { return m.ready }

// Take returns all news at once, and false when the mailbox was cut off because its follower was too slow: it gets
// nothing any more.
func (m *Mailbox) Take() (News, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.news
	m.news = News{}
	return news, !m.cut
}

func (m *Mailbox) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.news.Entries)
}

// put adds news; false means that the mailbox is full now and must be closed.
func (m *Mailbox) put(add func(*News)) bool {
	m.mu.Lock()
	add(&m.news)
	if len(m.news.Entries) > m.bound || len(m.news.Computers) > m.bound {
		m.cut, m.news = true, News{}
	}
	cut := m.cut
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
	return !cut
}

// each calls put for every mailbox, and closes those that are full.
func (h *Hub) each(add func(interest Interest) func(*News)) {
	h.mu.Lock()
	var full int
	for m := range h.boxes {
		if do := add(m.interest); do != nil && !m.put(do) {
			delete(h.boxes, m)
			full++
		}
	}
	h.mu.Unlock()
	for range full {
		h.limit(LimitMailbox)
	}
}

// begin sets the positions after which entries will come.
func (h *Hub) begin(at [Shards]position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.positions = at
}

func (h *Hub) reached() [Shards]position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.positions
}

// entries fans out what was read of one shard, in order. What was read before the epoch moved and comes after that is of the epoch before: all
// were told to read the shard anew, and the feed does not go back.
func (h *Hub) entries(shard int, entries []*masterv1.FeedEntry) {
	h.mu.Lock()
	last := h.positions[shard]
	for len(entries) > 0 && entries[0].GetPosition().GetEpoch() < last.epoch {
		entries = entries[1:]
	}
	lost := false
	for _, e := range entries {
		next := position{e.GetPosition().GetEpoch(), e.GetPosition().GetSequence()}
		// Sequences have no gaps within an epoch: a gap was trimmed before it was read.
		if next.epoch != last.epoch || next.sequence != last.sequence+1 {
			lost = true
		}
		last = next
	}
	h.positions[shard] = last
	h.mu.Unlock()
	h.each(func(interest Interest) func(*News) {
		if interest.Entries == nil {
			return nil
		}
		return func(n *News) {
			if lost {
				n.Rescan = append(n.Rescan, shard)
			}
			for _, e := range entries {
				if interest.Entries(e) {
					n.Entries = append(n.Entries, e)
				}
			}
		}
	})
}

// epochMoved tells everyone to read a shard anew. Of the new epoch all entries are still to come: its sequences may begin
// below the last one read, when entries were lost.
func (h *Hub) epochMoved(shard int, epoch uint64) {
	h.mu.Lock()
	h.positions[shard] = position{epoch: epoch}
	h.mu.Unlock()
	h.each(func(interest Interest) func(*News) {
		if interest.Entries == nil {
			return nil
		}
		return func(n *News) { n.Rescan = append(n.Rescan, shard) }
	})
}

// computerChanged tells those who watch computers.
func (h *Hub) computerChanged(name string) {
	h.each(func(interest Interest) func(*News) {
		if !interest.Computers {
			return nil
		}
		return func(n *News) { n.Computers = append(n.Computers, name) }
	})
}

// Lags reports how many entries each follower has not taken.
func (h *Hub) lags(report func(follower string, entries int)) {
	h.mu.Lock()
	sizes := map[string]int{}
	for m := range h.boxes {
		if m.interest.Name != "" {
			sizes[m.interest.Name] = max(sizes[m.interest.Name], m.size())
		}
	}
	h.mu.Unlock()
	for name, n := range sizes {
		report(name, n)
	}
}
