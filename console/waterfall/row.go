package waterfall

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Row is one bar.
type Row struct {
	// Label says what; Depth indents it.
	Label string
	Depth int
	// From and To are offsets from the first moment; equal for a moment, and To is unset (Pending) for what has not ended.
	From, To time.Duration
	// Pending is true for what has not ended.
	Pending bool
	// Failed is true when it ended in anything but success.
	Failed bool
	// Note is a word more, e.g. "×37" or the end of an error.
	Note string
	// InstanceID is the member's; empty when the row is the tree's.
	InstanceID string
	// Critical is true for the rows of the member whose last run ended the convergence, or keeps it open.
	Critical bool
}

// Rows lays out a convergence. now ends what is pending.
func Rows(c *masterv1.Convergence, now time.Time) []Row {
	zero := start(c)
	offset := func(e *masterv1.TimelineEntry) time.Duration { return max(0, e.GetAt().AsTime().Sub(zero)) }
	var rows []Row
	var joined uint64
	for _, e := range c.GetTimeline() {
		switch e.GetMoment() {
		case masterv1.Moment_MOMENT_NOTICED:
			rows = append(rows, Row{Label: "noticed " + e.GetName(), From: offset(e), To: offset(e), Note: e.GetText()})
		case masterv1.Moment_MOMENT_BANGED:
			rows = append(rows, Row{Label: "bang", From: offset(e), To: offset(e), Note: e.GetText()})
		case masterv1.Moment_MOMENT_JOINED:
			joined += max(1, e.GetFolds())
		}
	}
	if joined = max(joined, c.GetJoined()); joined > 0 {
		rows = append(rows, Row{Label: "bangs joined", From: 0, To: 0, Note: fmt.Sprintf("×%d", joined)})
	}
	last := decisive(c)
	timeline := byInstance(c)
	for _, m := range members(c) {
		of := memberRows(timeline[m.GetInstanceId()], m, offset, now.Sub(zero))
		for i := range of {
			of[i].InstanceID, of[i].Critical = m.GetInstanceId(), m.GetInstanceId() == last
		}
		rows = append(rows, of...)
	}
	if c.GetClosedAt() != nil {
		end := c.GetClosedAt().AsTime().Sub(zero)
		rows = append(rows, Row{Label: stateWord(c.GetState()), From: end, To: end, Failed: c.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED})
	} else {
		rows = append(rows, Row{Label: "converged", From: now.Sub(zero), To: now.Sub(zero), Pending: true})
	}
	return rows
}

// start is the first moment of a convergence.
func start(c *masterv1.Convergence) time.Time {
	zero := c.GetOpenedAt().AsTime()
	for _, e := range c.GetTimeline() {
		if at := e.GetAt().AsTime(); at.Before(zero) {
			zero = at
		}
	}
	return zero
}

// members by id, the root's first: those that are listed, and those that only the timeline names because they have left the tree since.
func members(c *masterv1.Convergence) []*masterv1.ConvergenceMember {
	sorted, known := slices.Clone(c.GetMembers()), map[string]bool{}
	for _, m := range sorted {
		known[m.GetInstanceId()] = true
	}
	for _, e := range c.GetTimeline() {
		if e.GetMoment() == masterv1.Moment_MOMENT_BEGUN && !known[e.GetInstanceId()] {
			known[e.GetInstanceId()] = true
			sorted = append(sorted, &masterv1.ConvergenceMember{InstanceId: e.GetInstanceId(), Title: e.GetTitle(), Settled: true})
		}
	}
	slices.SortFunc(sorted, func(a, b *masterv1.ConvergenceMember) int {
		return cmp.Or(cmp.Compare(len(a.GetInstanceId()), len(b.GetInstanceId())), cmp.Compare(a.GetInstanceId(), b.GetInstanceId()))
	})
	return sorted
}

// memberRows lays out the runs of one member: a row for the whole run, beneath it the way to it and its steps.
func memberRows(timeline []*masterv1.TimelineEntry, m *masterv1.ConvergenceMember, offset func(*masterv1.TimelineEntry) time.Duration, now time.Duration) []Row {
	var rows []Row
	var due, ordered time.Duration = -1, -1
	title := m.GetTitle()
	if m.GetPartition() != "" {
		title += " · " + m.GetPartition()
	}
	open := -1             // index of the row of the run that has not been reported
	var last time.Duration // when the latest run was reported
	for _, e := range timeline {
		at := offset(e)
		switch e.GetMoment() {
		case masterv1.Moment_MOMENT_DUE:
			due = at
		case masterv1.Moment_MOMENT_ORDERED:
			ordered = at
		case masterv1.Moment_MOMENT_BEGUN:
			open = len(rows)
			rows = append(rows, Row{Label: "run " + title, From: at, To: now, Pending: true})
			if due >= 0 && ordered >= due {
				rows = append(rows, Row{Label: "due → ordered", Depth: 1, From: due, To: ordered})
				rows = append(rows, Row{Label: "ordered → begun", Depth: 1, From: ordered, To: max(at, ordered)})
			}
			due, ordered = -1, -1
		case masterv1.Moment_MOMENT_STEP:
			rows = append(rows, Row{
				Label: "step " + e.GetName(), Depth: 1, From: max(0, at-seconds(e.GetDurationSeconds())), To: at,
				Failed: failed(e.GetResult()), Note: e.GetText(),
			})
		case masterv1.Moment_MOMENT_REPORTED:
			if open >= 0 {
				rows[open].To, rows[open].Pending = at, false
				rows[open].Failed, rows[open].Note = failed(e.GetResult()), e.GetText()
				open, last = -1, at
			}
		}
	}
	if len(rows) == 0 || (!m.GetSettled() && open < 0) {
		rows = append(rows, Row{Label: "run " + title, From: max(last, due), To: now, Pending: !m.GetSettled(), Note: m.GetBlocker()})
	}
	return rows
}

// failed is true for every end but success and skip.
func failed(r typev1.RunResult) bool {
	return r != typev1.RunResult_RUN_RESULT_SUCCESS && r != typev1.RunResult_RUN_RESULT_SKIP && r != typev1.RunResult_RUN_RESULT_UNSPECIFIED
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// stateWord is how people say it.
func stateWord(s masterv1.ConvergenceState) string {
	switch s {
	case masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED:
		return "converged"
	case masterv1.ConvergenceState_CONVERGENCE_STATE_SUPERSEDED:
		return "superseded"
	case masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED:
		return "abandoned"
	default:
		return "open"
	}
}
