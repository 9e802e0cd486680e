package sense

import (
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// Core evaluates with svc-promise's own core: the same groups give the same verdict on either side.
type Core struct{}

// Evaluate decides on the groups of one promise, oldest first.
func (Core) Evaluate(promise string, groups []*typev1.SenseGroup) *typev1.Verdict {
	p, _ := follow(groups)
	return verdictOf(promise, &p)
}

func own(o *typev1.OwnVerdict) verdict.Own {
	return verdict.Own{Decided: o != nil, Failed: o.GetFailed(), MayBang: o.GetAnomalyResult(), Message: lastBytes(o.GetMessage(), maxMessage)}
}

func anomalyRule(kind typev1.PromiseKind) verdict.Rule {
	if kind == typev1.PromiseKind_PROMISE_KIND_EXECUTABLE {
		return verdict.ExecutableAnomalyRule
	}
	return verdict.AnomalyRule
}

// rule is what a group declares, or the default where it declares nothing.
func rule(declared *typev1.Rule, otherwise verdict.Rule) verdict.Rule {
	r := otherwise
	if n := declared.GetResultCount(); n > 0 {
		r.ResultCount = int(n)
	}
	if n := declared.GetFailureAmount(); n > 0 {
		r.FailureAmount = int(n)
	}
	if n := declared.GetLatestMinute(); n > 0 {
		r.Latest = time.Duration(n) * time.Minute
	}
	return r
}
