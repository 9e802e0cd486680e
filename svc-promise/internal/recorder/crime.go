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
	last  atomic.Pointer[map[promisev1.Crime]int64]
}

// NewCrimes makes a counter.
func NewCrimes(s *redisstore.Store) *Crimes { return &Crimes{store: s} }

// Observe makes the gauge; unregister it at the end.
func (c *Crimes) Observe(meter metric.Meter) metric.Registration {
	return conv.CrimeCount.Observe(meter, func(_ context.Context, observe conv.Observer) {
		if last := c.last.Load(); last != nil {
			observe((*last)[promisev1.Crime_CRIME_SENSED_TOO_OFTEN], conv.CrimeName.String(conv.CrimeSensedOften))
			observe((*last)[promisev1.Crime_CRIME_NEVER_PASSED], conv.CrimeName.String(conv.CrimeNeverPassed))
		}
	})
}

// Run counts until ctx ends. While the store is away the last count stands.
func (c *Crimes) Run(ctx context.Context) error {
	ctx = telemetry.NewRootContext(ctx)
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		if criminals, err := c.store.Criminals(ctx, "", time.Now()); err == nil {
			counts := map[promisev1.Crime]int64{}
			for _, p := range criminals {
				for _, crime := range history.Crimes(p.Record) {
					counts[crime.GetCrime()]++
				}
			}
			c.last.Store(&counts)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
