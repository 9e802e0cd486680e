package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/kit/telemetry"
)

var increment = store.NewScript("increment", `
local n = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('XADD', KEYS[2], string.format('%d-%d', n, 0), 'n', n)
return n
`)

func TestScriptsRunOnEveryKindOfStoreAndAreLoadedWhenUnknown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for i := range 3 {
			n, err := s.Run(ctx, increment, []string{"{s01}h", "{s01}feed"}, "n").Int()
			if err != nil || n != i+1 {
				t.Fatalf("run %d answered %d, %v", i, n, err)
			}
		}
		var calls []store.Call
		for _, tag := range []string{"{s00}", "{s01}", "{s02}", "{s63}"} {
			calls = append(calls, store.Call{Script: increment, Keys: []string{tag + "h", tag + "feed"}, Args: []any{"n"}})
		}
		want := []int{1, 4, 1, 1}
		for i, answer := range s.RunAll(ctx, calls) {
			if n, err := answer.Int(); err != nil || n != want[i] {
				t.Errorf("call %d of the pipeline answered %d, %v; want %d", i, n, err, want[i])
			}
		}
	})
}

func TestAScriptWhoseKeysAreInTwoSlotsIsRefusedOnEveryKindOfStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		err := s.Run(t.Context(), increment, []string{"{s01}h", "{s02}feed"}, "n").Err()
		if err == nil || !strings.Contains(err.Error(), "different slots") {
			t.Fatalf("got %v", err)
		}
		answers := s.RunAll(t.Context(), []store.Call{
			{Script: increment, Keys: []string{"a", "b"}},
			{Script: increment, Keys: []string{"{a}1", "{a}2"}, Args: []any{"n"}},
		})
		if answers[0].Err() == nil || answers[1].Err() != nil {
			t.Fatalf("got %v and %v, want the first refused only", answers[0].Err(), answers[1].Err())
		}
	})
}

func TestABlockedReadEndsWhenItsClientIsClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		client := s.Blocking()
		result := make(chan error, 1)
		go func() {
			result <- client.XRead(context.Background(), &redis.XReadArgs{Streams: []string{"{s01}feed", "$"}, Block: 5 * time.Second}).Err()
		}()
		// Another client's write proves that the store goes on while one waits.
		if err := s.Redis().Set(t.Context(), "x", "y", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil {
			t.Fatal("the read was answered")
		}
	})
}

func TestARealRedisThatMayEvictIsRefused(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	_, err := store.Open(t.Context(), store.Config{URL: server.URL()}, store.Settings{})
	if err == nil || !strings.Contains(err.Error(), "allkeys-lru") || !strings.Contains(err.Error(), "noeviction") {
		t.Fatalf("opened, or not said why: %v", err)
	}
}

func TestWhatRedisAcknowledgedSurvivesKill9AndTheRunIdChanges(t *testing.T) {
	server := storetest.StartRedis(t)
	s := server.Open(t)
	d, err := s.Durability(t.Context())
	if err != nil || !d.Durable || !strings.Contains(d.Words, "appendfsync always") {
		t.Fatalf("durability %+v, %v", d, err)
	}
	before, err := s.RunID(t.Context(), "k")
	if err != nil || before == "" {
		t.Fatalf("run id %q, %v", before, err)
	}
	if err := s.Redis().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill9()
	if err := s.Redis().Get(t.Context(), "k").Err(); !store.IsUnavailable(err) {
		t.Fatalf("a dead Redis answers %v, which is not unavailable", err)
	}
	server.Restart()
	if v, err := s.Redis().Get(t.Context(), "k").Result(); err != nil || v != "v" {
		t.Fatalf("after kill -9 the key is %q, %v", v, err)
	}
	after, err := s.RunID(t.Context(), "k")
	if err != nil || after == before {
		t.Fatalf("the run id is %q before and %q after, %v", before, after, err)
	}
}

func TestOpenWaitsForTheServerAsLongAsItsContextAllows(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := store.Open(ctx, store.Config{URL: "redis://127.0.0.1:1"}, store.Settings{})
	if err == nil || !strings.Contains(err.Error(), "cannot reach the store") {
		t.Fatalf("got %v", err)
	}
}

