package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// Each of many concurrent callers gets the answer of its own script, on every kind of server, also where the server does not know the script yet and
// keys are of different slots.
func TestEachJoinedCallerGetsItsOwnAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		add := store.NewScript("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				for round := 1; round <= 3; round++ {
					got, err := s.RunJoined(t.Context(), add, []string{fmt.Sprintf("{k%d}joined", i)}, i+1).Int()
					if err != nil || got != round*(i+1) {
						t.Errorf("caller %d got %d and %v in round %d, want %d", i, got, err, round, round*(i+1))
					}
				}
			})
		}
		all.Wait()
	})
}

// A caller that left is told so at once, and its call is not sent when it was not under way.
func TestAJoinedCallerThatLeavesIsToldSo(t *testing.T) {
	s := storetest.Embedded(t)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	script := store.NewScript("set", "return redis.call('SET', KEYS[1], 'v')")
	if err := s.RunJoined(ctx, script, []string{"{k}left"}).Err(); err == nil {
		t.Fatal("the caller left and was answered")
	}
	if err := s.RunJoined(t.Context(), script, []string{"{k}stayed"}).Err(); err != nil {
		t.Fatal(err)
	}
	if n := s.Redis().Exists(t.Context(), "{k}left").Val(); n != 0 {
		t.Fatal("a call was sent whose caller had left before")
	}
}
