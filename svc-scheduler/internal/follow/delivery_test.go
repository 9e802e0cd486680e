package follow

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// saving is a store, and a svc-master with a settled partition on each computer. A save takes its time, and that of the computer stuck never ends by itself.
type saving struct {
	takes time.Duration
	stuck string
}

func (s *saving) Computer(_ context.Context, computer string) ([]owner.Placed, error) {
	settled := agenda.Generation{Epoch: 1, Number: 1}
	return []owner.Placed{{Computer: computer, Membership: 1, Allocation: agenda.Allocation{
		AllocationID: "t1.a-" + computer, InstanceID: "t1.i-" + computer, TreeID: "t1", Partition: "p", Period: time.Hour, Wanted: settled, Settled: settled,
	}}}, nil
}

func (s *saving) Open(context.Context, string) (redisstore.Stored, error) {
	return redisstore.Stored{Session: 1, Now: time.Now()}, nil
}

func (s *saving) Load(context.Context, string) (redisstore.Stored, error) {
	return redisstore.Stored{}, nil
}
func (s *saving) Computers(context.Context) ([]string, error) { return nil, nil }

func (s *saving) Save(ctx context.Context, computer string, _ uint64, _ *redisstore.Head, _ []*agenda.Entry, _ []string) error {
	if computer == s.stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	timer := time.NewTimer(s.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// After a fan-out to a crowd the feed is read on once all orders are handed over, or after handoverWait: one agenda that cannot be saved, or whose node
// leaves, holds nobody up for longer. What concerns fewer computers is waited for by nobody.
func TestTheFeedIsReadOnWhenAFanOutIsHandedOver(t *testing.T) {
	const save = 5 * time.Millisecond
	for name, c := range map[string]struct {
		computers int
		stuck     bool
		leaves    bool
		waits     time.Duration
	}{
		"a crowd":                                {computers: crowd, waits: save},
		"a crowd, one save hangs":                {computers: crowd, stuck: true, waits: handoverWait},
		"a crowd, one save hangs, its node left": {computers: crowd, stuck: true, leaves: true, waits: save},
		"fewer than a crowd, one save hangs":     {computers: crowd - 1, stuck: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &saving{}
				owners := owner.New(store, store, nil)
				defer func() { _ = owners.Stop(context.Background()) }() // the end of the stuck one cannot be saved
				streams := make([]*owner.Stream, c.computers)
				d := &delivery{owners: owners, events: map[string][]agenda.Event{}}
				for n := range streams {
					computer := fmt.Sprint("c", n)
					stream, err := owners.Open(t.Context(), owner.Hello{Computer: computer, BootID: "boot", Slots: 1})
					if err != nil {
						t.Fatal(err)
					}
					streams[n] = stream
					d.add(computer, agenda.Wanted{
						Partition: "p", AllocationID: "t1.a-" + computer, Generation: agenda.Generation{Epoch: 1, Number: 2}, Cause: agenda.Changed, At: time.Now(),
					})
				}
				synctest.Wait()
				store.takes = save
				if c.stuck {
					store.stuck = "c0"
				}
				if c.leaves {
					go func() {
						time.Sleep(save / 2)
						streams[0].Close()
					}()
				}
				began := time.Now()
				if err := d.send(t.Context()); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(began); waited != c.waits {
					t.Fatalf("the feed waited %s, want %s", waited, c.waits)
				}
				if c.waits == save {
					for n, stream := range streams[1:] {
						if orders, err := stream.Next(t.Context()); err != nil || len(orders) != 1 {
							t.Fatalf("c%d has %d orders (%v) when the feed is read on, want 1", n+1, len(orders), err)
						}
					}
				}
			})
		})
	}
}

// The orders of a fan-out to a crowd hold their runs back until all of the crowd have theirs; those of a smaller one do not.
func TestACrowdBeginsWhenAllHaveTheirOrders(t *testing.T) {
	for computers, want := range map[int]time.Duration{1: 0, crowd - 1: 0, crowd: crowd * holdEach} {
		synctest.Test(t, func(t *testing.T) {
			store := &saving{}
			owners := owner.New(store, store, nil)
			defer func() {
				if err := owners.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			f := New(nil, owners, Settings{})
			defer f.Close()
			all, streams := tree{}, make([]*owner.Stream, computers)
			for n := range 2 * computers { // half of the tree is with another replica
				computer := fmt.Sprint("c", n)
				all.members = append(all.members, member{computer, "p", "t1.a-" + computer, "t1.i-" + computer})
				if n < computers {
					stream, err := owners.Open(t.Context(), owner.Hello{Computer: computer, BootID: "boot", Slots: 1})
					if err != nil {
						t.Fatal(err)
					}
					streams[n] = stream
				}
			}
			f.members.trees["t1"] = all
			synctest.Wait()
			generation := agenda.Generation{Epoch: 1, Number: 2}
			bang := Entry{Kind: Bang, Tree: "t1", Generation: generation, Bang: agenda.Bang{ID: "t1.b1", Number: 1, At: time.Now(), Generation: generation}}
			if err := f.take(t.Context(), Batch{Entries: []Entry{bang}}); err != nil {
				t.Fatal(err)
			}
			for n, stream := range streams {
				orders, err := stream.Next(t.Context())
				if err != nil || len(orders) != 1 {
					t.Fatalf("c%d has %d orders (%v), want 1", n, len(orders), err)
				}
				if got := orders[0].BeginAfter; got != want {
					t.Fatalf("of %d computers c%d begins after %s, want %s", computers, n, got, want)
				}
			}
		})
	}
}
