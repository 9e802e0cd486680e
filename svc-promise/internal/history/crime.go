package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// When groups show a monitoring crime (docs/rules.md, monitoring crimes).
const (
	// TooOften is the interval at which a promise is sensed too often: a minute, and a second for what a machine is late.
	TooOften = 61 * time.Second
	// QuickRow is how many such intervals in a row are a crime: one may be a restart of the agent.
	QuickRow = 5
	// NeverPassed is how long a promise fails from its first group on before that is a crime, and NeverPassedGroups how often at least: services need some
	// minutes to start for the first time.
	NeverPassed       = 10 * time.Minute
	NeverPassedGroups = 3
)

// paced counts the intervals between groups of the promise's own periodicity.
func (s *Stored) paced(p *Point) {
	r := s.Record
	before := r.GetOwnAt()
	r.OwnAt = timestamppb.New(p.At)
	if before == nil {
		return
	}
	interval := p.At.Sub(before.AsTime())
	if interval <= 0 || interval > TooOften {
		r.Quick, r.QuickSince = 0, nil
		return
	}
	if r.GetQuick() == 0 {
		r.QuickSince = before
	}
	r.Quick++
}

// Crimes are those that a record shows; without names of the allocation and the promise, which it does not know.
func Crimes(r *storev1.PromiseRecord) []*promisev1.PromiseCrime {
	var crimes []*promisev1.PromiseCrime
	add := func(crime promisev1.Crime, since *timestamppb.Timestamp, evidence string) {
		crimes = append(crimes, &promisev1.PromiseCrime{
			Crime: crime, Computer: r.GetComputer(), Partition: r.GetPartition(), Since: since, Seen: r.GetAt(), Evidence: evidence, SoftwareRelease: r.GetSoftwareRelease(),
		})
	}
	if r.GetQuick() >= QuickRow {
		every := r.GetOwnAt().AsTime().Sub(r.GetQuickSince().AsTime()) / time.Duration(r.GetQuick())
		add(promisev1.Crime_CRIME_SENSED_TOO_OFTEN, r.GetQuickSince(), fmt.Sprintf("sensed %d times in a row within a minute of the time before, on average every %s", r.GetQuick()+1, every.Round(time.Millisecond)))
	}
	if age := r.GetAt().AsTime().Sub(r.GetFirst().AsTime()); r.GetPassed() == 0 && r.GetFailed() >= NeverPassedGroups && age >= NeverPassed {
		add(promisev1.Crime_CRIME_NEVER_PASSED, r.GetFirst(), fmt.Sprintf("failed all %d times since it was first sensed %s ago: %s", r.GetFailed(), age.Round(time.Second), r.GetVerdict().GetMessage()))
	}
	return crimes
}

// ReleaseCrimes are the conditions that crimes make of software releases, by URL and crime; those of which no release was told make none.
func ReleaseCrimes(crimes []*promisev1.PromiseCrime) []*typev1.ReleaseCrime {
	type key struct {
		release string
		crime   promisev1.Crime
	}
	found := map[key]*typev1.ReleaseCrime{}
	type place struct {
		key
		allocation string
	}
	places := map[place]bool{}
	var all []*typev1.ReleaseCrime
	for _, c := range crimes {
		k := key{c.GetSoftwareRelease(), c.GetCrime()}
		if k.release == "" {
			continue
		}
		one := found[k]
		if one == nil {
			// The numbers of both enumerations are the same.
			one = &typev1.ReleaseCrime{SoftwareRelease: k.release, Crime: typev1.MonitoringCrime(k.crime)}
			found[k], all = one, append(all, one)
		}
		one.Count++
		if p := (place{k, c.GetAllocationId()}); !places[p] {
			places[p] = true
			one.Partitions++
		}
		if one.Since == nil || c.GetSince().AsTime().Before(one.GetSince().AsTime()) {
			one.Since, one.Evidence = c.GetSince(), fmt.Sprintf("%s of %s/%s: %s", c.GetPromise(), c.GetComputer(), c.GetPartition(), c.GetEvidence())
		}
	}
	slices.SortFunc(all, func(a, b *typev1.ReleaseCrime) int {
		return cmp.Or(cmp.Compare(a.GetSoftwareRelease(), b.GetSoftwareRelease()), cmp.Compare(a.GetCrime(), b.GetCrime()))
	})
	return all
}
