package verdict

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive is the rules of docs/rules.md over a plain list of everything that was ever recorded, by a reader who counts on fingers.
type naive struct{ all []Recorded }

func (n *naive) add(r Recorded) {
	if slices.ContainsFunc(n.all, func(have Recorded) bool { return have.Group.Sequence == r.Group.Sequence }) {
		return
	}
	n.all = append(n.all, r)
	slices.SortFunc(n.all, func(a, b Recorded) int { return cmp.Compare(a.Group.Sequence, b.Group.Sequence) })
}

func (n *naive) rule(r Rule) bool {
	newest := n.all[len(n.all)-1].Group
	failures := 0
	for i := range n.all {
		g := n.all[len(n.all)-1-i].Group
		if i < r.ResultCount && g.Failed && (r.Latest == 0 || newest.At.Sub(g.At) <= r.Latest) {
			failures++
		}
	}
	return newest.Failed && r.FailureAmount > 0 && failures >= r.FailureAmount
}

func (n *naive) mayBang(anomaly bool) bool {
	newest := n.all[len(n.all)-1]
	return anomaly && !newest.Asked && !newest.Replayed && !newest.Muted && newest.Runs.LatestSuccess
}

func (n *naive) verdict() (test, anomaly bool) {
	newest := n.all[len(n.all)-1]
	if newest.Testless && newest.Anomalyless {
		return true, false
	}
	test, anomaly = n.rule(newest.Test), n.rule(newest.Anomaly)
	if newest.OwnTest.Decided {
		test = newest.OwnTest.Failed
	}
	if newest.OwnAnomaly.Decided {
		anomaly = newest.OwnAnomaly.Failed
	}
	return test && !newest.Testless, anomaly && !newest.Anomalyless
}

func ruleOf(t *rapid.T, label string) Rule {
	return Rule{
		ResultCount: rapid.IntRange(1, 4).Draw(t, label+" result count"), FailureAmount: rapid.IntRange(0, 5).Draw(t, label+" failure amount"),
		Latest: time.Duration(rapid.IntRange(0, 3).Draw(t, label+" latest")) * time.Minute,
	}
}

func ownOf(t *rapid.T, label string) Own {
	if rapid.IntRange(0, 3).Draw(t, label) > 0 {
		return Own{}
	}
	return Own{Decided: true, Failed: rapid.Bool().Draw(t, label+" fails"), MayBang: rapid.Bool().Draw(t, label+" may bang")}
}

// groupsOf are groups of one promise whose rules stay, as those of a file do, and whose own verdicts come and go.
func groupsOf(t *rapid.T) []Recorded {
	test, anomaly := ruleOf(t, "test"), ruleOf(t, "anomaly")
	all := make([]Recorded, 0, 12)
	for i := range rapid.IntRange(1, 12).Draw(t, "groups") {
		all = append(all, Recorded{
			Group: Group{Sequence: uint64(i + 1), At: zero.Add(time.Duration(i) * time.Minute), Failed: rapid.Bool().Draw(t, "failed")},
			Test:  test, Anomaly: anomaly, OwnTest: ownOf(t, "own test"), OwnAnomaly: ownOf(t, "own anomaly"),
			Testless: rapid.IntRange(0, 9).Draw(t, "testless") == 0, Anomalyless: rapid.IntRange(0, 9).Draw(t, "anomalyless") == 0,
			Runs:  Runs{LatestSuccess: rapid.Bool().Draw(t, "latest run a success"), LastSuccess: "run"},
			Asked: rapid.IntRange(0, 3).Draw(t, "asked") == 0, Replayed: rapid.IntRange(0, 3).Draw(t, "replayed") == 0,
			Muted: rapid.IntRange(0, 4).Draw(t, "muted") == 0, BangDisabled: rapid.IntRange(0, 4).Draw(t, "bang disabled") == 0,
		})
	}
	return all
}

func TestAVerdictIsWhatTheNaiveReaderFindsWhateverTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(groupsOf(t)).Draw(t, "order of arrival")
		for range rapid.IntRange(0, 4).Draw(t, "arrive twice") {
			order = append(order, order[rapid.IntRange(0, len(order)-1).Draw(t, "again")])
		}
		var p Promise
		var n naive
		for _, r := range order {
			before, newest := p.Verdict(), p.Newest()
			effect, why := p.Step(r)
			n.add(r)
			got := p.Verdict()
			if test, anomaly := n.verdict(); got.TestFailed != test || got.Anomaly != anomaly {
				t.Fatalf("after group %d (%s): %+v, want test failed %v, anomaly %v", r.Group.Sequence, why, got, test, anomaly)
			}
			if got.Sequence < newest {
				t.Fatalf("group %d revived an old state: the newest was %d, is %d", r.Group.Sequence, newest, got.Sequence)
			}
			turned := before.Sequence != 0 && (before.TestFailed != got.TestFailed || before.Anomaly != got.Anomaly)
			if turned && !effect.Has(Changed) {
				t.Fatalf("the verdict turned from %+v to %+v and nobody is told", before, got)
			}
			if bangs := effect.Has(Bang) || effect.Has(BangNotAllowed); bangs && !n.mayBang(got.Anomaly) {
				t.Fatalf("group %+v banged: %s", r, why)
			}
		}
	})
}

