package history

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
)

// Points are the past from one time to another, oldest first, each stretch of it as finely as it is kept.
func (s *Stored) Points(from, until, now time.Time) []*promisev1.HistoryPoint {
	var points []*promisev1.HistoryPoint
	for f, h := range s.Hours {
		if !f.kept(now) {
			continue
		}
		for _, p := range h.GetPoints() {
			at := time.UnixMilli(p.GetAtMs()).UTC()
			if at.Before(from) || at.After(until) {
				continue
			}
			one := &promisev1.HistoryPoint{At: timestamppb.New(at), Value: p.Value, Failed: p.GetFailed(), Count: 1, Sequence: p.GetSequence(), Anomaly: p.GetAnomaly(), Min: p.Value, Max: p.Value}
			if p.GetFailed() {
				one.FailedCount = 1
			}
			points = append(points, one)
		}
	}
	for f := range s.Buckets {
		// A bucket is shown while it is not shown finer: from where the level below has fallen out.
		finer := f.Level - 1
		begins := Field{finer, fieldOf(finer, now).Number - Levels[finer].Kept + 1}.Begin()
		begin := f.Begin()
		if end := begin.Add(Levels[f.Level].Width); f.kept(now) && !end.After(s.align(begins, f.Level)) && end.After(from) && !begin.After(until) {
			points = append(points, s.bucket(f))
		}
	}
	slices.SortFunc(points, func(a, b *promisev1.HistoryPoint) int {
		return cmp.Or(a.GetAt().AsTime().Compare(b.GetAt().AsTime()), cmp.Compare(a.GetSequence(), b.GetSequence()))
	})
	return points
}

// align rounds the begin of what is kept finer up to a bucket of the level: groups may be shown twice at one seam, never left out.
func (*Stored) align(begins time.Time, level int) time.Time {
	width := Levels[level].Width
	if down := begins.Truncate(width); down.Before(begins) {
		return down.Add(width)
	}
	return begins
}

func (s *Stored) bucket(f Field) *promisev1.HistoryPoint {
	b := s.Buckets[f]
	one := &promisev1.HistoryPoint{
		At: timestamppb.New(f.Begin()), Failed: b.GetFailed() > 0, Anomaly: b.GetAnomaly(), Count: b.GetCount(), FailedCount: b.GetFailed(),
		WidthSeconds: uint32(Levels[f.Level].Width / time.Second),
	}
	if b.GetValued() > 0 {
		mean := b.GetSum() / float64(b.GetValued())
		one.Value, one.Min, one.Max = &mean, &b.Min, &b.Max
	}
	return one
}

// Days are the UTC days of a range, oldest first.
func (s *Stored) Days(from, until time.Time) []*promisev1.HistoryDay {
	var days []*promisev1.HistoryDay
	for f, b := range s.Buckets {
		if begin := f.Begin(); f.Level == Day && !begin.After(until) && begin.Add(Levels[Day].Width).After(from) {
			days = append(days, &promisev1.HistoryDay{Day: timestamppb.New(begin), Passed: b.GetCount() - b.GetFailed(), Failed: b.GetFailed()})
		}
	}
	slices.SortFunc(days, func(a, b *promisev1.HistoryDay) int { return a.GetDay().AsTime().Compare(b.GetDay().AsTime()) })
	return days
}
