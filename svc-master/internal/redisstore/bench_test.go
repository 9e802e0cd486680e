package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
			report := spent(b, s)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := next.Add(1)
					if _, err := s.Update(b.Context(), bangUnder(fmt.Sprintf("tbench%d", n%int64(trees)), fmt.Sprint("k", n), nil)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			report(b.N)
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
			partitions := benchedPartitions(trees * members)
			b.ResetTimer()
			report := spent(b, s)
			for round := range b.N {
				if timed == "reports" {
					b.StopTimer()
				}
				together(b, len(partitions), func(n int) error { return partitions[n].begin(b.Context(), s, round) })
				if timed == "reports" {
					b.StartTimer()
				}
				together(b, len(partitions), func(n int) error { return partitions[n].report(b.Context(), s, round) })
			}
			report(b.N * len(partitions) * 2)
			done := b.N * len(partitions)
			if timed == "changes" {
				done *= 2
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), timed+"/s")
		})
	}
}

// Contacts of 10,000 computers, noted one by one and written together: the first of each, which is told to those who watch colours, and later ones.
func BenchmarkContacts(b *testing.B) {
	for _, which := range []string{"first", "later"} {
		b.Run(which, func(b *testing.B) {
			s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
			const computers = 10_000
			forget := func() {
				pipe := s.client.Pipeline()
				for n := range computers {
					key := computerKey(fmt.Sprint("c", n))
					pipe.Del(b.Context(), key)
					pipe.HSet(b.Context(), key, fieldVersion, 1)
				}
				if _, err := pipe.Exec(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			flush := func() {
				now := time.Now()
				for n := range computers {
					s.Contacted(fmt.Sprint("c", n), now)
				}
				if err := s.FlushContacts(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			forget()
			flush()
			b.ResetTimer()
			report := spent(b, s)
			for range b.N {
				if which == "first" {
					b.StopTimer()
					forget()
					b.StartTimer()
				}
				flush()
			}
			if which == "later" {
				report(b.N * computers)
			}
			b.ReportMetric(float64(b.N*computers)/b.Elapsed().Seconds(), "contacts/s")
		})
	}
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

// spent measures the processor time of this process, callers included, and of Redis, from now until report is called: rates depend on what else the machine
// does, this hardly does.
func spent(b *testing.B, s *Store) (report func(changes int)) {
	b.Helper()
	ours, theirs := ownTime(b), redisTime(b, s)
	return func(changes int) {
		b.Helper()
		b.ReportMetric(float64((ownTime(b)-ours).Microseconds())/float64(changes), "go-µs/change")
		b.ReportMetric(float64((redisTime(b, s)-theirs).Microseconds())/float64(changes), "redis-µs/change")
	}
}

func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func redisTime(b *testing.B, s *Store) (total time.Duration) {
	b.Helper()
	info := s.client.InfoMap(b.Context(), "cpu").Val()["CPU"]
	for _, of := range []string{"used_cpu_user", "used_cpu_sys"} {
		took, err := time.ParseDuration(info[of] + "s")
		if err != nil {
			b.Fatal(err)
		}
		total += took
	}
	return total
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

// benched is a partition of a benchmark: its neighbours in the list are in other trees. Its names are made beforehand, since making them took a sixth of the
// time that was to be measured.
type benched struct {
	tree, allocation, run string
	token                 uint64
}

func benchedPartitions(count int) []benched {
	all := make([]benched, count)
	for n := range all {
		all[n].tree = fmt.Sprintf("tbench%d", n%64)
		all[n].allocation = fmt.Sprintf("%s.a%d", all[n].tree, n/64+1)
		all[n].run = fmt.Sprintf("run-of-bench-%d-", n)
	}
	return all
}

func (p *benched) begin(ctx context.Context, s *Store, round int) error {
	_, err := s.Update(ctx, Change{Tree: p.tree, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		answer, fx, err := t.BeginRun(fleet.BeginRun{AllocationID: p.allocation, RunID: p.run + strconv.Itoa(round), Cause: fleet.CauseBang, DueAt: now, OrderedAt: now}, now)
		p.token = answer.Token
		return nil, fx, err
	}})
	return err
}

func (p *benched) report(ctx context.Context, s *Store, round int) error {
	_, err := s.Update(ctx, Change{Tree: p.tree, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.ReportRun(fleet.ReportRun{AllocationID: p.allocation, RunID: p.run + strconv.Itoa(round), Token: p.token, Result: fleet.Success, Duration: time.Millisecond}, now)
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
