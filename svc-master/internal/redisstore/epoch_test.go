package redisstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/store/storetest"
)

// After a fail-over that lost bangs, whoever comes first to the new primary, of many at once, is given nothing that the lost ones had: the epoch moves before the first commit, not after it.
func TestTheFirstCommitAfterAFailOverIsInTheNewEpoch(t *testing.T) {
	const callers = 32
	servers := storetest.StartSentinel(t, 1)
	s := begin(t, servers.Open(t), Limits{})
	plant(t, s, "tlost")
	primary, heir := servers.Primary()
	from, to := primary.Client(), heir.Client()
	defer from.Close()
	defer to.Close()
	if n, err := from.Wait(t.Context(), 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("%d replicas have the tree, %v", n, err)
	}
	if err := to.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil { // it is told nothing any more
		t.Fatal(err)
	}
	given := map[string]string{}
	for n := range callers {
		result := &masterv1.BangResult{}
		change(t, s, bangUnder("tlost", fmt.Sprint("lost", n), result))
		given[result.GetBangId()] = fmt.Sprint("lost", n)
	}
	before := s.Epoch("tlost")
	servers.FailOver()

	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			key := fmt.Sprint("after", n)
			for {
				result := &masterv1.BangResult{}
				if _, err := s.Update(t.Context(), bangUnder("tlost", key, result)); err != nil {
					if t.Context().Err() != nil {
						return
					}
					continue // it says so for as long as the pool waits before it dials again
				}
				mu.Lock()
				defer mu.Unlock()
				if other, ok := given[result.GetBangId()]; ok {
					t.Errorf("%s was given %s, which %s had", key, result.GetBangId(), other)
				}
				given[result.GetBangId()] = key
				return
			}
		})
	}
	all.Wait()
	if g := look(t, s, "tlost", generationOfTree); g.Epoch <= before {
		t.Errorf("the tree is at %v, and was in epoch %d before", g, before)
	}
}
