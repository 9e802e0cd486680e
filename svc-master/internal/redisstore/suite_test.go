package redisstore

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
)

// each runs a test on every kind of server with a started store.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) { test(t, begin(t, redis, Limits{})) })
}

func begin(t testing.TB, on *store.Store, limits Limits) *Store {
	t.Helper()
	s := New(Settings{Redis: on, Limits: limits})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// plant makes a tree with one allocated instance.
func plant(t testing.TB, s *Store, treeID string) {
	t.Helper()
	change(t, s, Change{Tree: treeID, Account: "default", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.Request(fleet.Request{Title: treeID, Release: "file:///r"}, now)
		return nil, fx, err
	}})
	change(t, s, Change{Tree: treeID, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.Allocate(fleet.Allocate{InstanceID: treeID + ".i1", Computer: "one", Partition: "slappart0"}, now)
		return nil, fx, err
	}})
}

func change(t testing.TB, s *Store, c Change) Committed {
	t.Helper()
	done, err := s.Update(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// bang is a manual bang under a key; its answer goes to result, which may be nil.
func bangUnder(treeID, key string, result *masterv1.BangResult) Change {
	if result == nil {
		result = &masterv1.BangResult{}
	}
	return Change{
		Tree: treeID, Key: key,
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			answer, fx, err := t.Bang(fleet.Bang{RequestID: key, Origin: fleet.OriginManual, Source: "somebody"}, now)
			proto.Reset(result)
			result.BangId, result.Outcome = answer.BangID, masterv1.BangOutcome(answer.Outcome)
			return proto.Clone(result), fx, err
		},
		Recall: func(b []byte) error { return proto.Unmarshal(b, result) },
	}
}

func look[R any](t testing.TB, s *Store, treeID string, read func(*fleet.Tree) R) (r R) {
	t.Helper()
	if err := s.View(t.Context(), treeID, func(tree *fleet.Tree, _ time.Time) error {
		r = read(tree)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func lastBang(t *fleet.Tree) uint64 { return t.LastBang }

// What was committed is read back as it was, by the copy in memory and by another store that has none.
func TestAnotherStoreReadsWhatWasCommitted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plant(t, s, "tread")
		change(t, s, bangUnder("tread", "k1", nil))
		change(t, s, Change{Tree: "tread", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.BeginRun(fleet.BeginRun{AllocationID: "tread.a1", RunID: "run-1", Cause: fleet.CauseBang, DueAt: now, OrderedAt: now}, now)
			return nil, fx, err
		}})
		encoded := func(s *Store) []string {
			return look(t, s, "tread", func(t *fleet.Tree) []string {
				var out []string
				for _, m := range []proto.Message{
					headerRecord(t, nil), instanceRecord(t.Instances["tread.i1"]), partitionRecord(t.Partitions["tread.i1"]), archiveRecord(t.Convergence),
				} {
					b, _ := encode(m)
					out = append(out, string(b))
				}
				return out
			})
		}
		other := begin(t, s.redis, Limits{})
		if mine, theirs := encoded(s), encoded(other); !slices.Equal(mine, theirs) {
			t.Fatalf("one store has\n%q\nthe other\n%q", mine, theirs)
		}
	})
}

// A repeated key gets the first answer, also from another store, and changes nothing.
func TestRepeatedKeyGetsTheFirstAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plant(t, s, "tkey")
		first, again, elsewhere := &masterv1.BangResult{}, &masterv1.BangResult{}, &masterv1.BangResult{}
		change(t, s, bangUnder("tkey", "k1", first))
		other := begin(t, s.redis, Limits{})
		if done := change(t, s, bangUnder("tkey", "k1", again)); !done.Repeated || !done.None() {
			t.Fatalf("a repeated bang did %+v", done)
		}
		if done := change(t, other, bangUnder("tkey", "k1", elsewhere)); !done.Repeated {
			t.Fatalf("a repeated bang on another replica did %+v", done)
		}
		if !proto.Equal(first, again) || !proto.Equal(first, elsewhere) || first.GetBangId() != "tkey.b1" {
			t.Fatalf("the answers are %v, %v, %v", first, again, elsewhere)
		}
		if n := look(t, s, "tkey", lastBang); n != 1 {
			t.Fatalf("%d bangs were made, want 1", n)
		}
	})
}

