package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
)

// members of a benchmark's tree, as docs/control-bench.md says.
const members = 100

// Bangs of 256 callers at the store's own API, on a real server with appendfsync always, each under a request id, on trees of 100 partitions.
func BenchmarkBangs(b *testing.B) {
	for _, trees := range []int{1, 1000} {
		b.Run(fmt.Sprintf("trees=%d", trees), func(b *testing.B) {
			s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
			size := members
			if trees > 1 {
				size = 1 // distinct trees: what is measured is commits that cannot be joined
			}
			for n := range trees {
				plantTree(b, s, fmt.Sprintf("tbench%d", n), size)
			}
			var next atomic.Int64
			b.SetParallelism(128) // × 2 CPUs
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := next.Add(1)
					if _, err := s.Update(b.Context(), bangUnder(fmt.Sprintf("tbench%d", n%int64(trees)), fmt.Sprint("k", n), nil)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bangs/s")
		})
	}
}

// Reports alone, and begins with their reports, of every partition of 64 trees of 100, 1,024 callers at a time.
func BenchmarkRuns(b *testing.B) {
	for _, timed := range []string{"reports", "changes"} {
		b.Run(timed, func(b *testing.B) {
			s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
			const trees = 64
			for n := range trees {
				plantTree(b, s, fmt.Sprintf("tbench%d", n), members)
			}
			tokens := make([]uint64, trees*members)
			b.ResetTimer()
			for round := range b.N {
				if timed == "reports" {
					b.StopTimer()
				}
				together(b, len(tokens), func(n int) error { return beginOne(b.Context(), s, n, round, &tokens[n]) })
				if timed == "reports" {
					b.StartTimer()
				}
				together(b, len(tokens), func(n int) error { return reportOne(b.Context(), s, n, round, tokens[n]) })
			}
			done := b.N * len(tokens)
			if timed == "changes" {
				done *= 2
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), timed+"/s")
		})
	}
}

// Contacts of 10,000 computers, noted one by one and written together.
func BenchmarkContacts(b *testing.B) {
	s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
	const computers = 10_000
	pipe := s.client.Pipeline()
	for n := range computers {
		pipe.HSet(b.Context(), computerKey(fmt.Sprint("c", n)), fieldVersion, 1)
	}
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		now := time.Now()
		for n := range computers {
			s.Contacted(fmt.Sprint("c", n), now)
		}
		if err := s.FlushContacts(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*computers)/b.Elapsed().Seconds(), "contacts/s")
}

// The floor: bare SETs of 1,024 callers through the same client.
func BenchmarkBareSet(b *testing.B) {
	s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
	var next atomic.Int64
	b.SetParallelism(512)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.client.Set(b.Context(), fmt.Sprint("k", next.Add(1)%10_000), "v", 0).Err(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sets/s")
}

// together does all, 1,024 at a time.
func together(b *testing.B, all int, one func(n int) error) {
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 1024 {
		callers.Go(func() {
			for n := int(next.Add(1)) - 1; n < all; n = int(next.Add(1)) - 1 {
				if err := one(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// place names the n-th partition, whose neighbours are in other trees.
func place(n int) (treeID, allocationID string) {
	treeID = fmt.Sprintf("tbench%d", n%64)
	return treeID, fmt.Sprintf("%s.a%d", treeID, n/64+1)
}

func runName(n, round int) string { return fmt.Sprintf("run-of-bench-%d-%d", n, round) }

func beginOne(ctx context.Context, s *Store, n, round int, token *uint64) error {
	treeID, allocationID := place(n)
	_, err := s.Update(ctx, Change{Tree: treeID, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		answer, fx, err := t.BeginRun(fleet.BeginRun{AllocationID: allocationID, RunID: runName(n, round), Cause: fleet.CauseBang, DueAt: now, OrderedAt: now}, now)
		*token = answer.Token
		return nil, fx, err
	}})
	return err
}

func reportOne(ctx context.Context, s *Store, n, round int, token uint64) error {
	treeID, allocationID := place(n)
	_, err := s.Update(ctx, Change{Tree: treeID, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.ReportRun(fleet.ReportRun{AllocationID: allocationID, RunID: runName(n, round), Token: token, Result: fleet.Success, Duration: time.Millisecond}, now)
		return nil, fx, err
	}})
	return err
}

// plantTree makes a tree of allocated instances.
func plantTree(b *testing.B, s *Store, treeID string, size int) {
	b.Helper()
	change(b, s, Change{Tree: treeID, Account: "default", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		var fx fleet.Effects
		for n := range size {
			e := fleet.Request{Title: fmt.Sprint("n", n), Release: "file:///r"}
			if n > 0 {
				e.RequesterID = treeID + ".i1"
			}
			_, more, err := t.Request(e, now)
			if err != nil {
				return nil, more, err
			}
			fx = joined(fx, more)
			id := fmt.Sprintf("%s.i%d", treeID, n+1)
			_, more, err = t.Allocate(fleet.Allocate{InstanceID: id, Computer: "c-" + strings.ToLower(treeID), Partition: fmt.Sprint("p", n)}, now)
			if err != nil {
				return nil, more, err
			}
			fx = joined(fx, more)
		}
		return nil, fx, nil
	}})
}

// joined merges what the store writes of two effects.
func joined(a, b fleet.Effects) fleet.Effects {
	a.Changed.Merge(b.Changed)
	if b.Settlement != fleet.SettlementKept {
		a.Settlement = b.Settlement
	}
	a.Feed = append(a.Feed, b.Feed...)
	return a
}
