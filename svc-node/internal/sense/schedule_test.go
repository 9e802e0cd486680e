package sense

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/senselog"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// counter is a sensor that notes when it is asked.
type counter struct {
	mu   sync.Mutex
	when map[string][]time.Time
	tell func(r sensor.Request)
}

func (c *counter) Sense(_ context.Context, r sensor.Request) *typev1.SenseGroup {
	c.mu.Lock()
	c.when[r.Promise.Name] = append(c.when[r.Promise.Name], time.Now())
	c.mu.Unlock()
	if c.tell != nil {
		c.tell(r)
	}
	return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: "OK"}}}
}

// count is how often a promise was sensed.
func (c *counter) count(promise string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.when[promise])
}

// manager watches a partition with the given files of etc/plugin.
func manager(t *testing.T, s Sensor, allocation string, files map[string]string) (*Manager, partition.Directory) {
	t.Helper()
	d := partition.Directory{Name: "slappart0", Path: t.TempDir()}
	folder := filepath.Join(d.Path, "etc", "plugin")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := senselog.Open(t.TempDir(), false, func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	m := New(Settings{
		Slots: 2, Sensor: s, Evaluator: Core{}, Log: log, Telemetry: telemetry.Disabled(), Delay: time.Second, Batch: 500,
		Runs: func(string) (*promisev1.PartitionRuns, bool) { return nil, false },
	})
	if err := m.Watch(d, allocation); err != nil {
		t.Fatal(err)
	}
	return m, d
}

func TestAThousandPromisesAreSensedOnceAPeriodAndNeverInABurst(t *testing.T) {
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("promise-%d.json", i)] = `{"sensor": "check_interface_up", "config": {"ifname": "lo"}, "periodicity": 1}`
	}
	for _, allocation := range []string{"t1.a1", "t0000000000a.a17", "t9.a2"} {
		synctest.Test(t, func(t *testing.T) {
			c := &counter{when: map[string][]time.Time{}}
			m, _ := manager(t, c, allocation, files)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- m.Run(ctx) }()
			grid := backoff.Grid(time.Minute)
			began := time.Now()
			time.Sleep(5 * grid)
			cancel()
			if err := <-done; err != nil { // after which nobody senses any more
				t.Error(err)
			}
			perSecond := map[int64]int{}
			for name, all := range c.when {
				for _, at := range all {
					perSecond[int64(at.Sub(began)/time.Second)]++
				}
				if len(all) < 4 || len(all) > 5 {
					t.Errorf("%s was sensed %d times in 5 periods", name, len(all))
				}
			}
			mean, most := 1000/grid.Seconds(), 0
			for _, n := range perSecond {
				most = max(most, n)
			}
			if float64(most) > 2*mean || len(c.when) != 1000 {
				t.Errorf("%d sensings in a second, the mean is %.1f; %d promises", most, mean, len(c.when))
			}
		})
	}
}

// The hash spreads the phases of any allocation: what the least time between two sensings has to even out is little.
func TestPhasesOfAnyAllocationAreSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allocation := rapid.StringMatching(`t[a-z0-9]{12}\.a[0-9]{1,4}`).Draw(t, "allocation")
		name := rapid.StringMatching(`[a-z-]{1,20}`).Draw(t, "name")
		const promises, cells = 1000, 10
		var counts [cells]int
		grid := backoff.Grid(time.Minute)
		for i := range promises {
			phase := backoff.Phase(fmt.Sprintf("%s/%s-%d", allocation, name, i), grid)
			counts[int(phase*cells/grid)]++
		}
		// Six standard deviations of a cell: of ten thousand allocations none is outside.
		limit := 6 * math.Sqrt(promises*(1.0/cells)*(1-1.0/cells))
		for i, n := range counts {
			if math.Abs(float64(n)-promises/cells) > limit {
				t.Fatalf("tenth %d of the period has %d of %d promises", i, n, promises)
			}
		}
	})
}

func TestTheGapKeepsAnyScheduleBelowTwiceItsMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s schedule
		rate := 0.0
		for range rapid.IntRange(0, 300).Draw(t, "promises") {
			period := time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second
			s = append(s, &appointment{promise: sensor.Promise{Period: period}})
			rate += 1 / period.Seconds()
		}
		gap := s.gap()
		if starts := 1 / gap.Seconds(); starts > math.Max(2*rate, 1/shortest.Seconds())*1.0001 || gap <= 0 || gap > shortest {
			t.Fatalf("%.1f sensings a second may start, the mean is %.1f", starts, rate)
		}
	})
}

func TestATestlessPromiseIsNotSensedByRunsAndAnAnomalylessOneOnlyByRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lo = `{"sensor": "check_interface_up", "config": {"ifname": "lo"}`
		c := &counter{when: map[string][]time.Time{}}
		m, d := manager(t, c, "t1.a1", map[string]string{"both.json": lo + "}", "testless.json": lo + `, "testless": true}`, "anomalyless.json": lo + `, "anomalyless": true}`})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = m.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if c.count("both") < 4 || c.count("testless") < 4 || c.count("anomalyless") != 0 {
			t.Errorf("by their own periodicity they were sensed %d, %d and %d times", c.count("both"), c.count("testless"), c.count("anomalyless"))
		}
		promises, err := m.list(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range promises {
			if p.Testless != (p.Name == "testless") || p.Anomalyless != (p.Name == "anomalyless") {
				t.Errorf("promise is %+v", p)
			}
		}
		cancel()
		synctest.Wait()
	})
}

func TestWhatAPromiseSaysOfItselfHoldsFromThenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{when: map[string][]time.Time{}, tell: func(r sensor.Request) { r.Learned(sensor.Traits{Period: 30 * time.Second}) }}
		m, d := manager(t, c, "t1.a1", map[string]string{"p.py": ""})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = m.Run(ctx) }()
		time.Sleep(12 * time.Minute)
		if n := c.count("p"); n < 20 || n > 26 {
			t.Errorf("it was sensed %d times in 12 minutes", n)
		}
		if promises, err := m.list(d); err != nil || len(promises) != 1 || promises[0].Period != 30*time.Second {
			t.Errorf("promises are %v, %v", promises, err)
		}
		cancel()
		synctest.Wait()
	})
}
