package run

import (
	"fmt"
	"sync"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/recipe"
)

// nobody listens anywhere, as while partitions are deployed and their services are yet to start.
func nobody(endpoint) (bool, error) { return true, nil }

func TestNoTwoPartsOfAComputerAreGivenOnePort(t *testing.T) {
	var p ports
	const partitions, parts = 40, 3
	var mu sync.Mutex
	owners := map[int][]string{}
	var all sync.WaitGroup
	for n := range partitions {
		all.Go(func() {
			for part := range parts {
				port, err := p.take(fmt.Sprintf("slappart%d", n), "a", recipe.Port{Part: fmt.Sprint(part), Address: "127.0.0.1", Low: 1024, High: 1024 + partitions*parts - 1}, nobody)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				owners[port] = append(owners[port], fmt.Sprintf("slappart%d/%d", n, part))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for port, of := range owners {
		if len(of) != 1 {
			t.Errorf("port %d was given to %v", port, of)
		}
	}
	if _, err := p.take("slappart99", "a", recipe.Port{Part: "p", Address: "127.0.0.1", Low: 1024, High: 1024 + partitions*parts - 1}, nobody); err == nil {
		t.Error("a port was given though each has an owner")
	}
}

func TestAPortStaysWithItsPart(t *testing.T) {
	var p ports
	take := func(partition, allocation string, want recipe.Port) int {
		t.Helper()
		want.Low, want.High = 2000, 2009
		port, err := p.take(partition, allocation, want, nobody)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	for _, step := range []struct {
		says                  string
		partition, allocation string
		want                  recipe.Port
		port                  int
	}{
		{"what a part had stays its own, also where its own service listens", "p1", "a1", recipe.Port{Part: "web", Address: "10.0.0.1", Kept: 2003}, 2003},
		{"and at the next run", "p1", "a1", recipe.Port{Part: "web", Address: "10.0.0.1", Kept: 2003}, 2003},
		{"another that had the same, of a time when nobody saw to it, gets another", "p2", "a2", recipe.Port{Part: "web", Address: "10.0.0.1", Kept: 2003}, 2000},
		{"at another address it is free", "p3", "a3", recipe.Port{Part: "web", Address: "10.0.0.2", Kept: 2003}, 2003},
		{"all addresses are also the first", "p4", "a4", recipe.Port{Part: "web", Address: "0.0.0.0", Kept: 2003}, 2001},
		{"another part of the same partition is another", "p1", "a1", recipe.Port{Part: "api", Address: "10.0.0.1", Kept: 2003}, 2002},
		{"a plan is told what would be", "p5", "", recipe.Port{Part: "web", Address: "10.0.0.1", Peek: true}, 2004},
		{"and takes nothing", "p6", "a6", recipe.Port{Part: "web", Address: "10.0.0.1"}, 2004},
		{"the next tenant does not have what the last had", "p1", "a7", recipe.Port{Part: "db", Address: "10.0.0.1"}, 2002},
		{"which others may get", "p2", "a2", recipe.Port{Part: "db", Address: "10.0.0.1", Kept: 2003}, 2003},
	} {
		if got := take(step.partition, step.allocation, step.want); got != step.port {
			t.Errorf("%s: got %d, want %d", step.says, got, step.port)
		}
	}
	p.drop("p2")
	if got := take("p8", "a8", recipe.Port{Part: "web", Address: "10.0.0.1"}); got != 2000 {
		t.Errorf("what a destroyed instance had is not free: got %d", got)
	}
}
