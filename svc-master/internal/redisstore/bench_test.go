package redisstore

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/vow-os/vow/kit/store/storetest"
)

// Bangs of 64 callers at the store's own API, on a real server with appendfsync always, each under a request id.
func BenchmarkBangs(b *testing.B) {
	for _, trees := range []int{1, 1000} {
		b.Run(fmt.Sprintf("trees=%d", trees), func(b *testing.B) {
			s := begin(b, storetest.StartRedis(b).Open(b), Limits{})
			for n := range trees {
				plant(b, s, fmt.Sprintf("tbench%d", n))
			}
			var next atomic.Int64
			b.SetParallelism(32) // × 2 CPUs
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := next.Add(1)
					if _, err := s.Update(b.Context(), bangUnder(fmt.Sprintf("tbench%d", n%int64(trees)), fmt.Sprint("k", n), nil)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bangs/s")
		})
	}
}