func TestUrlsAreCheckedWithoutShowingPasswords(t *testing.T) {
	for url, want := range map[string]string{
		"redis://localhost":                       "",
		"redis://user:pass@localhost:6379/2":      "",
		"rediss://localhost:6379":                 "",
		"unix:///run/redis.sock":                  "",
		"redis-sentinel://a:26379,b:26379/master": "",
		"redis-cluster://:secret@a:7000,b:7001":   "",
		"redis-sentinel://a:26379":                "master is missing",
		"redis-cluster://a:7000/1":                "one database",
		"redis://:secret@a:1,b:2":                 "one host",
		"mysql://:secret@localhost":               "not known",
		"localhost:6379":                          "want redis://",
		"redis://localhost/x":                     "not a number",
		"unix://relative":                         "path",
	} {
		err := store.Config{URL: url}.Validate()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", url, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %q", url, err, want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
}

// fill writes one key of every type, with what is easily lost: binary values, empty strings, exact scores, a stream
// whose last entry was trimmed, a time to live.
func fill(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, c := t.Context(), s.Redis()
	for _, cmd := range []redis.Cmder{
		c.Set(ctx, "string", "\x00\xff\r\n", 0),
		c.Set(ctx, "empty", "", 0),
		c.Set(ctx, "mortal", "v", time.Hour),
		c.Set(ctx, "dead soon", "v", 20*time.Millisecond),
		c.HSet(ctx, "hash", "f1", "v1", "f2", "\x00", "", "empty field"),
		c.RPush(ctx, "list", "b", "a", "b", ""),
		c.SAdd(ctx, "set", "x", "y", "\xfe"),
		c.ZAdd(ctx, "zset", redis.Z{Score: 0.1, Member: "a"}, redis.Z{Score: 1732190000123, Member: "b"}, redis.Z{Score: -1e-9, Member: "c"}),
		c.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: "1-1", Values: []string{"k", "v1", "k", "again"}}),
		c.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: "5-0", Values: []string{"k", "v2"}}),
		c.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: "9-7", Values: []string{"k", "v3"}}),
		c.XDel(ctx, "stream", "9-7"),
		c.XAdd(ctx, &redis.XAddArgs{Stream: "drained", ID: "7-0", Values: []string{"k", "v"}}),
		c.XDel(ctx, "drained", "7-0"),
	} {
		if cmd.Err() != nil {
			t.Fatalf("%v: %v", cmd, cmd.Err())
		}
	}
}

func assertFilled(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, c := t.Context(), s.Redis()
	if v := c.Get(ctx, "string").Val(); v != "\x00\xff\r\n" {
		t.Errorf("the string is %q", v)
	}
	if v, err := c.Get(ctx, "empty").Result(); err != nil || v != "" {
		t.Errorf("the empty string is %q, %v", v, err)
	}
	if ttl := c.PTTL(ctx, "mortal").Val(); ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("the mortal key lives for %v", ttl)
	}
	if n := c.Exists(ctx, "dead soon").Val(); n != 0 {
		t.Error("a key that expired while nothing ran is back")
	}
	if h := c.HGetAll(ctx, "hash").Val(); len(h) != 3 || h["f1"] != "v1" || h["f2"] != "\x00" || h[""] != "empty field" {
		t.Errorf("the hash is %q", h)
	}
	if l := c.LRange(ctx, "list", 0, -1).Val(); !slices.Equal(l, []string{"b", "a", "b", ""}) {
		t.Errorf("the list is %q", l)
	}
	set := c.SMembers(ctx, "set").Val()
	slices.Sort(set)
	if !slices.Equal(set, []string{"x", "y", "\xfe"}) {
		t.Errorf("the set is %q", set)
	}
	for member, want := range map[string]float64{"a": 0.1, "b": 1732190000123, "c": -1e-9} {
		if got := c.ZScore(ctx, "zset", member).Val(); got != want {
			t.Errorf("the score of %s is %v, want %v", member, got, want)
		}
	}
	entries := c.XRange(ctx, "stream", "-", "+").Val()
	if len(entries) != 2 || entries[0].ID != "1-1" || entries[1].ID != "5-0" || entries[1].Values["k"] != "v2" {
		t.Errorf("the stream is %v", entries)
	}
	if info, err := c.Do(ctx, "XINFO", "STREAM", "stream").Slice(); err != nil || info[3] != "9-7" {
		t.Errorf("the stream's last id is in %v, %v; want 9-7", info, err)
	}
}

