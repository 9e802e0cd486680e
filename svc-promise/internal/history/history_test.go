package history

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
)

var zero = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func point(sequence uint64, at time.Time, failed bool) Point {
	return Point{Sequence: sequence, At: at, Failed: failed, TestFailed: failed, Value: float64(sequence), Valued: true, Message: map[bool]string{true: "bad", false: "fine"}[failed]}
}

func TestAGroupIsCountedOnceInWhateverOrderGroupsComeAndHoweverOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []Point
		for i := range rapid.IntRange(1, 40).Draw(t, "groups") {
			points = append(points, point(uint64(i+1), zero.Add(time.Duration(i)*2*time.Minute), rapid.Bool().Draw(t, "failed")))
		}
		order := rapid.Permutation(points).Draw(t, "order")
		for range rapid.IntRange(0, 10).Draw(t, "again") {
			order = append(order, order[rapid.IntRange(0, len(order)-1).Draw(t, "which")])
		}
		now := zero.Add(2 * time.Hour)
		s := New()
		for len(order) > 0 {
			n := rapid.IntRange(1, len(order)).Draw(t, "batch")
			s.Merge(append([]Point(nil), order[:n]...), now)
			order = order[n:]
		}
		failed := uint64(0)
		for _, p := range points {
			if p.Failed {
				failed++
			}
		}
		r := s.Record
		last := points[len(points)-1]
		if r.GetFailed() != failed || r.GetPassed() != uint64(len(points))-failed || r.GetVerdict().GetSequence() != last.Sequence || r.GetVerdict().GetTestFailed() != last.Failed {
			t.Fatalf("record %v, want %d failed of %d", r, failed, len(points))
		}
		if got := s.Points(zero.Add(-time.Hour), now, now); len(got) != len(points) {
			t.Fatalf("%d points, want %d", len(got), len(points))
		}
		if days := s.Days(zero, now); len(days) != 1 || uint64(days[0].GetFailed()) != failed || int(days[0].GetPassed())+int(days[0].GetFailed()) != len(points) {
			t.Fatalf("days %v", days)
		}
	})
}

// Another replica wrote the groups of a run, which this one lacked: its window said nothing until the node replayed them.
func TestALateGroupTurnsTheVerdictOfTheNewestAndKeepsSinceWhen(t *testing.T) {
	now := zero.Add(time.Hour)
	failing := func(sequence uint64, anomaly bool) Point {
		p := point(sequence, zero.Add(time.Duration(sequence)*time.Minute), true)
		p.Newest, p.NewestFailed, p.NewestAnomaly, p.Anomaly = sequence, true, anomaly, anomaly
		return p
	}
	s := New()
	s.Merge([]Point{failing(1, false), failing(2, false), failing(3, true)}, now)
	// The stream moves. The new replica hears the fourth before what it lacks.
	incomplete, replayed := failing(4, false), failing(3, false)
	incomplete.Newest, incomplete.NewestFailed = 0, false
	replayed.Newest, replayed.NewestAnomaly = 4, true
	s.Merge([]Point{incomplete, replayed}, now)
	if v := s.Record.GetVerdict(); !v.GetAnomaly() || v.GetSequence() != 4 || !v.GetSince().AsTime().Equal(zero.Add(3*time.Minute)) {
		t.Errorf("verdict %v, want an anomaly since the third", v)
	}
	// What it lacks comes after the points were written.
	incomplete.Sequence, replayed.Newest = 5, 5
	s.Merge([]Point{incomplete}, now)
	if changed := s.Merge([]Point{replayed}, now); !changed.Any || len(changed.Written) != 0 {
		t.Errorf("a late group that is known changed %+v", changed)
	}
	if v := s.Record.GetVerdict(); !v.GetAnomaly() || s.Record.GetFailed() != 5 {
		t.Errorf("verdict %v with %d failed groups, want an anomaly with 5", v, s.Record.GetFailed())
	}
}

// tell records a group every period for so long, and says how many fields there are.
func tell(s *Stored, from time.Time, for_, period time.Duration, value func(time.Time) float64) (now time.Time, sequence uint64) {
	for now = from; now.Before(from.Add(for_)); now = now.Add(period) {
		sequence++
		p := point(sequence, now, false)
		p.Value = value(now)
		s.Merge([]Point{p}, now)
	}
	return now.Add(-period), sequence
}

func TestThePastIsDownsampledWithAgeAndEveryLevelIsBounded(t *testing.T) {
	s := New()
	now, groups := tell(s, zero, 500*24*time.Hour, 17*time.Minute, func(at time.Time) float64 { return float64(at.Hour()) })
	counts := map[int]int64{}
	for f := range s.Hours {
		counts[f.Level]++
	}
	buckets := map[int]int64{}
	for f := range s.Buckets {
		buckets[f.Level]++
	}
	for level, l := range Levels {
		if n := max(counts[level], buckets[level]*min(1, int64(level))); n > l.Kept || (level > 1 && n < l.Kept-1) {
			t.Errorf("level %d keeps %d buckets, want at most %d", level, n, l.Kept)
		}
	}
	if r := s.Record; r.GetPassed() != groups || !r.GetFirst().AsTime().Equal(zero) {
		t.Errorf("%d groups were counted, want %d", r.GetPassed(), groups)
	}
	points := s.Points(zero, now, now)
	for i := 1; i < len(points); i++ {
		if before, p := points[i-1], points[i]; !p.GetAt().AsTime().After(before.GetAt().AsTime()) || p.GetWidthSeconds() > before.GetWidthSeconds() {
			t.Fatalf("point %v after %v", p, before)
		}
	}
	oldest, newest := points[0], points[len(points)-1]
	if oldest.GetWidthSeconds() != 86400 || math.Abs(oldest.GetValue()-11.5) > 0.5 || oldest.GetMin() != 0 || oldest.GetMax() != 23 || newest.GetSequence() != groups {
		t.Errorf("oldest %v, newest %v", oldest, newest)
	}
	for i := 1; i < len(points); i++ {
		if gap := points[i].GetAt().AsTime().Sub(points[i-1].GetAt().AsTime()); gap > time.Duration(points[i-1].GetWidthSeconds())*time.Second+20*time.Minute {
			t.Errorf("nothing is shown for %s after %s", gap, points[i-1].GetAt().AsTime())
		}
	}
}

