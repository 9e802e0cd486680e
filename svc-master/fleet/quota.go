package fleet

import (
	"strconv"
	"time"
)

// Quota counts the bangs of a UTC day that open or widen a convergence (docs/rules.md, quota).
type Quota struct {
	// Override of the release's quota; nil = none, 0 = unlimited.
	Override *uint32
	// Day is the day counted, in days since 1970-01-01 UTC.
	Day int64
	// Used counts the bangs of that day.
	Used uint32
}

// SetQuota overrides the quota of the tree.
type SetQuota struct {
	// Limit per UTC day; nil = that of the root's release again, 0 = unlimited.
	Limit *uint32
}

// SetQuotaAnswer is the quota now.
type SetQuotaAnswer struct{ Limit uint32 }

// SetQuota overrides the quota of the tree. It never fails.
func (t *Tree) SetQuota(e SetQuota, _ time.Time) (SetQuotaAnswer, Effects, error) {
	var fx Effects
	if !equal(t.Quota.Override, e.Limit) {
		t.Quota.Override = e.Limit
		fx.Changed.Header = true
		fx.Audit = []AuditEntry{{Kind: AuditQuota, Title: t.Title, Reason: strconv.FormatUint(uint64(t.QuotaLimit()), 10) + " a day, 0 = unlimited"}}
	}
	return SetQuotaAnswer{Limit: t.QuotaLimit()}, fx, nil
}

// QuotaLimit is how many bangs per UTC day may open or widen a convergence; 0 = unlimited.
func (t *Tree) QuotaLimit() uint32 {
	if t.Quota.Override != nil {
		return *t.Quota.Override
	}
	if root := t.Partitions[t.RootID]; root != nil && root.Options.Quota != nil {
		return *root.Options.Quota
	}
	return DefaultQuota
}

// BangsToday is how many bangs counted against the quota on the UTC day of now.
func (t *Tree) BangsToday(now time.Time) uint32 {
	if t.Quota.Day != day(now) {
		return 0
	}
	return t.Quota.Used
}

// spend takes one bang from the quota of the day; when nothing is left it returns when the quota opens again.
//
// Replicas with clocks some seconds apart must not open the quota again around midnight, so the day never moves back by one; by more than one it does, as
// then a clock had been wrong, and a quota that was used up in a wrong future must not stay closed until then.
func (q *Quota) spend(limit uint32, now time.Time) (until time.Time, ok bool) {
	if d := day(now); d > q.Day || d < q.Day-1 {
		q.Day, q.Used = d, 0
	}
	if limit > 0 && q.Used >= limit {
		return time.Unix((q.Day+1)*secondsOfDay, 0).UTC(), false
	}
	q.Used++
	return time.Time{}, true
}

const secondsOfDay = 24 * 60 * 60

// day is the number of the UTC day of now since 1970-01-01.
func day(now time.Time) int64 {
	d := now.Unix() / secondsOfDay
	if now.Unix()%secondsOfDay < 0 {
		d--
	}
	return d
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
