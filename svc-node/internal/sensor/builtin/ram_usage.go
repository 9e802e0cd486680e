package builtin

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	megabyte = 1 << 20
	// maxSamples bounds what is kept of the memory's past: ten minutes at a sample a second, and an hour of one every six.
	maxSamples = 600
	// procMemory is where the kernel tells of memory.
	procMemory = "/proc/meminfo"
)

// ramUsage is check_ram_usage. The original keeps its samples in a file for each promise; here the node keeps one row of
// them, since they are the machine's, and the average is looked at each time.
func ramUsage() Sensor { return ramUsageOf(available, time.Now) }

func ramUsageOf(available func() (float64, error), now func() time.Time) Sensor {
	return Sensor{
		Name:    "check_ram_usage",
		Summary: "Fails when the machine has little memory available, now or on average.",
		Example: `{"min-threshold-ram": 500, "min-avg-ram": 1000}`,
		Options: []Option{
			{Name: "min-threshold-ram", Default: "500", Text: "MiB that must be available now."},
			{Name: "min-avg-ram", Default: "1000", Text: "MiB that must be available on average."},
			{Name: "avg-ram-period", Default: "600", Text: "Seconds that the average is over."},
			{Name: "last-avg-ram-file", Text: "Accepted."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly 2 of 3, bangs",
		prepare: func(c *Config) Check {
			least, average := c.Float("min-threshold-ram", 500)*megabyte, c.Float("min-avg-ram", 1000)*megabyte
			period := c.Int("avg-ram-period", 600)
			return Check{Anomaly: Rule{ResultCount: 3, FailureAmount: 2}, sense: func(_ context.Context, s *Sensing) {
				bytes, err := available()
				if err != nil {
					s.error("Couldn't read available RAM: %v", err)
					return
				}
				s.value(bytes)
				at, ok := now(), true
				if bytes <= least {
					s.error("RAM usage reached critical threshold: %7s  (threshold is %7s)", human(bytes), human(least))
					ok = false
				}
				if mean := s.machine.memory.add(at, bytes, time.Duration(period)*time.Second); mean < average {
					s.error("Average RAM usage over the last %d seconds reached threshold: %7s (threshold is %7s)", period, human(mean), human(average))
					ok = false
				}
				if ok {
					s.info("RAM usage OK")
				}
			}}
		},
	}
}

// memory is what was available, newest last; shared by all promises that look at it.
type memory struct {
	mu      sync.Mutex
	samples []sample
}

type sample struct {
	at        time.Time
	available float64
}

// add takes a sample and returns the mean of a period that ends with it. Samples that come faster than one a second replace
// the newest.
func (m *memory) add(at time.Time, available float64, period time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.samples); n > 0 && at.Sub(m.samples[n-1].at) < time.Second {
		m.samples[n-1].available = available
	} else {
		if n == maxSamples {
			// The older half at half the resolution: a long period still has its past.
			kept := m.samples[:0]
			for i, s := range m.samples {
				if i >= maxSamples/2 || i%2 == 0 {
					kept = append(kept, s)
				}
			}
			m.samples = kept
		}
		m.samples = append(m.samples, sample{at, available})
	}
	sum, count := 0.0, 0
	for i := len(m.samples) - 1; i >= 0; i-- {
		if at.Sub(m.samples[i].at) > period {
			break
		}
		sum += m.samples[i].available
		count++
	}
	return sum / float64(max(1, count))
}

// available asks the kernel, in bytes.
func available() (float64, error) {
	content, err := readHead(procMemory, 64<<10)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(content) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "MemAvailable:" {
			kilobytes, err := strconv.ParseFloat(string(fields[1]), 64)
			return kilobytes * 1024, err
		}
	}
	return 0, errors.New("no MemAvailable in " + procMemory)
}
