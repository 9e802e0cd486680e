package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// fillAll writes one key of each type, more keys of one tag than are read at once, and one that expires.
func fillAll(t *testing.T, s *store.Store) {
	t.Helper()
	p := s.Redis().Pipeline()
	p.Set(t.Context(), "{a}text", "binary \x00\xff", 0)
	p.HSet(t.Context(), "{a}hash", "f", "1", "g", "2")
	p.RPush(t.Context(), "{b}list", "x", "y", "x")
	p.SAdd(t.Context(), "{b}set", "m", "n")
	p.ZAdd(t.Context(), "{b}zset", redis.Z{Score: 1.5, Member: "m"}, redis.Z{Score: -2, Member: "n"})
	p.XAdd(t.Context(), &redis.XAddArgs{Stream: "{c}stream", ID: "1-1", Values: []string{"k", "v"}})
	p.XAdd(t.Context(), &redis.XAddArgs{Stream: "{c}stream", ID: "1-7", Values: []string{"k", "w"}})
	p.XDel(t.Context(), "{c}stream", "1-7")
	p.Set(t.Context(), "untagged", "z", time.Hour)
	for i := range store.MaxScriptKeys + 10 {
		p.Set(t.Context(), fmt.Sprintf("{many}%04d", i), i, 0)
	}
	if _, err := p.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A backup of any kind of store is restored into any other.
func TestABackupIsRestoredWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		fillAll(t, s)
		path := filepath.Join(t.TempDir(), "backup")
		told := 0
		keys, err := s.Backup(t.Context(), path, func(n int) { told = n })
		if err != nil || keys != store.MaxScriptKeys+17 || told != keys {
			t.Fatalf("%d keys, told %d: %v", keys, told, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		for name, into := range map[string]*store.Store{"embedded": storetest.Embedded(t), "redis": storetest.StartRedis(t).Open(t)} {
			before, err := into.RunID(t.Context(), "{a}x")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := into.Restore(t.Context(), path, nil); err != nil || n != keys {
				t.Fatalf("%s: %d keys, %v", name, n, err)
			}
			same(t, s, into)
			if after, err := into.RunID(t.Context(), "{a}x"); err != nil || after == before {
				t.Errorf("%s: the run id is %s before and %s after: %v", name, before, after, err)
			}
			if err := into.Use(t.Context(), store.Schema{Service: "svc"}); err != nil {
				t.Error(err)
			}
			if _, err := into.Restore(t.Context(), path, nil); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("%s: restored over what is there: %v", name, err)
			}
		}
	})
}

// same compares what fillAll wrote.
func same(t *testing.T, a, b *store.Store) {
	t.Helper()
	read := func(s *store.Store) string {
		ctx, r := t.Context(), s.Redis()
		last, err := r.XInfoStream(ctx, "{c}stream").Result()
		if err != nil {
			t.Fatal(err)
		}
		ttl := r.TTL(ctx, "untagged").Val()
		return fmt.Sprintf("%q %q %q %v %v %v %s %v %q", r.Get(ctx, "{a}text").Val(), r.HGetAll(ctx, "{a}hash").Val(), r.LRange(ctx, "{b}list", 0, -1).Val(),
			r.SMIsMember(ctx, "{b}set", "m", "n", "o").Val(), r.ZRangeWithScores(ctx, "{b}zset", 0, -1).Val(), r.XRange(ctx, "{c}stream", "-", "+").Val(),
			last.LastGeneratedID, ttl > 59*time.Minute && ttl <= time.Hour, r.Get(ctx, fmt.Sprintf("{many}%04d", store.MaxScriptKeys+9)).Val())
	}
	if x, y := read(a), read(b); x != y {
		t.Errorf("restored\n%s\nof\n%s", y, x)
	}
}

// What is written together by a script is restored together, although it is written while the backup is made.
func TestABackupOfAStoreInUseHoldsEachTagAsItWas(t *testing.T) {
	s := storetest.StartRedis(t).Open(t)
	both := store.NewScript("both", `redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1]) return 1`)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	began := make(chan struct{})
	writer.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			tag := fmt.Sprintf("{t%d}", n%50)
			if err := s.Run(ctx, both, []string{tag + "a", tag + "b"}, n).Err(); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			if n == 100 {
				close(began)
			}
		}
	})
	<-began
	path := filepath.Join(t.TempDir(), "backup")
	_, err := s.Backup(t.Context(), path, nil)
	cancel()
	writer.Wait()
	if err != nil {
		t.Fatal(err)
	}
	into := storetest.Embedded(t)
	if _, err := into.Restore(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		a, b := into.Redis().Get(t.Context(), fmt.Sprintf("{t%d}a", i)).Val(), into.Redis().Get(t.Context(), fmt.Sprintf("{t%d}b", i)).Val()
		if a == "" || a != b {
			t.Errorf("tag %d: a is %q, b is %q", i, a, b)
		}
	}
}

