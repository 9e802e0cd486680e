package usage

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

const (
	// maxPeriod is the longest period of a sample: what cannot be spooled for longer than a day is told as of a day.
	maxPeriod = 24 * time.Hour
	// MaxConsumed is how many resources a sample may name.
	MaxConsumed = 100
)

// Meter adds readings up until they are taken. It is used by one goroutine.
type Meter struct {
	last time.Time // of the reading before; zero = there was none
	sums map[string]*sum
}

// sum is what an allocation consumed since it was taken last.
type sum struct {
	partition         string
	period, cpu       time.Duration
	memory, processes float64 // × seconds
	disk              uint64
}

// NewMeter makes an empty one.
func NewMeter() *Meter { return &Meter{sums: map[string]*sum{}} }

// Add adds what was read now. The first reading only begins the period.
func (m *Meter) Add(tenants []Tenant, readings map[string]Reading, now time.Time) {
	passed := now.Sub(m.last)
	first := m.last.IsZero() || passed < 0
	m.last = now
	if first {
		return
	}
	for _, t := range tenants {
		r, ok := readings[t.Partition]
		if !ok {
			continue
		}
		s := m.sums[t.AllocationID]
		if s == nil {
			s = &sum{partition: t.Partition}
			m.sums[t.AllocationID] = s
		}
		s.period += passed
		s.cpu += r.CPU
		s.memory += float64(r.Memory) * passed.Seconds()
		s.processes += float64(r.Processes) * passed.Seconds()
		s.disk = r.Disk
	}
}

// Samples is what was consumed since the last Taken, by allocation.
func (m *Meter) Samples(now time.Time) []*masterv1.UsageSample {
	samples := make([]*masterv1.UsageSample, 0, len(m.sums))
	for _, id := range slices.Sorted(maps.Keys(m.sums)) {
		s := m.sums[id]
		if s.period <= 0 {
			continue
		}
		seconds := s.period.Seconds()
		samples = append(samples, &masterv1.UsageSample{
			AllocationId: id, Partition: s.partition, At: timestamppb.New(now), PeriodSeconds: min(s.period, maxPeriod).Seconds(), CpuSeconds: s.cpu.Seconds(),
			MemoryBytes: uint64(s.memory / seconds), DiskBytes: s.disk, Processes: uint32(s.processes/seconds + 0.5),
		})
	}
	return samples
}

// Taken forgets what Samples said.
func (m *Meter) Taken() { m.sums = map[string]*sum{} }

// AddDay adds samples to what a day's journal says, and returns it: another day begins with nothing.
func AddDay(day *storev1.NodeUsageDay, samples []*masterv1.UsageSample) *storev1.NodeUsageDay {
	for _, sample := range samples {
		if date := sample.GetAt().AsTime().UTC().Format(time.DateOnly); date != day.GetDay() {
			day = &storev1.NodeUsageDay{Day: date}
		}
		if day.Partitions == nil {
			day.Partitions = map[string]*storev1.NodeUsageTotal{}
		}
		total := day.Partitions[sample.GetPartition()]
		if total == nil {
			total = &storev1.NodeUsageTotal{Consumed: map[string]float64{}}
			day.Partitions[sample.GetPartition()] = total
		}
		if period := sample.GetPeriodSeconds(); period > 0 {
			total.Seconds += period
			total.CpuSeconds += sample.GetCpuSeconds()
			total.MemoryByteSeconds += float64(sample.GetMemoryBytes()) * period
			total.DiskBytes = sample.GetDiskBytes()
		}
		for resource, quantity := range sample.GetConsumed() {
			if total.Consumed == nil {
				total.Consumed = map[string]float64{}
			}
			total.Consumed[resource] += quantity
		}
	}
	return day
}
