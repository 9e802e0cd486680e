package real

import (
	"fmt"
	"slices"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/store/storetest"
)

const (
	// takeoverNodes are spread over two replicas of svc-scheduler by their names.
	takeoverNodes = 24
	// takenOver is within what a dead replica's computers have streams again (docs/agenda.md; make bench-control has the figures).
	takenOver = 10 * time.Second
)

// TestADeadSchedulersComputersAreOwnedByTheOther kills one of two replicas of svc-scheduler with -9 while each computer runs what it is ordered. Nodes know both addresses: the other replica owns all of them within ten seconds, and what is banged then is done, by the real agent too.
func TestADeadSchedulersComputersAreOwnedByTheOther(t *testing.T) {
	redis := storetest.StartRedis(t)
	w := wildOn(beginDirect(t, redis.URL()), 1)
	trees := []string{w.sample().GetTreeId()} // of the real agent
	for n := range takeoverNodes {
		computer := fmt.Sprint("hollow", n)
		w.register(computer, 1)
		root := w.request(computer, "", computer)
		trees = append(trees, root.GetTreeId())
		w.nodes[computer].start()
	}
	owned := func(replica int) (computers int) {
		for _, node := range w.nodes {
			node.mu.Lock()
			if node.owner == w.schedulerAt[replica] {
				computers++
			}
			node.mu.Unlock()
		}
		return computers
	}
	await(t, "each computer has an owner", func() bool { return owned(0)+owned(1) == takeoverNodes })
	lost := owned(0)
	if lost < takeoverNodes/4 || lost > takeoverNodes*3/4 {
		t.Errorf("one of two replicas owns %d of %d computers", lost, takeoverNodes)
	}
	bang := func(round string) []string {
		var ids []string
		for _, tree := range trees {
			ids = append(ids, w.bangAt(t.Context(), 0, tree, round+tree))
		}
		return ids
	}
	ids := bang("before")
	w.schedulers[0].kill9()
	killed := time.Now()
	await(t, "the other replica owns each computer", func() bool { return owned(1) == takeoverNodes })
	took := time.Since(killed)
	t.Logf("%d computers were owned again after %.2f s", lost, took.Seconds())
	if took > takenOver {
		t.Errorf("the %d computers of the dead replica were owned again after %s, want %s", lost, took, takenOver)
	}
	ids = append(ids, bang("after")...)
	await(t, "each bang is satisfied", func() bool {
		satisfied := map[string]bool{}
		for _, tree := range trees {
			response, err := w.bangs.ListBangs(t.Context(), &masterv1.ListBangsRequest{TreeId: tree})
			if err != nil {
				return false
			}
			for _, b := range response.GetBangs() {
				satisfied[b.GetBangId()] = b.GetSatisfiedAt() != nil
			}
		}
		return !slices.ContainsFunc(ids, func(id string) bool { return !satisfied[id] })
	})
	w.schedulers[0].start()
}
