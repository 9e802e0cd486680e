package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
	// crimePrefix begins the conditions that are crimes.
	crimePrefix = "monitoring crime: "
)

// CrimeKind is which monitoring crime.
type CrimeKind int

// The monitoring crimes of runs, as vow.type.v1.MonitoringCrime numbers them.
const (
	CrimeSleepless CrimeKind = 3
	CrimeLongRun   CrimeKind = 4
)

// Crime is a monitoring crime that the runs of a partition commit, with its evidence.
type Crime struct {
	Kind     CrimeKind
	Instance *Instance
	// Partition is whose runs they are.
	Partition *Partition
	// Since is the end of the run before the row, or the begin of the long run; Seen is now while a run is in progress, else when the latest was reported.
	Since, Seen time.Time
	// Runs in a row; 1 for a long run.
	Runs int
	// RunID and Took are the run in progress so far, or the latest one.
	RunID string
	Took  time.Duration
	// Evidence is for people.
	Evidence string
}

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

// Crimes are the monitoring crimes of the tree's runs, by allocation and kind.
func (t *Tree) Crimes(now time.Time) []Crime {
	var crimes []Crime
	for _, m := range t.view().order {
		crimes = append(crimes, m.partition.crimes(m.instance, now)...)
	}
	return crimes
}

// crimes are those of a partition's runs.
func (p *Partition) crimes(i *Instance, now time.Time) []Crime {
	one := Crime{Instance: i, Partition: p, Seen: now}
	var awake bool
	var took string
	switch {
	case p.Run != nil:
		one.RunID, one.Took = p.Run.ID, now.Sub(p.Run.BegunAt)
		awake, took = true, fmt.Sprintf("began %s ago", one.Took.Round(time.Second))
	case p.Latest != nil:
		one.RunID, one.Took, one.Seen = p.Latest.RunID, p.Latest.Duration, p.Latest.ReportedAt
		awake, took = now.Sub(one.Seen) < Sleep, "took "+one.Took.Round(time.Second).String()
	default:
		return nil
	}
	where := fmt.Sprintf("%s (%s/%s)", i.Title, p.Computer, p.Name)
	var crimes []Crime
	if p.Sleepless >= SleeplessRow && awake {
		c := one
		c.Kind, c.Since, c.Runs = CrimeSleepless, p.SleeplessSince, int(p.Sleepless)+1
		c.Evidence = fmt.Sprintf("%s runs without ever sleeping: %d runs in a row since %s, each within %s of the one before", where, c.Runs, c.Since.UTC().Format(time.RFC3339), Sleep)
		crimes = append(crimes, c)
	}
	if one.Took > LongRun {
		c := one
		c.Kind, c.Since, c.Runs = CrimeLongRun, one.Seen.Add(-one.Took), 1
		c.Evidence = fmt.Sprintf("%s runs longer than a minute: run %s %s", where, c.RunID, took)
		crimes = append(crimes, c)
	}
	return crimes
}

// ReleaseCrime is a condition of a software release: runs of its instances commit a crime.
type ReleaseCrime struct {
	Release string
	Kind    CrimeKind
	// Partitions that commit it.
	Partitions int
	// Since is when the oldest of them began, and Evidence its.
	Since    time.Time
	Evidence string
}

// ReleaseCrimes are the conditions that crimes make of releases, by URL and kind.
func ReleaseCrimes(crimes []Crime) []ReleaseCrime {
	type key struct {
		release string
		kind    CrimeKind
	}
	at := map[key]int{}
	var all []ReleaseCrime
	for i := range crimes {
		c := &crimes[i]
		k := key{c.Instance.Release, c.Kind}
		n, known := at[k]
		if !known {
			n = len(all)
			at[k] = n
			all = append(all, ReleaseCrime{Release: k.release, Kind: k.kind})
		}
		one := &all[n]
		if one.Partitions++; one.Since.IsZero() || c.Since.Before(one.Since) {
			one.Since, one.Evidence = c.Since, c.Evidence
		}
	}
	slices.SortFunc(all, func(a, b ReleaseCrime) int {
		return cmp.Or(strings.Compare(a.Release, b.Release), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}
