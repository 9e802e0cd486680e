package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// Bounds of what is kept of a computer's usage.
const (
	// UsageDays is how many UTC days are kept: two months and a day to read the first of them.
	UsageDays = 62
	// UsageSamples is how many samples of one allocation are taken in a day: a node sends 96.
	UsageSamples = 2000
	// UsageAllocations is how many allocations of a computer are taken in a day: each of 1,000 partitions changes its tenant twice.
	UsageAllocations = 3000
	// usageResources is how many resources of its own scripts an allocation may consume in a day.
	usageResources = 100

	LimitUsage = "usage samples"
)

const dayLayout = "2006-01-02"

// usageDays is the set of the days that a computer has usage of; usageKey the hash of one of them, allocation → record, changed by
// compare-and-swap of its version as a computer is (docs/decisions/0016).
func usageDays(computer string) string     { return computerKey(computer) + "days" }
func usageKey(computer, day string) string { return computerKey(computer) + "usage:" + day }

// Added tells what became of samples.
type Added struct{ Added, Known, Ignored uint32 }

// AddUsage adds the samples that are not known yet. Samples of days out of bounds are ignored and counted. now is the time by which they are judged.
func (s *Store) AddUsage(ctx context.Context, computer string, samples []*masterv1.UsageSample, now time.Time) (Added, error) {
	byDay := map[string][]*masterv1.UsageSample{}
	var total Added
	first, last := now.UTC().AddDate(0, 0, 1-UsageDays).Format(dayLayout), now.UTC().AddDate(0, 0, 1).Format(dayLayout)
	for _, sample := range samples {
		day := sample.GetAt().AsTime().Format(dayLayout)
		if day < first || day > last {
			total.Ignored++
			continue
		}
		byDay[day] = append(byDay[day], sample)
	}
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		added, err := s.addUsageDay(ctx, computer, day, byDay[day])
		if err != nil {
			return total, err
		}
		total.Added, total.Known, total.Ignored = total.Added+added.Added, total.Known+added.Known, total.Ignored+added.Ignored
	}
	for range total.Ignored {
		s.limit(LimitUsage)
	}
	return total, nil
}

func (s *Store) addUsageDay(ctx context.Context, computer, day string, samples []*masterv1.UsageSample) (Added, error) {
	const attempts = 16 // one node writes its own usage: a conflict is a repeated call on its way
	for range attempts {
		added, done, err := s.tryUsageDay(ctx, computer, day, samples)
		if done || err != nil {
			return added, err
		}
	}
	return Added{}, &UnavailableError{What: fmt.Sprintf("cannot add the usage of computer %q: it changes too often", computer)}
}

func (s *Store) tryUsageDay(ctx context.Context, computer, day string, samples []*masterv1.UsageSample) (total Added, done bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	key := usageKey(computer, day)
	failed := func(err error) (Added, bool, error) {
		return Added{}, false, &UnavailableError{fmt.Sprintf("cannot add the usage of computer %q", computer), err}
	}
	names := []string{fieldVersion}
	for _, sample := range samples {
		if id := sample.GetAllocationId(); !slices.Contains(names, id) {
			names = append(names, id)
		}
	}
	before, err := s.client.HMGet(ctx, key, names...).Result()
	if err != nil {
		return failed(err)
	}
	held, err := s.client.HLen(ctx, key).Result()
	if err != nil {
		return failed(err)
	}
	version, _ := before[0].(string)
	if version == "" {
		version = "0"
		if err := s.beginUsageDay(ctx, computer, day); err != nil {
			return failed(err)
		}
	}
	records := map[string]*storev1.UsageRecord{}
	for i, name := range names[1:] {
		r := &storev1.UsageRecord{}
		if stored, ok := before[i+1].(string); ok {
			if err := decode(stored, r); err != nil {
				return Added{}, false, fmt.Errorf("cannot decode the usage of %s on %s: %w", name, day, err)
			}
		} else if held++; held > UsageAllocations {
			continue
		}
		records[name] = r
	}
	changed := map[string]bool{}
	for _, sample := range samples {
		r := records[sample.GetAllocationId()]
		at := uint32(sample.GetAt().AsTime().Sub(sample.GetAt().AsTime().Truncate(24 * time.Hour)).Milliseconds())
		switch {
		case r == nil, len(r.GetAt()) >= UsageSamples && !slices.Contains(r.GetAt(), at):
			total.Ignored++
		case slices.Contains(r.GetAt(), at):
			total.Known++
		default:
			addSample(r, sample, at)
			changed[sample.GetAllocationId()] = true
			total.Added++
		}
	}
	if len(changed) == 0 {
		return total, true, nil
	}
	var set []any
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		b, err := encode(records[name])
		if err != nil {
			return Added{}, false, err
		}
		set = append(set, name, b)
	}
	swapped, err := s.redis.Run(ctx, s.scripts.swap, []string{key}, appendList(appendList([]any{version}, set), nil)...).Int64()
	if err != nil {
		return failed(err)
	}
	return total, swapped >= 0, nil
}

