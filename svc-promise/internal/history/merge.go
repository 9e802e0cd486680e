package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Point is one group as it was recorded.
type Point struct {
	Sequence uint64
	// At is when it was sensed, by the node's clock.
	At     time.Time
	Value  float64
	Valued bool
	// Failed is the group's own result.
	Failed bool
	// TestFailed and Anomaly are the verdict that it made, if it was the newest.
	TestFailed, Anomaly bool
	// Newest is the newest group of the window after this one came, and NewestFailed and NewestAnomaly the verdict about it, which a late group may have turned.
	// Newest is 0 while the window lacks groups: what it says then may be wrong.
	Newest                      uint64
	NewestFailed, NewestAnomaly bool
	// Asked is true when a run asked for it.
	Asked   bool
	Message string
	Kind    typev1.PromiseKind
	// Period in seconds; 0 = not told.
	Period              float64
	Computer, Partition string
	// Release is the URL of the instance's software release; empty = not told.
	Release string
}

// Stored is what is kept of a promise, as far as it was loaded.
type Stored struct {
	// Record is empty for a promise that was never heard of.
	Record  *storev1.PromiseRecord
	Hours   map[Field]*storev1.PromiseHour
	Buckets map[Field]*storev1.PromiseBucket
}

// New is a promise that was never heard of.
func New() *Stored {
	return &Stored{Record: &storev1.PromiseRecord{}, Hours: map[Field]*storev1.PromiseHour{}, Buckets: map[Field]*storev1.PromiseBucket{}}
}

// Fields are the buckets that points touch: what has to be loaded before they are merged.
func Fields(points []Point, now time.Time) []Field {
	var fields []Field
	for _, p := range points {
		at := filed(p.At, now)
		for level := range Levels {
			if f := fieldOf(level, at); f.kept(now) && !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

// filed is the time under which a group is kept.
func filed(at, now time.Time) time.Time {
	if at.After(now.Add(MaxSkew)) {
		return now
	}
	return at
}

// Changed is what a merge changed: fields to write, and fields to remove.
type Changed struct {
	// Any is true when there was a group that was not known, or one that turned the verdict of the newest.
	Any     bool
	Written []Field
	Removed []Field
}

// Merge puts points into what is stored. It sorts them.
func (s *Stored) Merge(points []Point, now time.Time) Changed {
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.Sequence, b.Sequence) })
	var c Changed
	// What complete windows said of their newest groups stands instead of what an incomplete one did: all complete ones say the same.
	complete := map[uint64]*Point{}
	for i := range points {
		complete[points[i].Newest] = &points[i]
	}
	delete(complete, 0)
	for i := range points {
		p := &points[i]
		if q := complete[p.Sequence]; q != nil {
			p.TestFailed, p.Anomaly = q.NewestFailed, q.NewestAnomaly
		}
		known, newest := s.see(p.Sequence)
		if known {
			continue
		}
		c.Any = true
		s.count(p)
		if newest {
			s.newest(p)
		}
		at := filed(p.At, now)
		for level := range Levels {
			f := fieldOf(level, at)
			if !f.kept(now) || !s.put(f, p, at) {
				continue
			}
			if !slices.Contains(c.Written, f) {
				c.Written = append(c.Written, f)
			}
		}
	}
	if q := complete[s.Record.GetVerdict().GetSequence()]; q != nil && s.late(q) {
		c.Any = true
	}
	if c.Any {
		s.prune(&c, now)
	}
	return c
}

// see notes a sequence: the 64 newest are told apart, older ones count as known.
func (s *Stored) see(sequence uint64) (known, newest bool) {
	r := s.Record
	last := r.GetVerdict().GetSequence()
	if sequence > last {
		if shift := sequence - last; shift < 64 {
			r.Seen = r.GetSeen()<<shift | 1
		} else {
			r.Seen = 1
		}
		if r.GetVerdict() == nil {
			r.Verdict = &typev1.Verdict{}
		}
		r.Verdict.Sequence = sequence
		return false, true
	}
	behind := last - sequence
	if behind >= 64 || r.GetSeen()>>behind&1 == 1 {
		return true, false
	}
	r.Seen |= 1 << behind
	return false, false
}

// count counts a group.
func (s *Stored) count(p *Point) {
	r, at := s.Record, timestamppb.New(p.At)
	if r.GetFirst() == nil || p.At.Before(r.GetFirst().AsTime()) {
		r.First = at
	}
	if p.Failed {
		r.Failed++
		if p.At.After(r.GetLastFailed().AsTime()) {
			r.LastFailed = at
		}
		return
	}
	r.Passed++
	if p.At.After(r.GetLastPassed().AsTime()) {
		r.LastPassed = at
	}
}

