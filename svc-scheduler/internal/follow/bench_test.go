package follow

import (
	"context"
	"fmt"
	"testing"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// BenchmarkChangeOfAWholeTree is the move of an epoch: one entry that names each of 10,000 members. All other trees of the feed wait for it.
func BenchmarkChangeOfAWholeTree(b *testing.B) {
	owners := owner.New(nil, nil, nil)
	f := New(nil, owners, Settings{})
	defer f.Close()
	entry := Entry{Kind: Changed, Tree: "t1"}
	var all tree
	for n := range 10_000 {
		id := fmt.Sprint("t1.i", n)
		entry.Instances = append(entry.Instances, id)
		all.members = append(all.members, member{computer: "c1", partition: fmt.Sprint("p", n), instance: id})
	}
	f.members.trees["t1"] = all
	for b.Loop() {
		f.expand(context.Background(), &entry, 0, &delivery{owners: owners, events: map[string][]agenda.Event{}})
	}
}
