package redisstore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// hold makes the next commit of a tree wait until release is called, so that what comes meanwhile gathers in one batch.
func hold(t *testing.T, s *Store, f *faults, treeID string) (release func()) {
	t.Helper()
	entered, gate := make(chan struct{}), make(chan struct{})
	f.set(func(f *faults) { f.before = func() { close(entered); <-gate } })
	var held sync.WaitGroup
	held.Go(func() { _, _ = s.Update(t.Context(), bangUnder(treeID, "hold "+treeID, nil)) })
	<-entered
	return func() { close(gate); held.Wait() }
}

// gathered waits until n callers wait for a tree.
func gathered(s *Store, treeID string, n int) {
	for queued := 0; queued < n; { // the queue is the only sign that they have arrived
		s.trees.mu.Lock()
		queued = len(s.trees.queues[treeID])
		s.trees.mu.Unlock()
	}
}

// A request that is sent again while the first one still waits is one request: both get one answer.
func TestOneKeyTwiceInABatchIsDoneOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "ttwice")
		release := hold(t, s, f, "ttwice")
		results := [3]masterv1.BangResult{}
		var waiting sync.WaitGroup
		for n := range results {
			waiting.Go(func() {
				if _, err := s.Update(t.Context(), bangUnder("ttwice", "k", &results[n])); err != nil {
					t.Error(err)
				}
			})
		}
		gathered(s, "ttwice", len(results))
		release()
		waiting.Wait()
		for n := range results {
			if !proto.Equal(&results[0], &results[n]) {
				t.Errorf("the answers are %v and %v", &results[0], &results[n])
			}
		}
		if n := look(t, s, "ttwice", lastBang); n != 2 {
			t.Errorf("%d bangs were made, want 2: the one that held the commit and one", n)
		}
	})
}

// A repeated request that would be refused by now gets its first answer, also when it is decided together with others that change the tree.
func TestARepeatedRequestInABatchGetsItsFirstAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "tlate")
		once := false
		late := Change{
			Tree: "tlate", Key: "late",
			Decide: func(_ *fleet.Tree, _ time.Time) (proto.Message, fleet.Effects, error) {
				if once {
					return nil, fleet.Effects{}, &fleet.Error{Kind: fleet.FailedPrecondition, Message: "cannot do it again"}
				}
				return &masterv1.BangResult{BangId: "first"}, fleet.Effects{Changed: fleet.Changed{Header: true}}, nil
			},
			Recall: func([]byte) error { return nil },
		}
		change(t, s, late)
		once = true
		release := hold(t, s, f, "tlate")
		var waiting sync.WaitGroup
		waiting.Go(func() {
			done, err := s.Update(t.Context(), late)
			if err != nil || !done.Repeated {
				t.Errorf("the repeated request did %+v, %v", done, err)
			}
		})
		waiting.Go(func() { change(t, s, bangUnder("tlate", "other", nil)) })
		gathered(s, "tlate", 2)
		release()
		waiting.Wait()
	})
}

// What nobody waits for any more is not decided: after an outage the store does what is wanted now, not what was an hour ago.
func TestACallerThatLeftIsNotDecided(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		f := &faults{}
		s.client.AddHook(f)
		plant(t, s, "tleft")
		release := hold(t, s, f, "tleft")
		ctx, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := s.Update(ctx, bangUnder("tleft", "left", nil)); err == nil {
				t.Error("the caller that left was told that it is done")
			}
		})
		gathered(s, "tleft", 1)
		leave()
		waiting.Wait()
		release()
		change(t, s, bangUnder("tleft", "after", nil))
		if n := look(t, s, "tleft", lastBang); n != 2 {
			t.Errorf("%d bangs were made, want 2", n)
		}
	})
}

// The records of bangs stay bounded when the numbers skip what the move of an epoch may have lost.
func TestRecordsStayBoundedAcrossEpochs(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const bound = 20
		s.limits.Bangs = bound
		plant(t, s, "tbound")
		for epoch := range 4 {
			for n := range bound {
				change(t, s, bangUnder("tbound", fmt.Sprint("k", epoch, "-", n), nil))
			}
			if err := s.client.HSet(t.Context(), keysOfShard(ShardOf("tbound")).meta, "server", "another life").Err(); err != nil {
				t.Fatal(err)
			}
			if err := s.checkEpochs(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.client.HLen(t.Context(), keysOfTree("tbound").bangs).Val(); n > bound*11/10 {
			t.Errorf("%d bangs are recorded, the bound is %d", n, bound)
		}
		change(t, s, bangUnder("tbound", "last", nil))
		bangs, err := s.Bangs(t.Context(), "tbound", 1)
		if err != nil || len(bangs) != 1 || bangs[0].Number != look(t, s, "tbound", lastBang) {
			t.Errorf("the newest bang is %v, %v", bangs, err)
		}
	})
}

// The id of a tree is made once: a request that found it under a title just before the tree was deleted does not make a second tree of that id, which no title would name.
func TestTheIdOfADeletedTreeIsNotUsedAgain(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		request := Change{Tree: "tonce", Account: "default", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.Request(fleet.Request{Title: "shop", Release: "file:///r"}, now)
			return nil, fx, err
		}}
		change(t, s, request)
		change(t, s, Change{Tree: "tonce", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.SetState(fleet.SetState{InstanceID: "tonce.i1", State: fleet.Destroyed}, now)
			return nil, fx, err
		}})
		if err := s.Purge(t.Context(), "tonce"); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*Store{s, begin(t, s.redis, Limits{})} {
			if done, err := one.Update(t.Context(), request); err == nil {
				t.Fatalf("a tree was made anew under the id of a deleted one: %+v", done)
			}
		}
		if trees, err := s.Trees(t.Context()); err != nil || len(trees) != 0 {
			t.Fatalf("the trees are %v, %v", trees, err)
		}
		if ttl := s.client.TTL(t.Context(), keysOfTree("tonce").tree).Val(); ttl <= 0 {
			t.Fatalf("what is left of the tree stays for %v", ttl)
		}
	})
}
