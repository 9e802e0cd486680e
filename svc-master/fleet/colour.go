package fleet

import (
	"fmt"
	"time"
)

// Colour is how well something is known to be.
type Colour uint8

// Colours, as vow.type.v1.Colour. None: stopped, free, or nothing is requested.
const (
	None Colour = iota
	Green
	Orange
	Red
)

func (c Colour) String() string { return word(c, "none", "green", "orange", "red") }

// Status is a colour with the rule that gave it.
type Status struct {
	Colour Colour
	// Reason in words; never empty when Red or Orange.
	Reason string
	// Since is when the colour began; zero where it is not known.
	Since time.Time
	// Unconfirmed is true for a Red that is due to age alone within 60 s of a start of the control plane.
	Unconfirmed bool
}

// ComputerColour is the colour of a computer by the age of its last contact, zero = never (docs/rules.md, computer colour). start is when the
// control plane started, zero = long ago.
func ComputerColour(contact, now, start time.Time) Status {
	if contact.IsZero() {
		return Status{Colour: Red, Reason: "never seen"}
	}
	switch age := now.Sub(contact); {
	case age <= GreenAge:
		return Status{Colour: Green}
	case age <= OrangeAge:
		return Status{Colour: Orange, Reason: "no contact for " + words(age), Since: contact.Add(GreenAge)}
	default:
		return Status{Colour: Red, Reason: "no contact for " + words(age), Since: contact.Add(OrangeAge), Unconfirmed: fresh(now, start)}
	}
}

// PartitionColour is the colour of an instance's partition, or of a shared instance (docs/rules.md, partition colour): None unless it is started and allocated. Of bangs only its own
// make it Red: a bang of another member wakes it, and says nothing about it.
func (t *Tree) PartitionColour(id string, now, start time.Time) Status {
	i, p := t.Instances[id], t.Partitions[id]
	if i != nil && i.Shared {
		return i.sharedColour()
	}
	if i == nil || p == nil || i.State != Started {
		return Status{}
	}
	if p.Alarm != nil {
		return Status{Colour: Red, Reason: p.Alarm.words(), Since: p.Alarm.At}
	}
	if p.Latest == nil {
		return Status{Colour: Red, Reason: "has not run yet", Since: p.AllocatedAt}
	}
	if p.Latest.Result != Success {
		return Status{Colour: Red, Reason: fmt.Sprintf("run failed, attempt %d: %s", p.Latest.Attempt, reasonOf(p.Latest)), Since: p.ResultSince}
	}
	if p.stale(now) {
		return Status{
			Colour: Red, Reason: fmt.Sprintf("no result for %s; it runs at least every %s", words(now.Sub(p.Latest.ReportedAt)), words(p.Period())),
			Since: p.Latest.ReportedAt.Add(p.Period() + Freshness), Unconfirmed: fresh(now, start),
		}
	}
	status := Status{Colour: Green, Since: p.ResultSince}
	if p.Warning != nil {
		status.Reason = "warning: " + p.Warning.words()
	}
	return status
}

// TreeColour is Red if any partition is Red or a requested instance is not allocated, Green when all are Green, None when all are stopped
// (docs/rules.md, tree colour). A Red is unconfirmed only if all its Reds are.
func (t *Tree) TreeColour(now, start time.Time) Status {
	all := Status{}
	reds := 0
	for _, i := range t.sorted() {
		if i.State != Started {
			continue
		}
		s := t.PartitionColour(i.ID, now, start)
		if t.Partitions[i.ID] == nil && !i.Shared {
			s = Status{Colour: Red, Reason: "not allocated", Since: i.RequestedAt}
			if i.Unallocated != "" {
				s.Reason += ": " + i.Unallocated
			}
		}
		switch {
		case s.Colour == Red:
			s.Reason = i.Title + ": " + s.Reason
			if reds == 0 || all.Unconfirmed && !s.Unconfirmed {
				since := all.Since
				s.Since = first(s.Since, since, reds > 0)
				all = s
			} else {
				all.Since = first(all.Since, s.Since, true)
			}
			reds++
		case reds > 0:
		case all.Colour == None || s.Since.After(all.Since):
			all.Colour, all.Since = Green, s.Since // Green since the last of them became Green
		}
	}
	if reds > 1 {
		all.Reason += fmt.Sprintf(" (and %d more)", reds-1)
	}
	return all
}

// stale tells whether the latest result is older than the period and a minute.
func (p *Partition) stale(now time.Time) bool {
	return now.Sub(p.Latest.ReportedAt) > p.Period()+Freshness
}

// first is the earlier of two times, or a when b does not count.
func first(a, b time.Time, counts bool) time.Time {
	if counts && b.Before(a) {
		return b
	}
	return a
}

// fresh tells whether the control plane started so recently that an age says little.
func fresh(now, start time.Time) bool { return !start.IsZero() && now.Sub(start) < Unconfirmed }

func (a *Alarm) words() string {
	if a.Outcome.Wakes() && a.Outcome != Futile {
		if a.Origin == OriginManual || a.Origin == OriginComputer {
			return "banged by " + a.Source
		}
		return a.Origin.String() + " " + a.Source + " banged: " + a.Reason
	}
	return a.Reason
}

// reasonOf is why a run failed, in one line.
func reasonOf(r *Report) string {
	reason := r.Result.String()
	if r.ErrorType != "" {
		reason = r.ErrorType
	}
	if r.Error != "" {
		reason += ": " + tail(r.Error, MaxTextKept)
	}
	return reason
}

// words is a duration for people, to the second.
func words(d time.Duration) string { return d.Round(time.Second).String() }
