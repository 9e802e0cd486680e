package owner_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// paused is the store of a replica whose process may stand still: a long pause of its garbage collector, SIGSTOP, a frozen virtual machine. What it was about
// to write is written when it goes on.
type paused struct {
	*redisstore.Store
	mu    sync.Mutex
	still chan struct{} // closed when it goes on; nil = it runs
}

func (p *paused) Save(ctx context.Context, computer string, session uint64, head *redisstore.Head, entries []*agenda.Entry, removed []string) error {
	p.mu.Lock()
	still := p.still
	p.mu.Unlock()
	if still != nil {
		<-still
	}
	return p.Store.Save(ctx, computer, session, head, entries, removed)
}

// A replica stands still while a run is asked for on each of its computers, which another replica takes over; then it goes on, with all that it was about to do. The
// computers are owned at once, by whoever has their newest streams, however long the pause: nothing waits for a lease. Every run is handed over, by the other
// replica only, and once; what the older one had handed over keeps its id.
func TestAReplicaThatStoodStillHandsNothingOver(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 30 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				redis := redisstore.New(storetest.Embedded(t))
				store := &paused{Store: redis}
				older, newer := owner.New(store, truth{}, nil), owner.New(redis, truth{}, nil)
				const computers = 8
				var first, second [computers]func() []agenda.Order
				var streams [computers]*owner.Stream
				name := func(i int) string { return fmt.Sprint("c", i) }
				for i := range computers {
					stream, err := older.Open(t.Context(), owner.Hello{Computer: name(i), Slots: 2})
					if err != nil {
						t.Fatal(err)
					}
					streams[i], first[i] = stream, received(stream)
				}
				for i := range computers {
					if n := len(first[i]()); n != 2 {
						t.Fatalf("%d orders before the pause, want 2", n)
					}
				}

				store.mu.Lock()
				store.still = make(chan struct{})
				store.mu.Unlock()
				for i := range computers { // a begun run frees no slot; its report does, for the third partition: an order that it decides and cannot store
					o := first[i]()[0]
					run := agenda.RunSeen{RunID: o.RunID, Token: 1, Generation: agenda.Generation{Epoch: 1, Number: 1}}
					older.Deliver(name(i), agenda.Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: run},
						agenda.Reported{Partition: o.Partition, AllocationID: o.AllocationID, Token: 1, Generation: run.Generation, RunEnded: agenda.RunEnded{RunID: o.RunID, Success: true}})
				}
				synctest.Wait()
				began := time.Now()
				for i := range computers {
					stream, err := newer.Open(t.Context(), owner.Hello{Computer: name(i), Slots: 3})
					if err != nil {
						t.Fatal(err)
					}
					second[i] = received(stream)
				}
				for i := range computers {
					got := second[i]()
					if len(got) != 3 {
						t.Fatalf("%s: %d orders after the takeover, want those of all 3 partitions", name(i), len(got))
					}
					ids := map[string]string{}
					for _, o := range got {
						ids[o.Partition] = o.RunID
					}
					for _, o := range first[i]() {
						if ids[o.Partition] != o.RunID {
							t.Errorf("%s/%s: the order %s of before is %s after the takeover", name(i), o.Partition, o.RunID, ids[o.Partition])
						}
					}
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("the computers were owned again after %s, and nothing is to be waited for", took)
				}

				time.Sleep(pause)
				close(store.still)
				synctest.Wait()
				for i := range computers {
					if n := len(first[i]()); n != 2 {
						t.Errorf("%s: the older replica handed over %d more orders when it went on", name(i), n-2)
					}
					if _, err := streams[i].Next(t.Context()); !errors.Is(err, owner.ErrSuperseded) {
						t.Errorf("%s: the older stream ended with %v", name(i), err)
					}
				}
				for _, o := range []*owner.Owners{older, newer} {
					if err := o.Stop(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