// newest takes what the newest group says of its promise.
func (s *Stored) newest(p *Point) {
	r, at := s.Record, timestamppb.New(p.At)
	v := r.GetVerdict()
	first, turned := r.GetAt() == nil, v.GetTestFailed() != p.TestFailed || v.GetAnomaly() != p.Anomaly
	if first || turned {
		v.Since = at
	}
	if first || turned || (p.Message != v.GetMessage() && tail(p.Message) != v.GetMessage()) {
		message := tail(p.Message)
		if len(r.GetMessages()) >= MaxMessages {
			r.Messages = slices.Delete(r.GetMessages(), 0, len(r.GetMessages())-MaxMessages+1)
		}
		r.Messages = append(r.Messages, &storev1.PromiseMessage{At: at, Failed: p.TestFailed, Message: message})
		v.Message = message
	}
	v.TestFailed, v.Anomaly = p.TestFailed, p.Anomaly
	r.At, r.Kind, r.PeriodSeconds, r.Computer, r.Partition, r.Value = at, p.Kind, p.Period, p.Computer, p.Partition, nil
	if p.Valued {
		r.Value = &p.Value
	}
	if p.Release != "" {
		r.SoftwareRelease = p.Release
	}
	if !p.Asked {
		s.paced(p)
	}
}

// late takes the verdict of the newest group when a group that came after it turned that; true = it did. The late group itself may be known: another replica,
// which evaluated it, wrote it.
func (s *Stored) late(p *Point) bool {
	v := s.Record.GetVerdict()
	if v.GetTestFailed() == p.NewestFailed && v.GetAnomaly() == p.NewestAnomaly {
		return false
	}
	v.TestFailed, v.Anomaly, v.Since = p.NewestFailed, p.NewestAnomaly, s.Record.GetAt()
	return true
}

// tail is the end of a message.
func tail(message string) string {
	if len(message) > MaxMessage {
		message = message[len(message)-MaxMessage:]
	}
	return strings.ToValidUTF8(message, "")
}

// put adds a group to one bucket; false = the bucket is full of points.
func (s *Stored) put(f Field, p *Point, at time.Time) bool {
	if f.Level == Raw {
		h := s.Hours[f]
		if h == nil {
			h = &storev1.PromiseHour{}
			s.Hours[f] = h
		}
		if len(h.GetPoints()) >= MaxPoints {
			return false
		}
		one := &storev1.PromisePoint{Sequence: p.Sequence, AtMs: at.UnixMilli(), Failed: p.Failed, Anomaly: p.Anomaly}
		if p.Valued {
			one.Value = &p.Value
		}
		h.Points = append(h.Points, one)
		return true
	}
	b := s.Buckets[f]
	if b == nil {
		b = &storev1.PromiseBucket{}
		s.Buckets[f] = b
	}
	b.Count++
	if p.Failed {
		b.Failed++
	}
	b.Anomaly = b.GetAnomaly() || p.Anomaly
	if p.Valued {
		if b.GetValued() == 0 {
			b.Min, b.Max = p.Value, p.Value
		}
		b.Valued++
		b.Sum += p.Value
		b.Min, b.Max = min(b.GetMin(), p.Value), max(b.GetMax(), p.Value)
	}
	return true
}

// prune names the buckets that fell out of their level since the last time.
func (s *Stored) prune(c *Changed, now time.Time) {
	r := s.Record
	for len(r.GetOldest()) < len(Levels) {
		r.Oldest = append(r.Oldest, 0)
	}
	for level, l := range Levels {
		first := fieldOf(level, now).Number - l.Kept + 1
		if r.GetOldest()[level] == 0 {
			r.Oldest[level] = first
		}
		// What exists was young enough when the oldest was noted: however long the silence, at most Kept buckets from there.
		for number := r.GetOldest()[level]; number < min(first, r.GetOldest()[level]+l.Kept); number++ {
			f := Field{level, number}
			c.Removed = append(c.Removed, f)
			delete(s.Hours, f)
			delete(s.Buckets, f)
		}
		r.Oldest[level] = max(first, r.GetOldest()[level])
	}
	c.Written = slices.DeleteFunc(c.Written, func(f Field) bool { return slices.Contains(c.Removed, f) })
}