// Two replicas that change one tree at once lose nothing: each bang gets a number of its own.
func TestTwoReplicasLoseNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plant(t, s, "trace")
		stores := []*Store{s, begin(t, s.redis, Limits{})}
		const each = 50
		ids := make(chan string, 2*each)
		var callers sync.WaitGroup
		for r, one := range stores {
			for n := range each {
				callers.Go(func() {
					result := &masterv1.BangResult{}
					if _, err := one.Update(t.Context(), bangUnder("trace", fmt.Sprintf("r%d-%d", r, n), result)); err != nil {
						t.Error(err)
					}
					ids <- result.GetBangId()
				})
			}
		}
		callers.Wait()
		close(ids)
		seen := map[string]bool{}
		for id := range ids {
			if seen[id] {
				t.Fatalf("two bangs got the id %s", id)
			}
			seen[id] = true
		}
		if n := look(t, s, "trace", lastBang); n != 2*each {
			t.Fatalf("%d bangs were made, want %d", n, 2*each)
		}
		bangs, err := s.Bangs(t.Context(), "trace", 1000)
		if err != nil || len(bangs) != 2*each {
			t.Fatalf("%d bangs are recorded, %v", len(bangs), err)
		}
	})
}

// faults interferes with scripts.
type faults struct {
	mu     sync.Mutex
	lose   int // replies still to lose, after the script ran
	calls  int
	before func() // called once before the next script
}

func (f *faults) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f *faults) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f *faults) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.HasPrefix(cmd.Name(), "eval") {
			return next(ctx, cmd)
		}
		f.mu.Lock()
		before := f.before
		f.before = nil
		f.mu.Unlock()
		if before != nil {
			before()
		}
		err := next(ctx, cmd)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil {
			f.calls++
			if f.lose > 0 {
				f.lose--
				cmd.SetErr(io.ErrUnexpectedEOF)
				return io.ErrUnexpectedEOF
			}
		}
		return err
	}
}

func (f *faults) set(do func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f)
}

// A commit whose reply was lost is not done twice: by its key, or by what the core remembers.
func TestLostReplyIsNotDoneTwice(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "tlost")
		f.set(func(f *faults) { f.lose = 1 })
		result := &masterv1.BangResult{}
		if done := change(t, s, bangUnder("tlost", "k1", result)); !done.Repeated || result.GetBangId() != "tlost.b1" {
			t.Fatalf("the bang did %+v, answer %v", done, result)
		}
		f.set(func(f *faults) { f.lose = 1 })
		var begun fleet.BeginRunAnswer
		change(t, s, Change{Tree: "tlost", Decide: func(t *fleet.Tree, now time.Time) (_ proto.Message, fx fleet.Effects, err error) {
			begun, fx, err = t.BeginRun(fleet.BeginRun{AllocationID: "tlost.a1", RunID: "run-1", Cause: fleet.CauseBang}, now)
			return nil, fx, err
		}})
		if begun.Token != 1 {
			t.Fatalf("the run has token %d, want 1", begun.Token)
		}
		if n := look(t, s, "tlost", lastBang); n != 1 {
			t.Fatalf("%d bangs were made, want 1", n)
		}
	})
}

// A store that does not answer makes an error that says so, and the same change works once it does.
func TestOutageIsUnavailable(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "tout")
		f.set(func(f *faults) { f.lose = 100 })
		_, err := s.Update(t.Context(), bangUnder("tout", "", nil))
		if err == nil || !strings.Contains(err.Error(), `cannot commit tree "tout"`) {
			t.Fatalf("the error is %v", err)
		}
		f.set(func(f *faults) { f.lose = 0 })
		change(t, s, bangUnder("tout", "k", nil))
	})
}

