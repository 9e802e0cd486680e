package storetest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/store"
)

// openTimeout bounds opening and closing a store in a test.
const openTimeout = 30 * time.Second

// Each runs a test as four subtests, "embedded", "redis", "sentinel" and "cluster", each with an empty store. With -short, those of several
// servers are left out.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, Embedded(t)) })
	t.Run("redis", func(t *testing.T) { test(t, StartRedis(t).Open(t)) })
	t.Run("sentinel", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a replica takes a moment to have everything: left out by -short")
		}
		test(t, StartSentinel(t, 1).Open(t))
	})
	t.Run("cluster", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a Redis Cluster takes seconds to form: left out by -short")
		}
		test(t, StartCluster(t).Open(t))
	})
}

// Embedded opens an embedded store that keeps nothing. It works inside a testing/synctest bubble.
func Embedded(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{Embedded: true}, store.Settings{})
}

// Open opens a store and stops it when the test ends.
func Open(t testing.TB, cfg store.Config, settings store.Settings) *store.Store {
	t.Helper()
	if settings.Log == nil {
		settings.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	s, err := store.Open(ctx, cfg, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}
