package fleet

import "time"

// ReleaseReported is a node's word on a release that instances of the tree use on its computer.
type ReleaseReported struct {
	Computer, Release string
	// Available is true when the release became available just now: those that wait for it run (cause changed).
	Available bool
	// Options are what the release says about its instances.
	Options Options
	// Problems tells, by instance, what is wrong with its parameters by the release's schema; nil = nothing is known of a schema.
	Problems map[string]string
	Trace    Trace
}

// ReleaseReportedAnswer tells who waited for it.
type ReleaseReportedAnswer struct {
	Woken []string
}

// ReleaseReported takes over what a release says about its instances and their parameters, and wakes those that wait for it: that never ran, or whose latest run failed for want
// of the release. It never fails.
func (t *Tree) ReleaseReported(e ReleaseReported, now time.Time) (ReleaseReportedAnswer, Effects, error) {
	unsettled := t.Unsettled()
	var fx Effects
	var answer ReleaseReportedAnswer
	var woken []*Instance
	periods := false
	for _, m := range t.view().order {
		i, p := m.instance, m.partition
		if p.Computer != e.Computer || i.Release != e.Release {
			continue
		}
		if !p.Options.same(e.Options) {
			periods = periods || p.Options.Period != e.Options.Period
			p.Options = e.Options
			fx.Changed.Partitions = append(fx.Changed.Partitions, i.ID)
		}
		if e.Problems != nil && i.ParameterProblem != e.Problems[i.ID] {
			i.ParameterProblem = e.Problems[i.ID]
			fx.Changed.instance(i.ID)
		}
		if e.Available && (p.Latest == nil || p.Latest.Result != Success && waitsForRelease(p.Latest.ErrorType)) {
			woken = append(woken, i)
			answer.Woken = append(answer.Woken, i.ID)
		}
	}
	if periods {
		t.periodsChanged(&fx, now, e.Trace)
	}
	if len(woken) > 0 {
		t.changed(&fx, woken, false, 0, e.Trace, now)
	}
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// waitsForRelease tells whether an error of that type may go away when a release becomes available.
func waitsForRelease(errorType string) bool {
	return errorType == "release" || errorType == "not_available"
}

func (o Options) same(other Options) bool {
	return o.Period == other.Period && o.Policy == other.Policy && equal(o.Quota, other.Quota)
}

// periodsChanged tells the feed that periods moved: a CHANGED without instances, which wakes nobody.
func (t *Tree) periodsChanged(fx *Effects, now time.Time, trace Trace) {
	t.Membership++ // the index does not hold periods, so it stays
	fx.Changed.Header = true
	fx.Feed = append(fx.Feed, FeedEntry{Kind: FeedChanged, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, At: now, Trace: trace})
}