// A bang is idempotent at svc-master by the state of the partition's runs, so that two replicas that each saw a part of a stream may both tell it: what may not
// happen is that none does. A stream moves at any moment: what was not acknowledged is sent again to the other replica, what was is replayed there.
func TestAStreamThatMovesBetweenReplicasLosesNoBangAndDoublesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anomaly := Rule{ResultCount: rapid.IntRange(1, 4).Draw(t, "result count"), FailureAmount: rapid.IntRange(1, 4).Draw(t, "failure amount")}
		var groups []Recorded
		run, sequence, previous := 0, uint64(0), uint64(0)
		for i := range rapid.IntRange(1, 30).Draw(t, "groups") {
			if rapid.IntRange(0, 5).Draw(t, "a run ends") == 0 {
				run++
			}
			sequence += uint64(1 + 999*rapid.IntRange(0, 7).Draw(t, "the machine starts")/7)
			groups = append(groups, Recorded{
				Group: Group{Sequence: sequence, Previous: previous, At: zero.Add(time.Duration(i) * time.Minute), Failed: rapid.IntRange(0, 2).Draw(t, "failed") > 0},
				Test:  TestRule, Anomaly: anomaly, Runs: Runs{LatestSuccess: true, LastSuccess: string(rune('A' + run))},
			})
			previous = sequence
		}
		replicas := [2]*Promise{{}, {}}
		at, acknowledged := 0, 0
		banged := map[string]bool{}
		send := func(i int, replayed bool) {
			r := groups[i]
			r.Replayed = replayed
			if effect, _ := replicas[at].Step(r); effect.Has(Bang) {
				banged[replicas[at].Runs().LastSuccess] = true
			}
		}
		for i := range groups {
			switch rapid.IntRange(0, 4).Draw(t, "what happens") {
			case 0: // the stream moves: what waits goes first, then the log
				at = 1 - at
				for j := acknowledged; j < i; j++ {
					send(j, false)
				}
				for j := range i {
					send(j, true)
				}
			case 1: // the replica is killed
				replicas[at] = &Promise{}
				for j := acknowledged; j < i; j++ {
					send(j, false)
				}
				for j := range i {
					send(j, true)
				}
			case 2:
				acknowledged = i
			}
			send(i, false)
		}
		// One replica that is never moved says what has to be banged: the key of a bang is the state of the runs, and svc-master gives a known key its first answer.
		var only Promise
		want := map[string]bool{}
		for _, r := range groups {
			if effect, _ := only.Step(r); effect.Has(Bang) {
				want[r.Runs.LastSuccess] = true
			}
		}
		for key := range want {
			if !banged[key] {
				t.Fatalf("the bang after run %s was lost; banged: %v, want %v", key, banged, want)
			}
		}
		for key := range banged {
			if !want[key] {
				t.Fatalf("a bang after run %s that nobody should send; want %v", key, want)
			}
		}
	})
}

func FuzzStep(f *testing.F) {
	f.Add([]byte{1, 0, 2, 1, 3, 1, 2, 7, 9, 255}, uint8(3), uint8(2))
	f.Fuzz(func(t *testing.T, steps []byte, count, amount uint8) {
		var p Promise
		for i := 0; i+1 < len(steps); i += 2 {
			flags := steps[i+1]
			newest := p.Newest()
			effect, why := p.Step(Recorded{
				Group: Group{Sequence: uint64(steps[i]), At: zero.Add(time.Duration(steps[i]) * time.Second), Failed: flags&1 != 0},
				Test:  TestRule, Anomaly: Rule{ResultCount: int(count), FailureAmount: int(amount)}, Runs: Runs{LatestSuccess: flags&2 == 0},
				OwnTest: Own{Decided: flags&4 != 0, Failed: flags&8 != 0}, OwnAnomaly: Own{Decided: flags&16 != 0, Failed: flags&32 != 0, MayBang: flags&64 != 0},
				Muted: flags&128 != 0,
			})
			if why == "" || p.Newest() < newest || len(p.Groups()) > max(1, int(count)) {
				t.Fatalf("effect %b without a reason, or %d groups, or newest %d after %d", effect, len(p.Groups()), p.Newest(), newest)
			}
		}
	})
}
