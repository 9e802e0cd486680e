package fleet

import (
	"fmt"
	"slices"
	"time"
)

// Row is the bangs of one source of a partition that led to nothing (docs/rules.md, futile bangs).
//
//	bang ──▶ Count 0 ── bang again after a run that changed nothing, without passing ──▶ Count+1 ─┐
//	            ▲        (a process: its exit within 10 s of being up)                     ▲      │ from 3 on: it waits with
//	            │                                                                          └──────┘ the growing delay
//	            └── it passed, or a run changed something, or 10 good minutes
//
// Good minutes count from the end of the first run since the bang: a source that waits for its delayed run is not good.
type Row struct {
	Origin Origin
	Source string
	// Count of futile bangs in a row.
	Count uint32
	// Awaiting is the number of the delayed bang that awaits BeginRun; 0 = none.
	Awaiting uint64
	// DueAt is when the newest delayed bang is due; zero = it does not wait.
	DueAt time.Time
	// RanAt is when the first successful run since the newest bang was reported; zero = none was.
	RanAt time.Time
	// Token of the newest run when the newest bang came: only runs that began later count.
	Token uint64
	// Changed is true when a run since the newest bang changed something; Passed when the promise passed in one.
	Changed, Passed bool
}

// good tells whether the row has ended by 10 good minutes.
func (r *Row) good(now time.Time) bool { return !r.RanAt.IsZero() && now.Sub(r.RanAt) >= GoodTime }

// storm tells whether the bangs of the source wait.
func (r *Row) storm(now time.Time) bool {
	return r.Count >= FutileFrom && !r.good(now) && (r.Origin == OriginProcess || !r.Passed && !r.Changed)
}

func (p *Partition) row(origin Origin, source string) *Row {
	for i := range p.Rows {
		if p.Rows[i].Origin == origin && p.Rows[i].Source == source {
			return &p.Rows[i]
		}
	}
	return nil
}

// futile counts a bang in the row of its source and returns how long it waits, and why. Manual and computer bangs never are futile.
func futile(e *Bang, m *member, now time.Time) (time.Duration, string) {
	if m == nil || !e.sensed() {
		return 0, ""
	}
	p := m.partition
	row := p.row(e.Origin, e.Source)
	if row == nil {
		if len(p.Rows) == MaxFutileRows {
			p.Rows = slices.Delete(p.Rows, 0, 1)
		}
		p.Rows = append(p.Rows, Row{Origin: e.Origin, Source: e.Source, Token: p.Token})
		return 0, ""
	}
	switch {
	case row.good(now):
		row.Count = 0
	case e.Origin == OriginProcess && e.Up < FutileUp:
		row.Count++
	case e.Origin == OriginProcess:
		row.Count = 0
	case row.Passed || row.Changed:
		row.Count = 0
	case !row.RanAt.IsZero():
		row.Count++
	default: // nobody knows yet what the run that it asked for will do: the row neither grows nor ends
	}
	row.Token, row.RanAt, row.Changed, row.Passed, row.DueAt = p.Token, time.Time{}, false, false, time.Time{}
	if row.Count < FutileFrom {
		return 0, ""
	}
	delay := delayOf(row.Count-FutileFrom+1, p.AllocationID+"/"+e.Source)
	row.DueAt = now.Add(delay)
	return delay, fmt.Sprintf("futile: bang storm of %s %s, %d futile bangs in a row; its run waits %s", e.Origin, e.Source, row.Count, delay.Round(time.Millisecond))
}

// begunRows ends the waiting of all sources: the run that begins answers them.
func (p *Partition) begunRows() {
	for i := range p.Rows {
		p.Rows[i].Awaiting, p.Rows[i].DueAt = 0, time.Time{}
	}
}

// reportedRows tells the rows what a run did.
func (p *Partition) reportedRows(token uint64, e *ReportRun, now time.Time) {
	for i := range p.Rows {
		row := &p.Rows[i]
		if token <= row.Token {
			continue // it had begun before the bang
		}
		row.Changed = row.Changed || e.Changed
		if e.Result == Success && row.RanAt.IsZero() {
			row.RanAt = now
		}
		if row.Origin != OriginPromise {
			continue
		}
		for _, v := range e.Verdicts {
			if v.Promise == row.Source && !v.TestFailed && !v.Anomaly {
				row.Passed = true
			}
		}
	}
}
