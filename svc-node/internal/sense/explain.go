package sense

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// Explain decides on the groups of one promise, oldest first, as Core does, and tells why. The newest is what is looked at:
// the older ones only fill its window. Bang is what becomes of an anomaly if the partition's latest run was a success.
func Explain(promise string, groups []*typev1.SenseGroup) *nodev1.SensePromisesResponse {
	p, effect := follow(groups)
	answer := &nodev1.SensePromisesResponse{Promise: promise, Verdict: verdictOf(promise, &p)}
	for _, g := range p.Groups() {
		answer.Window = append(answer.Window, &nodev1.WindowGroup{Sequence: g.Sequence, At: timestamppb.New(g.At), Failed: g.Failed, Message: g.Message})
	}
	test, anomaly := p.Accounts()
	answer.Test, answer.Anomaly = accountOf(test), accountOf(anomaly)
	switch {
	case effect.Has(verdict.Bang):
		answer.Bang = nodev1.BangDue_BANG_DUE_BANG
	case effect.Has(verdict.BangNotAllowed):
		answer.Bang = nodev1.BangDue_BANG_DUE_NOT_ALLOWED
	}
	return answer
}

// follow takes groups through the core, oldest first, and returns what the newest brings about after a successful run.
func follow(groups []*typev1.SenseGroup) (p verdict.Promise, effect verdict.Effect) {
	for i, g := range groups {
		effect, _ = p.Step(verdict.Recorded{
			Group: verdict.Group{
				Sequence: max(1, g.GetSequence()), Previous: g.GetPrevious(), At: g.GetAt().AsTime(), Failed: Failed(g), Message: message(g),
			},
			Test:    rule(g.GetTest(), verdict.TestRule),
			Anomaly: rule(g.GetAnomaly(), anomalyRule(g.GetKind())),
			OwnTest: own(g.GetOwnTest()), OwnAnomaly: own(g.GetOwnAnomaly()), Testless: g.GetTestless(), Anomalyless: g.GetAnomalyless(),
			BangDisabled: g.GetBangDisabled(), Asked: g.GetRunId() != "", Replayed: i < len(groups)-1, Runs: verdict.Runs{LatestSuccess: true},
		})
	}
	return p, effect
}

func verdictOf(promise string, p *verdict.Promise) *typev1.Verdict {
	v := p.Verdict()
	return &typev1.Verdict{
		Promise: promise, TestFailed: v.TestFailed, Anomaly: v.Anomaly, Message: v.Message, Sequence: v.Sequence, Since: wellknown.Timestamp(v.Since),
	}
}

func accountOf(a verdict.Account) *nodev1.VerdictAccount {
	return &nodev1.VerdictAccount{
		Rule: &typev1.Rule{
			ResultCount: uint32(a.Rule.ResultCount), FailureAmount: uint32(a.Rule.FailureAmount), //nolint:gosec // at most MaxResultCount
			LatestMinute: uint32(a.Rule.Latest / time.Minute), //nolint:gosec // read from such a field
		},
		Looked: uint32(a.Looked), Failed: uint32(a.Failed), //nolint:gosec // at most MaxResultCount
		Fails: a.Fails, Own: a.Own, Off: a.Off,
	}
}
