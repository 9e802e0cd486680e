package redisstore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/svc-master/fleet"
)

// contacts gathers last contacts, so that a chatty fleet costs one write per computer and round.
type contacts struct {
	mu     sync.Mutex // never held while anything waits
	newest map[string]time.Time
	// heard is when this process last heard of each registered computer, and news holds one when that ended a silence.
	heard map[string]time.Time
	news  chan struct{}
}

func newContacts() *contacts {
	return &contacts{newest: map[string]time.Time{}, heard: map[string]time.Time{}, news: make(chan struct{}, 1)}
}

// silence is after how long without a contact the next one is news: a minute before it would turn the computer Orange.
const silence = fleet.GreenAge - time.Minute

// ContactNews gets one when a computer was heard of after a silence: its colour may turn, so that it should not wait for the next round of FlushContacts.
func (s *Store) ContactNews() <-chan struct{} { return s.contacts.news }

// Contacted notes that bytes of a computer were read at a time. It is written with the next FlushContacts and seen by
// readers of this process at once. Computers that are not registered are forgotten at the flush.
func (s *Store) Contacted(computer string, at time.Time) {
	c := s.contacts
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.newest[computer]) {
		c.newest[computer] = at
	}
	if at.Sub(c.heard[computer]) > silence {
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
}

// LastContact is the newest contact of a computer that this process knows of; zero = it has not heard of it.
func (s *Store) LastContact(computer string) time.Time {
	c := s.contacts
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest[computer].After(c.heard[computer]) {
		return c.newest[computer]
	}
	return c.heard[computer]
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

// contactsAtOnce is how many contacts one pipeline carries: others wait 5 ms for it at most.
const contactsAtOnce = 500

// FlushContacts writes what was gathered, a pipeline after the other. What could not be written is kept for the next round.
func (s *Store) FlushContacts(ctx context.Context) error {
	batch := s.contacts.take()
	var failed error
	for names := range slices.Chunk(slices.Collect(maps.Keys(batch)), contactsAtOnce) {
		if err := s.flushContacts(ctx, names, batch); err != nil {
			failed = &UnavailableError{"cannot write contacts", err}
		}
	}
	return failed
}

func (s *Store) flushContacts(ctx context.Context, names []string, batch map[string]time.Time) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	calls := make([]store.Call, 0, len(names))
	for _, name := range names {
		calls = append(calls, store.Call{Script: s.scripts.contact, Keys: []string{computerKey(name)}, Args: []any{batch[name].UnixMicro()}})
	}
	var failed error
	var turned []string
	for i, answer := range s.redis.RunAll(ctx, calls) {
		before, err := answer.Int64()
		if err != nil {
			s.Contacted(names[i], batch[names[i]])
			failed = err
			continue
		}
		if s.contacts.written(names[i], batch[names[i]], before) {
			turned = append(turned, names[i])
		}
	}
	s.computersChanged(ctx, turned)
	return failed
}

// written notes what became of a contact, and tells whether the computer may have another colour since: before is what the script answered.
func (c *contacts) written(computer string, at time.Time, before int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before == -1 { // not registered
		delete(c.heard, computer)
		return false
	}
	c.heard[computer] = at
	return before == 0 || before > 0 && at.Sub(time.UnixMicro(before)) > fleet.GreenAge
}
