package redisstore

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

func sampleAt(allocation string, at time.Time, cpu float64) *masterv1.UsageSample {
	return &masterv1.UsageSample{
		AllocationId: allocation, At: timestamppb.New(at), CpuSeconds: cpu, MemoryBytes: uint64(cpu) * 100, DiskBytes: uint64(at.Unix()), Processes: 2,
		PeriodSeconds: 60, Partition: "slappart0", Consumed: map[string]float64{"mails": 1},
	}
}

func TestASampleCountsOnceInWhateverOrderAndBatchItComes(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		a, b, c := sampleAt("t.a1", noon, 1), sampleAt("t.a1", noon.Add(time.Minute), 2), sampleAt("t.a1", noon.Add(12*time.Hour), 4)
		for _, batch := range [][]*masterv1.UsageSample{{b, c}, {a, b}, {a, a}, {c, b, a}} {
			if _, err := s.AddUsage(t.Context(), "one", batch, noon); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.Usage(t.Context(), "one", "", "")
		if err != nil || len(all) != 2 {
			t.Fatalf("%d days, %v", len(all), err)
		}
		first := all[0].Record
		if all[0].Day != "2026-03-04" || first.GetCpuSeconds() != 3 || first.GetSeconds() != 120 || first.GetConsumed()["mails"] != 2 || first.GetMemoryPeakBytes() != 200 {
			t.Errorf("the first day is %v", first)
		}
		if first.GetDiskBytes() != uint64(noon.Add(time.Minute).Unix()) {
			t.Errorf("disk is not the newest sample's: %d", first.GetDiskBytes())
		}
		if all[1].Day != "2026-03-05" || all[1].Record.GetCpuSeconds() != 4 {
			t.Errorf("the second day is %v", all[1])
		}
		if one, err := s.Usage(t.Context(), "one", "2026-03-05", "2026-03-05"); err != nil || len(one) != 1 {
			t.Errorf("of one day there are %v, %v", one, err)
		}
	})
}

func TestUsageIsBoundedByDaysAndSamples(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		added, err := s.AddUsage(t.Context(), "one", []*masterv1.UsageSample{
			sampleAt("t.a1", now.AddDate(0, 0, -UsageDays), 1), sampleAt("t.a1", now.AddDate(0, 0, 2), 1), sampleAt("t.a1", now, 1),
		}, now)
		if err != nil || added.Added != 1 || added.Ignored != 2 {
			t.Errorf("%+v, %v", added, err)
		}
		for day := range UsageDays + 10 {
			at := now.AddDate(0, 0, day)
			if _, err := s.AddUsage(t.Context(), "one", []*masterv1.UsageSample{sampleAt("t.a1", at, 1)}, at); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.Usage(t.Context(), "one", "", "")
		if err != nil || len(all) != UsageDays+1 || all[0].Day != now.AddDate(0, 0, 9).Format(dayLayout) {
			t.Errorf("%d days are kept, from %v, %v", len(all), all[0].Day, err)
		}
		full := now.AddDate(0, 0, UsageDays+10)
		for begin := 0; begin < UsageSamples+2; begin += 500 {
			var batch []*masterv1.UsageSample
			for i := range min(500, UsageSamples+2-begin) {
				batch = append(batch, sampleAt("t.a2", full.Add(time.Duration(begin+i)*time.Second), 1))
			}
			if added, err = s.AddUsage(t.Context(), "one", batch, full); err != nil {
				t.Fatal(err)
			}
		}
		if added.Added != 0 || added.Ignored != 2 {
			t.Errorf("samples beyond the bound: %+v", added)
		}
	})
}

func TestTwoWhoAddAtOnceBothCount(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		failed := make(chan error, 4)
		for i := range 4 {
			go func() {
				_, err := s.AddUsage(t.Context(), "one", []*masterv1.UsageSample{sampleAt(fmt.Sprintf("t.a%d", i%2), now.Add(time.Duration(i)*time.Minute), 1)}, now)
				failed <- err
			}()
		}
		for range 4 {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.Usage(t.Context(), "one", "", "")
		if err != nil || len(all) != 2 || all[0].Record.GetCpuSeconds() != 2 || all[1].Record.GetCpuSeconds() != 2 {
			t.Errorf("%v, %v", all, err)
		}
	})
}