// A file that is damaged anywhere, or cut short, changes nothing.
func TestADamagedBackupIsNotRestored(t *testing.T) {
	s := storetest.Embedded(t)
	fillAll(t, s)
	dir := t.TempDir()
	path := filepath.Join(dir, "backup")
	if _, err := s.Backup(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	into := storetest.Embedded(t)
	for name, damage := range map[string]func([]byte) []byte{
		"empty":      func([]byte) []byte { return nil },
		"other file": func([]byte) []byte { return []byte("hello, I am no backup of anything") },
		"cut short":  func(b []byte) []byte { return b[:len(b)/2] },
		"tail gone":  func(b []byte) []byte { return b[:len(b)-4] },
		"a bit":      func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
	} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, damage(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := into.Restore(t.Context(), bad, nil); err == nil || !strings.HasPrefix(err.Error(), "cannot restore ") {
			t.Errorf("%s: %v", name, err)
		}
		if n := into.Redis().DBSize(t.Context()).Val(); n != 0 {
			t.Fatalf("%s: %d keys are there", name, n)
		}
	}
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "no", "such", "directory"), nil); err == nil || !strings.HasPrefix(err.Error(), "cannot write the backup") {
		t.Errorf("%v", err)
	}
}

// A restore that is cut short leaves a store that says so, and that no service uses.
func TestARestoreThatDidNotEndIsNotUsed(t *testing.T) {
	s := storetest.Embedded(t)
	fillAll(t, s)
	path := filepath.Join(t.TempDir(), "backup")
	if _, err := s.Backup(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	into := storetest.Embedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := into.Restore(ctx, path, func(int) { cancel() }); err == nil || !strings.Contains(err.Error(), "no service uses") {
		t.Fatalf("it ended: %v", err)
	}
	if err := into.Use(t.Context(), store.Schema{Service: "svc"}); err == nil || !strings.Contains(err.Error(), "the restore of backup into it did not end") {
		t.Errorf("it is used: %v", err)
	}
}

// A store is upgraded version by version; an upgrade that is cut short goes on when it is started again; a newer one is refused.
func TestASchemaIsUpgradedAndANewerOneRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		if err := s.Use(ctx, store.Schema{Service: "svc"}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Schemas(ctx); err != nil || fmt.Sprint(got) != "map[svc:1]" {
			t.Fatalf("%v, %v", got, err)
		}
		var ran []string
		fails := true
		third := store.Schema{Service: "svc", Upgrades: []func(context.Context, *store.Store) error{
			func(context.Context, *store.Store) error { ran = append(ran, "1→2"); return nil },
			func(context.Context, *store.Store) error {
				ran = append(ran, "2→3")
				if fails {
					return errors.New("killed")
				}
				return nil
			},
		}}
		if err := s.Use(ctx, third); err == nil || !strings.Contains(err.Error(), "from schema 2 to 3: killed; started again, it goes on") {
			t.Errorf("%v", err)
		}
		fails = false
		for range 2 {
			if err := s.Use(ctx, third); err != nil {
				t.Error(err)
			}
		}
		if got := strings.Join(ran, " "); got != "1→2 2→3 2→3" {
			t.Errorf("ran %s", got)
		}
		if err := s.Use(ctx, store.Schema{Service: "other"}); err != nil {
			t.Error(err)
		}
		err := s.Use(ctx, store.Schema{Service: "svc", Upgrades: third.Upgrades[:1]})
		if err == nil || !strings.Contains(err.Error(), "svc wrote schema 3 there, and this version of it knows 2; run the newer version") {
			t.Errorf("a newer schema: %v", err)
		}
		if got, _ := s.Schemas(ctx); fmt.Sprint(got) != "map[other:1 svc:3]" {
			t.Errorf("%v", got)
		}
	})
}
