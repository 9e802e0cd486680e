package recorder

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
)

// countEvery is how often the monitoring crimes of promises are counted: a gauge is a minute old at most, as svc-master's are.
const countEvery = time.Minute

// Crimes counts the monitoring crimes of promises.
type Crimes struct {
	store *redisstore.Store
	last  atomic.Pointer[counts]
}

// counts are the crimes, and the releases of which they are conditions, by the metrics' names.
type counts struct{ crimes, releases map[string]int64 }

// names is how the metrics name crimes.
var names = map[promisev1.Crime]string{
	promisev1.Crime_CRIME_SENSED_TOO_OFTEN: conv.CrimeSensedOften, promisev1.Crime_CRIME_NEVER_PASSED: conv.CrimeNeverPassed,
}

// NewCrimes makes a counter.
func NewCrimes(s *redisstore.Store) *Crimes { return &Crimes{store: s} }

// Observe makes the gauges; unregister them at the end.
func (c *Crimes) Observe(meter metric.Meter) []metric.Registration {
	of := func(pick func(*counts) map[string]int64) func(context.Context, conv.Observer) {
		return func(_ context.Context, observe conv.Observer) {
			if last := c.last.Load(); last != nil {
				for _, name := range names {
					observe(pick(last)[name], conv.CrimeName.String(name))
				}
			}
		}
	}
	return []metric.Registration{
		conv.CrimeCount.Observe(meter, of(func(n *counts) map[string]int64 { return n.crimes })),
		conv.CrimeReleases.Observe(meter, of(func(n *counts) map[string]int64 { return n.releases })),
	}
}

// Run counts until ctx ends. While the store is away the last count stands.
func (c *Crimes) Run(ctx context.Context) error {
	ctx = telemetry.NewRootContext(ctx)
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		if criminals, err := c.store.Criminals(ctx, "", time.Now()); err == nil {
			var all []*promisev1.PromiseCrime
			found := counts{map[string]int64{}, map[string]int64{}}
			for _, p := range criminals {
				for _, crime := range history.Crimes(p.Record) {
					crime.AllocationId = p.Allocation
					all = append(all, crime)
					found.crimes[names[crime.GetCrime()]]++
				}
			}
			for _, r := range history.ReleaseCrimes(all) {
				found.releases[names[promisev1.Crime(r.GetCrime())]]++
			}
			c.last.Store(&found)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