func TestTheEmbeddedStoreKeepsEveryTypeAcrossAnOrderlyStop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		open := func() *store.Store {
			s, err := store.Open(t.Context(), store.Config{Embedded: true, Dir: dir}, store.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		fill(t, s)
		id, _ := s.RunID(t.Context(), "")
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Millisecond) // virtual: past the time to live of "dead soon"
		again := open()
		defer again.Stop(t.Context())
		assertFilled(t, again)
		if !again.CleanStop() {
			t.Error("an orderly stop is not called clean")
		}
		if now, _ := again.RunID(t.Context(), ""); now != id {
			t.Errorf("the run id changed from %s to %s over an orderly stop", id, now)
		}
	})
}

func TestTheEmbeddedStoreSavesWithinASecondAndTellsOfACrash(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	var id string
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Config{Embedded: true, Dir: dir}, store.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, s)
		<-time.After(store.DefaultSaveInterval + time.Millisecond) // virtual
		synctest.Wait()
		// A crash is a copy of the file as it is now.
		b, err := os.ReadFile(filepath.Join(dir, "store.snapshot"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, "store.snapshot"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		id, _ = s.RunID(t.Context(), "")
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	s := storetest.Open(t, store.Config{Embedded: true, Dir: crashed}, store.Settings{})
	if s.CleanStop() {
		t.Error("a crash is called a clean stop")
	}
	if now, _ := s.RunID(t.Context(), ""); now == id {
		t.Error("the run id is the same after a crash")
	}
	if v := s.Redis().LLen(t.Context(), "list").Val(); v != 4 {
		t.Errorf("the list has %d elements after the crash, want 4", v)
	}
}

func TestADamagedSnapshotStopsTheStartAndIsKept(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Embedded: true, Dir: dir}, store.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store.snapshot")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-3] ^= 1
	for name, bad := range map[string][]byte{
		"flipped bit": flipped, "cut short": good[:len(good)/2], "empty": {}, "something else": []byte("hello\n"),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), store.Config{Embedded: true, Dir: dir}, store.Settings{})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
		if kept, _ := os.ReadFile(path); !slices.Equal(kept, bad) {
			t.Errorf("%s: the damaged file was changed", name)
		}
	}
}

func TestTwoProcessesCannotHaveOneEmbeddedStore(t *testing.T) {
	dir := t.TempDir()
	storetest.Open(t, store.Config{Embedded: true, Dir: dir}, store.Settings{})
	_, err := store.Open(t.Context(), store.Config{Embedded: true, Dir: dir}, store.Settings{})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("got %v", err)
	}
}

// A connection that is opened while the embedded store stops is made or refused: it meets no half of a store.
func TestConnectionsToAnEmbeddedStoreThatStopsAreRefused(t *testing.T) {
	for range 20 {
		s := storetest.Embedded(t)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for {
					one := s.Blocking()
					err := one.Ping(t.Context()).Err()
					_ = one.Close()
					if err != nil {
						return
					}
				}
			})
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		callers.Wait()
	}
}

func TestTheEmbeddedStoreWorksInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Config{Embedded: true}, store.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		blocking := s.Blocking()
		err = blocking.XRead(t.Context(), &redis.XReadArgs{Streams: []string{"feed", "0"}, Block: 5 * time.Second}).Err()
		if !errors.Is(err, redis.Nil) || time.Since(start) < 5*time.Second {
			t.Errorf("a blocking read of nothing took %v and answered %v", time.Since(start), err)
		}
		// A pipeline longer than the buffers of a bare pipe.
		p := s.Redis().Pipeline()
		for range 1000 {
			p.Incr(t.Context(), "n")
		}
		if _, err := p.Exec(t.Context()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(blocking.Close(), s.Stop(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

func TestTheStoreIsMeasuredAndTracedWithoutItsData(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	reader := sdkmetric.NewManualReader()
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "error"}, telemetry.Settings{
		Service: "test", Shared: true, SpanExporter: exporter, MetricReader: reader, Sampler: sdktrace.AlwaysSample(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Config{Embedded: true}, store.Settings{Telemetry: tel})
	if err := s.Run(t.Context(), increment, []string{"{s01}h", "{s01}feed"}, "a secret parameter").Err(); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	if len(spans) == 0 {
		t.Error("no spans")
	}
	for _, span := range spans {
		if text := fmt.Sprint(span.Name, span.Attributes, span.Events, span.Status); strings.Contains(text, "secret") || strings.Contains(text, "HINCRBY") {
			t.Errorf("a span shows data: %s", text)
		}
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			names = append(names, m.Name)
		}
	}
	if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "db.client.") }) {
		t.Errorf("the metrics are %q", names)
	}
	t.Log(names, spans[0].Name, spans[0].Attributes)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
