package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/examine"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// TestAStoreIsExamined tells a good store, one that may evict or is nearly full, and one that is gone.
func TestAStoreIsExamined(t *testing.T) {
	server := storetest.StartRedis(t)
	s, err := store.Open(t.Context(), store.Config{URL: server.URL()}, store.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(t.Context()) }) // it may be gone
	level := func(name string) (examine.Level, string) {
		t.Helper()
		for _, c := range s.Examine(t.Context()) {
			if c.Name == "store: "+name {
				return c.Level, c.Found + c.Advice
			}
		}
		return 0, "there is no such check"
	}
	for _, name := range []string{"durability", "maxmemory-policy", "version", "memory", "stalls"} {
		if got, found := level(name); got != examine.OK {
			t.Errorf("%s: level %d, %s", name, got, found)
		}
	}
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(options)
	t.Cleanup(func() { admin.Close() })
	for name, value := range map[string]string{"maxmemory": "1", "appendfsync": "everysec"} {
		if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, found := level("memory"); got != examine.Fail {
		t.Errorf("a full store: level %d, %s", got, found)
	}
	if got, found := level("durability"); got != examine.Warn || !strings.Contains(found, "everysec") {
		t.Errorf("a store that may lose a second: level %d, %s", got, found)
	}
	if err := admin.ConfigSet(t.Context(), "latency-monitor-threshold", "100").Err(); err != nil {
		t.Fatal(err)
	}
	if _, found := level("stalls"); !strings.Contains(found, "none of 100ms") {
		t.Errorf("a store that did not stall: %s", found)
	}
	const busy = `local began = redis.call('TIME')
repeat local now = redis.call('TIME') until (now[1] - began[1]) * 1e6 + now[2] - began[2] > 150e3`
	if err := admin.Eval(t.Context(), busy, nil).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if got, found := level("stalls"); got != examine.Warn || !strings.Contains(found, "answered nobody for 1") {
		t.Errorf("a store that stalled for 150 ms: level %d, %s", got, found)
	}
	for name, value := range map[string]string{"maxmemory": "0", "maxmemory-policy": "allkeys-lru"} {
		if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, found := level("maxmemory-policy"); got != examine.Fail || !strings.Contains(found, "allkeys-lru") {
		t.Errorf("a store that evicts: level %d, %s", got, found)
	}
}
