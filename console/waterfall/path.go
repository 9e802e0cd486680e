package waterfall

import (
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// Part is one stretch of the critical path.
type Part struct {
	// Label says what took the time.
	Label string
	// Title of the member whose time it was; empty before a member had any.
	Title string
	// From and To are offsets from the first moment; a part begins where the one before it ended.
	From, To time.Duration
}

// leastGap is what between two steps is worth a part of its own; less counts to the step that follows.
const leastGap = time.Millisecond

// Path is the critical path: what followed what from the first moment to the end of the convergence, or until now, by way of the member that ran last. Its parts have no gaps and do not
// overlap, so that they sum to the whole.
func Path(c *masterv1.Convergence, now time.Time) []Part {
	zero, last := start(c), decisive(c)
	end := now.Sub(zero)
	if c.GetClosedAt() != nil {
		end = c.GetClosedAt().AsTime().Sub(zero)
	}
	var parts []Part
	var cursor time.Duration
	title := ""
	add := func(label string, to time.Duration) {
		if to = min(to, end); to > cursor {
			parts = append(parts, Part{Label: label, Title: title, From: cursor, To: to})
			cursor = to
		}
	}
	named := titleOf(c, last)
	banged, ran := false, false
	for _, e := range c.GetTimeline() {
		at := e.GetAt().AsTime().Sub(zero)
		if e.GetMoment() == masterv1.Moment_MOMENT_BANGED && !banged {
			banged = true
			add("noticed → bang", at)
		}
		if last == "" || e.GetInstanceId() != last || !banged {
			continue
		}
		switch e.GetMoment() {
		case masterv1.Moment_MOMENT_DUE:
			if ran {
				add("wait for the next try", at)
			} else {
				add("bang → due", at)
			}
			title = named
		case masterv1.Moment_MOMENT_ORDERED:
			add("due → ordered", at)
		case masterv1.Moment_MOMENT_BEGUN:
			title = named
			add("ordered → begun", at)
		case masterv1.Moment_MOMENT_STEP:
			if begin := at - seconds(e.GetDurationSeconds()); begin-cursor >= leastGap {
				add("in the run", begin)
			}
			add("step "+e.GetName(), at)
		case masterv1.Moment_MOMENT_REPORTED:
			add("report", at)
			ran = true
		}
	}
	if c.GetClosedAt() != nil {
		add("report → "+stateWord(c.GetState()), end)
	} else {
		add("pending", end)
	}
	return parts
}

// decisive is the member that keeps the convergence open: of those that are not settled the one that did something last; when all are, the one that was reported last.
func decisive(c *masterv1.Convergence) string {
	settled := map[string]bool{}
	id := ""
	for _, m := range c.GetMembers() {
		settled[m.GetInstanceId()] = m.GetSettled()
		if !m.GetSettled() && id == "" {
			id = m.GetInstanceId()
		}
	}
	waiting := id != "" && c.GetClosedAt() == nil
	for _, e := range c.GetTimeline() {
		switch of := e.GetInstanceId(); {
		case of == "" || e.GetMoment() == masterv1.Moment_MOMENT_NOTICED:
		case waiting && !settled[of] && e.GetMoment() != masterv1.Moment_MOMENT_BANGED && known(settled, of):
			id = of
		case !waiting && e.GetMoment() == masterv1.Moment_MOMENT_REPORTED:
			id = of
		}
	}
	return id
}

func known(settled map[string]bool, id string) bool {
	_, ok := settled[id]
	return ok
}

// byInstance sorts the timeline by member, so that laying out thousands of members reads it once.
func byInstance(c *masterv1.Convergence) map[string][]*masterv1.TimelineEntry {
	of := map[string][]*masterv1.TimelineEntry{}
	for _, e := range c.GetTimeline() {
		of[e.GetInstanceId()] = append(of[e.GetInstanceId()], e)
	}
	return of
}

// titleOf a member; of one that has left the tree since, as the timeline has it.
func titleOf(c *masterv1.Convergence, id string) string {
	for _, m := range c.GetMembers() {
		if m.GetInstanceId() == id {
			return m.GetTitle()
		}
	}
	for _, e := range c.GetTimeline() {
		if e.GetInstanceId() == id && e.GetTitle() != "" {
			return e.GetTitle()
		}
	}
	return ""
}
