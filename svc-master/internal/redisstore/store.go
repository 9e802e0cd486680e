package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
)

// Settings is what a developer passes to New. Zero values are defaults, except of Redis.
type Settings struct {
	// Redis is the open connection. The caller closes it after Stop.
	Redis *store.Store
	// Log gets what an operator should know; nil = nothing is logged.
	Log *slog.Logger
	// Limit counts hits of a limit by its name; nil = not counted.
	Limit func(name string)
	// Limits are the bounds.
	Limits Limits
}

// Store keeps trees, computers, roots and the feed in one Redis, Sentinel or Cluster.
type Store struct {
	redis    *store.Store
	client   redis.UniversalClient
	reading  redis.UniversalClient // for the blocking read; closing it is what ends that
	log      *slog.Logger
	limit    func(name string)
	limits   Limits
	scripts  scripts
	epochs   epochs
	contacts *contacts
	hub      *Hub
	written  *written
	cache    *cache
	trees    *committers
	hosts    *hosts

	stopping context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New makes a store; Start makes it usable.
func New(s Settings) *Store {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Limit == nil {
		s.Limit = func(string) {}
	}
	made := &Store{
		redis: s.Redis, client: s.Redis.Redis(), reading: s.Redis.Blocking(), log: s.Log, limit: s.Limit, limits: s.Limits.withDefaults(),
		scripts: newScripts(), contacts: newContacts(), hub: newHub(s.Limit), written: newWritten(),
		cache: newCache(cachedTrees), trees: newCommitters(), hosts: newHosts(),
	}
	made.epochs.doubt = make(chan struct{}, 1)
	made.stopping, made.stop = context.WithCancel(context.Background())
	return made
}

// Start checks the epochs, goes to the end of the feed and begins to read it.
func (s *Store) Start(ctx context.Context) error {
	s.watchDials()
	for _, begin := range []func(context.Context) error{s.checkEpochs, s.beginFeed} {
		if err := s.redis.Await(ctx, begin); err != nil {
			return err
		}
	}
	s.redis.OnConnect(s.admit)
	for _, keep := range []func(context.Context) error{s.keepEpochs, s.keepReading} {
		s.running.Go(func() {
			if err := keep(s.stopping); err != nil {
				s.log.ErrorContext(s.stopping, "the store stopped reading", "error", err)
			}
		})
	}
	return nil
}

// Stop ends the reading and waits for commits under way, by the deadline of ctx.
func (s *Store) Stop(ctx context.Context) error {
	s.stop()
	closed := s.reading.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.trees.close()
		s.running.Wait()
	}()
	select {
	case <-ended:
		if errors.Is(closed, redis.ErrClosed) {
			return nil
		}
		return closed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Subscribe makes a mailbox of what changes from now on; close it.
func (s *Store) Subscribe(interest Interest) *Mailbox {
	box, _ := s.hub.subscribe(interest, s.limits.Mailbox)
	return box
}

// FeedLags reports how many entries each follower has not taken yet.
func (s *Store) FeedLags(report func(follower string, entries int)) { s.hub.lags(report) }

// bounded gives a round trip its latest end.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, timeout)
}
