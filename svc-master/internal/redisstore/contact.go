package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/vow-os/vow/kit/store"
)

// contacts gathers last contacts, so that a chatty fleet costs one write per computer and round.
type contacts struct {
	mu     sync.Mutex // never held while anything waits
	newest map[string]time.Time
}

func newContacts() *contacts { return &contacts{newest: map[string]time.Time{}} }

// Contacted notes that bytes of a computer were read at a time. It is written with the next FlushContacts and seen by
// readers of this process at once. Computers that are not registered are forgotten at the flush.
func (s *Store) Contacted(computer string, at time.Time) {
	c := s.contacts
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.newest[computer]) {
		c.newest[computer] = at
	}
}

func (c *contacts) pending(computer string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest[computer]
}

func (c *contacts) take() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.newest
	c.newest = map[string]time.Time{}
	return out
}

// FlushContacts writes what was gathered. What could not be written is kept for the next round.
func (s *Store) FlushContacts(ctx context.Context) error {
	batch := s.contacts.take()
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	calls := make([]store.Call, 0, len(batch))
	names := make([]string, 0, len(batch))
	for name, at := range batch {
		calls = append(calls, store.Call{Script: s.scripts.contact, Keys: []string{computerKey(name)}, Args: []any{at.UnixMicro()}})
		names = append(names, name)
	}
	var failed error
	for i, answer := range s.redis.RunAll(ctx, calls) {
		if err := answer.Err(); err != nil {
			s.Contacted(names[i], batch[names[i]])
			failed = &UnavailableError{"cannot write contacts", err}
		}
	}
	return failed
}
