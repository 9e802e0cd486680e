package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// The store follows three Sentinels to the new primary and back again: meanwhile it is unavailable and says nothing else, afterwards it has what the replica had, and each time it is another server.
func TestTheStoreFollowsSentinelsToTheNewPrimaryAndBack(t *testing.T) {
	servers := storetest.StartSentinel(t, 3)
	s := servers.Open(t)
	if s.Kind() != store.Sentinel {
		t.Errorf("the kind is %s", s.Kind())
	}
	lives := map[string]bool{}
	for round := range 3 {
		primary, _ := servers.Primary()
		want, err := primary.Open(t).RunID(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		awaitAnswer(t, func() error {
			life, err := s.RunID(t.Context(), "x")
			if err == nil && life != want {
				t.Errorf("round %d: the server is %q, want the primary, %q", round, life, want)
			}
			return err
		})
		if lives[want] {
			t.Errorf("round %d: the server is %q, which it was before", round, want)
		}
		lives[want] = true
		if n, err := s.Run(t.Context(), increment, []string{"{s01}h", "{s01}feed"}, "n").Int(); err != nil || n != round+1 {
			t.Fatalf("round %d: the script answered %d, %v", round, n, err)
		}
		if round == 2 {
			break
		}
		// Replication is asynchronous: what was acknowledged is there after a fail-over only if the replica had it.
		one := primary.Client()
		if n, err := one.Wait(t.Context(), 1, 10*time.Second).Result(); err != nil || n != 1 {
			t.Fatalf("round %d: %d replicas have it, %v", round, n, err)
		}
		_ = one.Close()
		servers.FailOver()
		servers.Rejoin()
	}
}

// awaitAnswer asks until the store answers; until then each error says that it is unavailable.
func awaitAnswer(t *testing.T, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := ask()
		if err == nil {
			return
		}
		if !store.IsUnavailable(err) || time.Now().After(deadline) {
			t.Fatalf("the store says %v", err)
		}
		<-time.After(10 * time.Millisecond) // it gives no other signal
	}
}

// Sentinels that forgot their master do not know where the store is. That is no empty store: who asks for a key must not take it for one that is not there.
func TestSentinelsWithoutAMasterAreAnUnavailableStoreAndNotAnEmptyOne(t *testing.T) {
	servers := storetest.StartSentinel(t, 1)
	s := servers.Open(t)
	if err := s.Redis().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	sentinel := servers.Sentinels[0].Client()
	defer sentinel.Close()
	if err := sentinel.Do(t.Context(), "SENTINEL", "REMOVE", "vow").Err(); err != nil {
		t.Fatal(err)
	}
	one := servers.Servers[0].Client()
	defer one.Close()
	if err := one.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first one may find out only that its connection is gone
		if err := s.Redis().Get(t.Context(), "k").Err(); errors.Is(err, redis.Nil) || !store.IsUnavailable(err) {
			t.Errorf("the store says %v", err)
		}
	}
}