// Callers that arrive while a commit is on its way are committed together.
func TestGroupCommit(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "tgroup")
		entered, release := make(chan struct{}), make(chan struct{})
		f.set(func(f *faults) {
			f.calls = 0
			f.before = func() { close(entered); <-release }
		})
		const callers = 40
		var waiting sync.WaitGroup
		ask := func(n int) {
			waiting.Go(func() {
				if _, err := s.Update(t.Context(), bangUnder("tgroup", fmt.Sprint("k", n), nil)); err != nil {
					t.Error(err)
				}
			})
		}
		ask(0)
		<-entered
		for n := range callers {
			ask(n + 1)
		}
		for queued := 0; queued < callers; { // the queue is the only sign that all have arrived
			s.trees.mu.Lock()
			queued = len(s.trees.queues["tgroup"])
			s.trees.mu.Unlock()
		}
		close(release)
		waiting.Wait()
		if f.calls != 2 {
			t.Fatalf("%d callers took %d commits, want 2", callers+1, f.calls)
		}
		if n := look(t, s, "tgroup", lastBang); n != callers+1 {
			t.Fatalf("%d bangs were made, want %d", n, callers+1)
		}
	})
}

// A full queue refuses at once, and the limit is counted.
func TestTooManyCallersAreRefused(t *testing.T) {
	redis := storetest.Embedded(t)
	var hits []string
	s := New(Settings{Redis: redis, Limits: Limits{Waiting: 1}, Limit: func(name string) { hits = append(hits, name) }})
	f := &faults{}
	s.client.AddHook(f)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	plant(t, s, "tfull")
	entered, release := make(chan struct{}), make(chan struct{})
	f.set(func(f *faults) { f.before = func() { close(entered); <-release } })
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = s.Update(t.Context(), bangUnder("tfull", "a", nil)) })
	<-entered
	op := &operation{ctx: t.Context(), change: bangUnder("tfull", "b", nil), done: make(chan result, 1)}
	if !s.trees.add(op, 1, s.commitAll) {
		t.Fatal("the first waiting caller was refused")
	}
	_, err := s.Update(t.Context(), bangUnder("tfull", "c", nil))
	close(release)
	waiting.Wait()
	if err == nil || !slices.Equal(hits, []string{LimitWaiting}) {
		t.Fatalf("the third caller got %v, hits %v", err, hits)
	}
	if r := <-op.done; r.err != nil {
		t.Fatal(r.err)
	}
}

// An event that is refused stores nothing, and a batch with a refused event commits the others.
func TestRefusedEventChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plant(t, s, "trefuse")
		version := func() string {
			return s.client.HGet(t.Context(), keysOfTree("trefuse").tree, fieldVersion).Val()
		}
		before := version()
		_, err := s.Update(t.Context(), Change{Tree: "trefuse", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.ReportRun(fleet.ReportRun{AllocationID: "trefuse.a1", RunID: "never-begun", Token: 7, Result: fleet.Success}, now)
			return nil, fx, err
		}})
		if fleet.KindOf(err) != fleet.FailedPrecondition || version() != before {
			t.Fatalf("the error is %v, the version went from %s to %s", err, before, version())
		}
		_, err = s.Update(t.Context(), Change{Tree: "tnone", Decide: func(*fleet.Tree, time.Time) (proto.Message, fleet.Effects, error) {
			t.Error("a tree that is not stored was decided on")
			return nil, fleet.Effects{}, nil
		}})
		if !isNotFound(err) {
			t.Fatalf("an unknown tree gives %v", err)
		}
	})
}

func generationOfTree(t *fleet.Tree) fleet.Generation { return t.Generation }
