package api

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

const (
	// contactEvery is how often contacts are told to svc-master: a computer turns Orange after 5 min of silence, so a minute of delay is too much and a second too dear.
	contactEvery = 10 * time.Second
	// maxContacts of one report, as the contract says.
	maxContacts = 5000
)

// Contacts remembers when each computer was last heard of and tells svc-master in batches (docs/rules.md, computer colour).
type Contacts struct {
	mu    sync.Mutex // never held while anything waits
	heard map[string]time.Time
	open  map[string]map[context.Context]struct{}
}

// NewContacts remembers nothing yet.
func NewContacts() *Contacts {
	return &Contacts{heard: map[string]time.Time{}, open: map[string]map[context.Context]struct{}{}}
}

// Heard notes that bytes of a computer were read.
func (c *Contacts) Heard(computer string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.heard[computer]) {
		c.heard[computer] = at
	}
}

// Open says that a stream of a computer is open; its connection is asked when it was last read from, until the returned function is called.
func (c *Contacts) Open(ctx context.Context, computer string) (closed func()) {
	c.Heard(computer, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[computer] == nil {
		c.open[computer] = map[context.Context]struct{}{}
	}
	c.open[computer][ctx] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.open[computer], ctx); len(c.open[computer]) == 0 {
			delete(c.open, computer)
		}
	}
}

// take returns what was heard since the last time.
func (c *Contacts) take() []*masterv1.Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	for computer, streams := range c.open {
		for ctx := range streams {
			if at, ok := rpc.ConnLastRead(ctx); ok && at.After(c.heard[computer]) {
				c.heard[computer] = at
			}
		}
	}
	contacts := make([]*masterv1.Contact, 0, len(c.heard))
	for computer, at := range c.heard {
		contacts = append(contacts, &masterv1.Contact{Computer: computer, At: timestamppb.New(at)})
	}
	clear(c.heard)
	return contacts
}

// Report tells svc-master until ctx ends. What could not be told is lost: the next read says something newer.
func (c *Contacts) Report(ctx context.Context, m *Master, t *telemetry.Telemetry) error {
	tick := time.NewTicker(contactEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for contacts := c.take(); len(contacts) > 0; {
			n := min(len(contacts), maxContacts)
			if err := m.reportContacts(ctx, contacts[:n]); err != nil {
				t.Log.DebugContext(ctx, "cannot report contacts", "computers", n, "error", err)
				break
			}
			contacts = contacts[n:]
		}
	}
}