func TestAPromiseThatIsSilentForLongLeavesNothingBehindWhenItSpeaksAgain(t *testing.T) {
	s := New()
	tell(s, zero, 24*time.Hour, 2*time.Minute, func(time.Time) float64 { return 1 })
	later := zero.Add(30 * 24 * time.Hour)
	c := s.Merge([]Point{point(10_000, later, true)}, later)
	for f := range s.Hours {
		if !f.kept(later) {
			t.Errorf("hour %s is still there", f.Begin())
		}
	}
	for f := range s.Buckets {
		if !f.kept(later) {
			t.Errorf("bucket %v of %s is still there", f, f.Begin())
		}
	}
	if len(c.Removed) == 0 || len(c.Removed) > 1000 {
		t.Errorf("%d fields are removed", len(c.Removed))
	}
}

func TestClocksThatAreWrongFileNothingInTheFutureAndTheDistantPastOnlyCounts(t *testing.T) {
	s := New()
	now := zero.Add(time.Hour)
	c := s.Merge([]Point{point(1, zero.Add(-10*365*24*time.Hour), false), point(2, now.Add(48*time.Hour), true)}, now)
	for _, f := range c.Written {
		if begin := f.Begin(); begin.After(now) || begin.Before(now.Add(-24*time.Hour)) {
			t.Errorf("a bucket of %s", begin)
		}
	}
	if s.Record.GetPassed() != 1 || s.Record.GetFailed() != 1 {
		t.Errorf("record %v", s.Record)
	}
}

func TestStateSinceAndMessagesAreKeptAcrossRestarts(t *testing.T) {
	s := New()
	s.Merge([]Point{point(1, zero, false)}, zero)
	for i := uint64(2); i < 40; i++ {
		p := point(i, zero.Add(time.Duration(i)*time.Minute), true)
		p.Message = map[bool]string{true: "even", false: "odd"}[i%2 == 0]
		s.Merge([]Point{p}, p.At)
	}
	if since := s.Record.GetVerdict().GetSince().AsTime(); !since.Equal(zero.Add(2 * time.Minute)) {
		t.Errorf("failed since %s", since)
	}
	if n := len(s.Record.GetMessages()); n != MaxMessages {
		t.Errorf("%d messages, want %d", n, MaxMessages)
	}
	if size := proto.Size(s.Record); size > 2000 {
		t.Errorf("a record of %d bytes", size)
	}
}

func TestCrimesAreSeenWithTheirEvidenceAndEnd(t *testing.T) {
	crimes := func(s *Stored) map[promisev1.Crime]string {
		all := map[promisev1.Crime]string{}
		for _, c := range Crimes(s.Record) {
			all[c.GetCrime()] = c.GetEvidence()
		}
		return all
	}
	s := New()
	for i := uint64(1); i <= 12; i++ {
		p := point(i, zero.Add(time.Duration(i)*time.Minute), true)
		s.Merge([]Point{p}, p.At)
		if got := crimes(s)[promisev1.Crime_CRIME_SENSED_TOO_OFTEN]; (got != "") != (i > QuickRow) {
			t.Errorf("after %d groups a minute apart: %q", i, got)
		}
		if got := crimes(s)[promisev1.Crime_CRIME_NEVER_PASSED]; (got != "") != (i > 10) {
			t.Errorf("after %d failures in %d minutes: %q", i, i-1, got)
		}
	}
	asked := point(13, zero.Add(12*time.Minute+time.Second), true)
	asked.Asked = true
	s.Merge([]Point{asked, point(14, zero.Add(15*time.Minute), false)}, zero.Add(15*time.Minute))
	if got := crimes(s); len(got) != 0 {
		t.Errorf("it passed, and slept: %v", got)
	}
	// What runs ask for is no crime of the promise.
	s = New()
	for i := uint64(1); i < 100; i++ {
		p := point(i, zero.Add(time.Duration(i)*time.Second), false)
		p.Asked = true
		s.Merge([]Point{p}, p.At)
	}
	if got := crimes(s); len(got) != 0 {
		t.Errorf("sensed by runs only: %v", got)
	}
}

func FuzzField(f *testing.F) {
	f.Add("1:99")
	f.Add("4:1")
	f.Fuzz(func(t *testing.T, name string) {
		if field, ok := ParseField(name); ok {
			if again, ok := ParseField(field.String()); !ok || again != field {
				t.Fatalf("%q is %v, is %v", name, field, again)
			}
		}
	})
}
