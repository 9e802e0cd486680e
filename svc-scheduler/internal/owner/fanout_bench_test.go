package owner_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// A bang of a tree that has a partition on each of 1,000 computers: decided, stored and handed over; what the nodes then do is not timed.
func BenchmarkFanOut(b *testing.B) {
	const computers = 1_000
	owners := owner.New(redisstore.New(benchRedis(b)), settled{1}, nil)
	var working sync.WaitGroup
	orders := make(chan agenda.Order, computers)
	for i := range computers {
		stream, err := owners.Open(b.Context(), owner.Hello{Computer: fmt.Sprint("c", i), BootID: "b", Slots: 2})
		if err != nil {
			b.Fatal(err)
		}
		working.Go(func() {
			for {
				list, err := stream.Next(b.Context())
				if err != nil {
					return
				}
				for _, o := range list {
					orders <- o
				}
			}
		})
	}
	b.Cleanup(func() {
		if err := owners.Stop(context.Background()); err != nil {
			b.Error(err)
		}
		working.Wait()
	})
	number := uint64(time.Now().UnixNano()) // above those of an earlier benchmark on the same server
	deliver := func(events func(computer int) []agenda.Event) {
		h := owner.NewHandover(computers)
		for i := range computers {
			owners.Hand(fmt.Sprint("c", i), h, events(i)...)
		}
		<-h.Done()
	}
	b.ReportAllocs()
	for b.Loop() {
		number++
		g, bang := agenda.Generation{Epoch: 1, Number: number}, fmt.Sprint("t.b", number)
		deliver(func(i int) []agenda.Event {
			return []agenda.Event{agenda.Wanted{
				Partition: "p0", AllocationID: fmt.Sprintf("t-c%d.a0", i), Generation: g, Cause: agenda.FromBang, At: time.Now(),
				Bang: agenda.Bang{ID: bang, Number: number, At: time.Now(), Targets: computers},
			}}
		})
		runs := make([]string, computers)
		for range computers {
			o := <-orders
			var i int
			_, _ = fmt.Sscanf(o.Computer, "c%d", &i)
			runs[i] = o.RunID
		}
		b.StopTimer()
		deliver(func(i int) []agenda.Event {
			allocation := fmt.Sprintf("t-c%d.a0", i)
			return []agenda.Event{
				agenda.Begun{Partition: "p0", AllocationID: allocation, RunSeen: agenda.RunSeen{RunID: runs[i], Token: number, Generation: g}},
				agenda.Reported{Partition: "p0", AllocationID: allocation, Token: number, Generation: g, RunEnded: agenda.RunEnded{RunID: runs[i], Success: true, Result: "success"}},
			}
		})
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/computers, "µs/order")
}
