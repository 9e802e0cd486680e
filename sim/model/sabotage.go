package model

import (
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// sabotageEvent changes what the core of svc-master gets to see.
func (w *World) sabotageEvent(t *fleet.Tree, e fleet.Event) fleet.Event {
	report, ok := e.(fleet.ReportRun)
	if !ok || w.cfg.sabotage != acceptStale || report.Local != nil {
		return e
	}
	if _, p := t.Allocated(report.AllocationID); p != nil && p.Run != nil {
		report.Token, report.RunID = p.Run.Token, p.Run.ID
	}
	return report
}

// forgets tells whether svc-master acknowledges and does not store.
func (w *World) forgets(e fleet.Event, a fleet.Answer) bool {
	switch w.cfg.sabotage {
	case forgetBang:
		_, ok := e.(fleet.Bang)
		return ok
	case forgetReport:
		_, ok := e.(fleet.ReportRun)
		return ok
	case forgetRequest:
		r, ok := e.(fleet.Request)
		return ok && r.RequesterID == ""
	case miscountJoined:
		if b, ok := a.(fleet.BangAnswer); ok && b.Outcome == fleet.Joined {
			if t := w.master.trees[fleet.TreeID(b.BangID)]; t.Convergence != nil {
				t.Convergence.Joined--
			}
		}
	case noSabotage, acceptStale, olderDesired, twoRuns, deafScheduler, forgottenOrder, greenAfterRestart, sameEpoch, impatient, deafHost:
	}
	return false
}

// hurry runs everything every ten minutes, whatever the growing delay says.
func (c *client) hurry() {
	for _, r := range c.w.replicas {
		for _, computer := range r.computers() {
			for _, partition := range sortedKeys(r.owners[computer].agenda.Entries) {
				r.owners[computer].apply(agenda.RunNow{Partition: partition})
			}
		}
	}
	c.w.after(10*time.Minute, c.hurry)
}