func addSample(r *storev1.UsageRecord, sample *masterv1.UsageSample, at uint32) {
	newest := len(r.GetAt()) == 0 || at > slices.Max(r.GetAt())
	r.At = append(r.At, at)
	if sample.GetPartition() != "" {
		r.Partition = sample.GetPartition()
	}
	if sample.GetPeriodSeconds() > 0 {
		r.Seconds += sample.GetPeriodSeconds()
		r.CpuSeconds += sample.GetCpuSeconds()
		r.MemoryByteSeconds += float64(sample.GetMemoryBytes()) * sample.GetPeriodSeconds()
		r.MemoryPeakBytes = max(r.GetMemoryPeakBytes(), sample.GetMemoryBytes())
		r.ProcessesPeak = max(r.GetProcessesPeak(), sample.GetProcesses())
		if newest {
			r.DiskBytes = sample.GetDiskBytes()
		}
	}
	for resource, quantity := range sample.GetConsumed() {
		if r.Consumed == nil {
			r.Consumed = map[string]float64{}
		}
		if _, known := r.Consumed[resource]; known || len(r.Consumed) < usageResources {
			r.Consumed[resource] += quantity
		}
	}
}

// beginUsageDay names a day before it is written, and forgets those that are out of bounds: a list skips a day without records, but would miss records
// without a day.
func (s *Store) beginUsageDay(ctx context.Context, computer, day string) error {
	if err := s.client.SAdd(ctx, usageDays(computer), day).Err(); err != nil {
		return err
	}
	days, err := s.client.SMembers(ctx, usageDays(computer)).Result()
	if err != nil {
		return err
	}
	slices.Sort(days)
	for len(days) > UsageDays+1 { // one more: a node's clock may be a day ahead
		if err := s.client.Del(ctx, usageKey(computer, days[0])).Err(); err != nil {
			return err
		}
		if err := s.client.SRem(ctx, usageDays(computer), days[0]).Err(); err != nil {
			return err
		}
		days = days[1:]
	}
	return nil
}

// UsageOf is what one allocation consumed in a day.
type UsageOf struct {
	Day, AllocationID string
	Record            *storev1.UsageRecord
}

// Usage reads what the partitions of a computer consumed from one day to another, inclusive, by day and partition; empty days = no bound.
func (s *Store) Usage(ctx context.Context, computer, first, last string) ([]UsageOf, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	failed := func(err error) error {
		return &UnavailableError{fmt.Sprintf("cannot read the usage of computer %q", computer), err}
	}
	days, err := s.client.SMembers(ctx, usageDays(computer)).Result()
	if err != nil {
		return nil, failed(err)
	}
	slices.Sort(days)
	var all []UsageOf
	for _, day := range days {
		if day < first || last != "" && day > last {
			continue
		}
		fields, err := s.client.HGetAll(ctx, usageKey(computer, day)).Result()
		if err != nil {
			return nil, failed(err)
		}
		begin := len(all)
		for id, value := range fields {
			if id == fieldVersion {
				continue
			}
			r := &storev1.UsageRecord{}
			if err := decode(value, r); err != nil {
				return nil, fmt.Errorf("cannot decode the usage of %s on %s: %w", id, day, err)
			}
			all = append(all, UsageOf{Day: day, AllocationID: id, Record: r})
		}
		slices.SortFunc(all[begin:], func(a, b UsageOf) int {
			if c := naturally(a.Record.GetPartition(), b.Record.GetPartition()); c != 0 {
				return c
			}
			return strings.Compare(a.AllocationID, b.AllocationID)
		})
	}
	return all, nil
}
