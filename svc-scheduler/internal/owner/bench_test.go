package owner_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// A benchmark's fleet: as many orders in flight as the peer has workers (docs/control-bench.md).
const (
	benchComputers  = 64
	benchPartitions = 100
	benchSlots      = 4
)

// crew is a fleet whose nodes are workers in this process: they acknowledge an order the moment they have it.
type crew struct {
	owners     *owner.Owners
	partitions int
	acked      atomic.Int64
	tokens     atomic.Uint64
	generation atomic.Uint64 // wanted now, which is what a run settles
	acks       chan struct{} // holds one after some were acknowledged
	late       func(time.Duration)
	working    sync.WaitGroup
}

// settled is a svc-master that wants nothing.
type settled struct{ partitions int }

func (s settled) Computer(_ context.Context, computer string) ([]owner.Placed, error) {
	var list []owner.Placed
	for i := range s.partitions {
		list = append(list, owner.Placed{Computer: computer, Membership: 1, Allocation: agenda.Allocation{
			AllocationID: fmt.Sprintf("t-%s.a%d", computer, i), InstanceID: fmt.Sprintf("t-%s.i%d", computer, i), TreeID: "t-" + computer, Partition: fmt.Sprintf("p%d", i),
			Period: 24 * time.Hour, Wanted: agenda.Generation{Epoch: 1, Number: 1}, Settled: agenda.Generation{Epoch: 1, Number: 1}, WantedCause: agenda.Changed,
		}})
	}
	return list, nil
}

// benchRedis is the server that VOW_BENCH_REDIS names, which the peer uses too, or one of our own.
func benchRedis(b *testing.B) *store.Store {
	if url := os.Getenv("VOW_BENCH_REDIS"); url != "" {
		return storetest.Open(b, store.Config{URL: url}, store.Settings{})
	}
	return storetest.StartRedis(b).Open(b)
}

func muster(b *testing.B, partitions int) *crew {
	c := &crew{partitions: partitions, acks: make(chan struct{}, 1), late: func(time.Duration) {}}
	c.tokens.Store(uint64(time.Now().UnixNano())) // above those of an earlier benchmark on the same server: svc-master's only grow
	c.owners = owner.New(redisstore.New(benchRedis(b)), settled{partitions}, nil)
	for i := range benchComputers {
		stream, err := c.owners.Open(b.Context(), owner.Hello{Computer: fmt.Sprint("c", i), BootID: "b", Slots: benchSlots})
		if err != nil {
			b.Fatal(err)
		}
		c.working.Go(func() { c.work(b.Context(), stream) })
	}
	b.Cleanup(func() {
		if err := c.owners.Stop(context.Background()); err != nil {
			b.Error(err)
		}
		c.working.Wait()
	})
	return c
}

func (c *crew) work(ctx context.Context, stream *owner.Stream) {
	for {
		orders, err := stream.Next(ctx)
		if err != nil {
			return
		}
		now := time.Now()
		for _, o := range orders {
			c.late(now.Sub(o.Due))
			g := agenda.Generation{Epoch: 1, Number: c.generation.Load()}
			token := c.tokens.Add(1)
			c.owners.Deliver(o.Computer,
				agenda.Begun{Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: agenda.RunSeen{RunID: o.RunID, Token: token, Generation: g}},
				agenda.Reported{Partition: o.Partition, AllocationID: o.AllocationID, Token: token, Generation: g, RunEnded: agenda.RunEnded{RunID: o.RunID, Success: true, Result: "success"}})
			c.acked.Add(1)
		}
		select {
		case c.acks <- struct{}{}:
		default:
		}
	}
}

// flush returns when all that was delivered is stored.
func (c *crew) flush(b *testing.B) {
	for i := range benchComputers {
		if err := c.owners.Look(b.Context(), fmt.Sprint("c", i), func(*agenda.Agenda, time.Time) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// all applies an event to every computer.
func (c *crew) all(b *testing.B, event agenda.Event) {
	var each sync.WaitGroup
	for i := range benchComputers {
		each.Go(func() {
			err := c.owners.Do(b.Context(), fmt.Sprint("c", i), func(*agenda.Agenda, time.Time) ([]agenda.Event, error) { return []agenda.Event{event}, nil })
			if err != nil {
				b.Error(err)
			}
		})
	}
	each.Wait()
}

func wanted(computer string, partition int, generation uint64, at time.Time, delay time.Duration) agenda.Event {
	return agenda.Wanted{
		Partition: fmt.Sprint("p", partition), AllocationID: fmt.Sprintf("t-%s.a%d", computer, partition), Generation: agenda.Generation{Epoch: 1, Number: generation},
		Cause: agenda.Changed, At: at, Delay: delay,
	}
}

// Orders claimed, handed over and acknowledged, each step stored: 6,400 partitions are due, and time begins when orders may flow, as the peer's begins when its
// server starts. What makes them due is not timed, as the peer's enqueueing is not.
func BenchmarkOrders(b *testing.B) {
	c := muster(b, benchPartitions)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		c.generation.Store(uint64(time.Now().UnixNano())) // above those of an earlier benchmark on the same server
		c.all(b, agenda.Pause{Reason: "bench"})
		for i := range benchComputers {
			for p := range benchPartitions {
				c.owners.Deliver(fmt.Sprint("c", i), wanted(fmt.Sprint("c", i), p, c.generation.Load(), time.Now(), 0))
			}
		}
		c.flush(b)
		want := c.acked.Load() + benchComputers*benchPartitions
		b.StartTimer()
		c.all(b, agenda.Resume{})
		for c.acked.Load() < want {
			<-c.acks
		}
		c.flush(b)
	}
	b.ReportMetric(float64(b.N*benchComputers*benchPartitions)/b.Elapsed().Seconds(), "orders/s")
}

// How late an order is at its worker, when 1,000 a second become due at their own times.
func BenchmarkLateness(b *testing.B) {
	c := muster(b, benchPartitions)
	var mu sync.Mutex
	var late []time.Duration
	c.late = func(d time.Duration) {
		mu.Lock()
		late = append(late, d)
		mu.Unlock()
	}
	const orders, every = 5_000, time.Millisecond
	b.ResetTimer()
	for range b.N {
		c.generation.Store(uint64(time.Now().UnixNano())) // above those of an earlier benchmark on the same server
		before := c.acked.Load()
		now := time.Now()
		for n := range orders {
			computer := fmt.Sprint("c", n%benchComputers)
			c.owners.Deliver(computer, wanted(computer, n/benchComputers, c.generation.Load(), now, time.Second+time.Duration(n)*every))
		}
		<-time.After(time.Second + orders*every)
		for c.acked.Load() < before+orders {
			c.flush(b)
		}
	}
	b.StopTimer()
	slices.Sort(late)
	if late[0] < 0 {
		b.Errorf("an order came %s too early", -late[0])
	}
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
}
