package fleet

import (
	"fmt"
	"time"
)

// The monitoring crimes of runs (docs/rules.md, monitoring crimes); those of promises are svc-promise's.
const (
	// Sleep is what a partition has to sleep between two runs; the growing delay passes it with the fifth failure.
	Sleep = 10 * time.Second
	// SleeplessRow is how many runs in a row without sleep are a crime: more than the growing delay, a bang during a run, or a person causes.
	SleeplessRow = 10
	// LongRun is how long a run may take.
	LongRun = time.Minute
	// CrimePrefix begins the conditions that are crimes.
	CrimePrefix = "monitoring crime: "
)

// paced counts a run that begins soon after the one before.
func (p *Partition) paced(now time.Time) {
	if p.Latest == nil || p.Latest.Local || now.Sub(p.Latest.ReportedAt) >= Sleep {
		p.Sleepless, p.SleeplessSince = 0, time.Time{}
		return
	}
	if p.Sleepless == 0 {
		p.SleeplessSince = p.Latest.ReportedAt
	}
	p.Sleepless++
}

// Crimes tells which monitoring crimes the runs of a partition commit now.
func (p *Partition) Crimes(now time.Time) (sleepless, long bool) {
	awake := p.Run != nil || p.Latest != nil && now.Sub(p.Latest.ReportedAt) < Sleep
	if p.Run != nil {
		long = now.Sub(p.Run.BegunAt) > LongRun
	} else {
		long = p.Latest != nil && p.Latest.Duration > LongRun
	}
	return p.Sleepless >= SleeplessRow && awake, long
}

// crimes are those of a partition's runs, with their evidence.
func (p *Partition) crimes(title string, now time.Time) []string {
	var told []string
	sleepless, long := p.Crimes(now)
	if sleepless {
		told = append(told, fmt.Sprintf("%s%s (%s/%s) runs without ever sleeping: %d runs in a row since %s, each within %s of the one before",
			CrimePrefix, title, p.Computer, p.Name, p.Sleepless+1, p.SleeplessSince.UTC().Format(time.RFC3339), Sleep))
	}
	if long {
		var run, took string
		if p.Run != nil {
			run, took = p.Run.ID, fmt.Sprintf("began %s ago", now.Sub(p.Run.BegunAt).Round(time.Second))
		} else {
			run, took = p.Latest.RunID, "took "+p.Latest.Duration.Round(time.Second).String()
		}
		told = append(told, fmt.Sprintf("%s%s (%s/%s) runs longer than a minute: run %s %s", CrimePrefix, title, p.Computer, p.Name, run, took))
	}
	return told
}
