package api

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/internal/window"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// maxMessage is how much of a group's text a verdict carries (docs/rules.md, executables).
const maxMessage = 5000

// groupOf reads a group as verdict needs it.
func groupOf(g *typev1.SenseGroup) verdict.Group {
	one := verdict.Group{Sequence: g.GetSequence(), Previous: g.GetPrevious(), At: g.GetAt().AsTime()}
	var texts []string
	for _, e := range g.GetEntries() {
		failed := e.GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR
		if failed && !one.Failed {
			one.Failed, texts = true, nil // of a failed group only what failed is told
		}
		if failed == one.Failed {
			texts = append(texts, e.GetMessage())
		}
	}
	if g.GetError() != "" {
		one.Failed = true
		texts = append(texts, g.GetError())
	}
	one.Message = cut(strings.Join(texts, "\n"))
	return one
}

// rulesOf are the rules of a promise, with the defaults of its kind.
func rulesOf(g *typev1.SenseGroup) (test, anomaly verdict.Rule) {
	byKind := verdict.AnomalyRule
	if g.GetKind() == typev1.PromiseKind_PROMISE_KIND_EXECUTABLE {
		byKind = verdict.ExecutableAnomalyRule
	}
	return ruleOf(g.GetTest(), verdict.TestRule), ruleOf(g.GetAnomaly(), byKind)
}

func ruleOf(r *typev1.Rule, otherwise verdict.Rule) verdict.Rule {
	one := otherwise
	if n := r.GetResultCount(); n > 0 {
		one.ResultCount = int(n)
	}
	if n := r.GetFailureAmount(); n > 0 {
		one.FailureAmount = int(n)
	}
	one.Latest = time.Duration(r.GetLatestMinute()) * time.Minute
	return one
}

// recordedOf is the event of a group.
func recordedOf(g *typev1.SenseGroup, runs verdict.Runs, asked, replayed bool) verdict.Recorded {
	test, anomaly := rulesOf(g)
	return verdict.Recorded{
		Group: groupOf(g), Test: test, Anomaly: anomaly, Runs: runs,
		OwnTest: ownOf(g.GetOwnTest()), OwnAnomaly: ownOf(g.GetOwnAnomaly()), Testless: g.GetTestless(), Anomalyless: g.GetAnomalyless(),
		Asked: asked || g.GetRunId() != "", Replayed: replayed, BangDisabled: g.GetBangDisabled(),
	}
}

func ownOf(o *typev1.OwnVerdict) verdict.Own {
	return verdict.Own{Decided: o != nil, Failed: o.GetFailed(), MayBang: o.GetAnomalyResult(), Message: cut(o.GetMessage())}
}

// cut keeps the end of a text that is too long.
func cut(text string) string {
	if over := len(text) - maxMessage; over > 0 {
		return strings.ToValidUTF8(text[over:], "")
	}
	return text
}

// pointOf is what is kept of a group over time.
func pointOf(g *typev1.SenseGroup, r *verdict.Recorded, computer, partition, release string) history.Point {
	p := history.Point{
		Sequence: g.GetSequence(), At: r.Group.At, Value: g.GetValue(), Valued: g.Value != nil, Failed: r.Group.Failed, Asked: r.Asked, Message: r.Group.Message,
		Kind: g.GetKind(), Period: g.GetPeriodSeconds(), Computer: computer, Partition: partition, Release: release,
	}
	if r.OwnTest.Decided { // it stands instead of the entries
		p.Failed = r.OwnTest.Failed
		if r.OwnTest.Message != "" {
			p.Message = r.OwnTest.Message
		}
	}
	return p
}

func runsOf(r *promisev1.PartitionRuns) verdict.Runs {
	return verdict.Runs{LatestSuccess: r.GetLatestSuccess(), LastSuccess: r.GetLastSuccessRunId(), InProgress: r.GetRunInProgress()}
}

func kindOf(k typev1.PromiseKind) window.Kind {
	switch k {
	case typev1.PromiseKind_PROMISE_KIND_EXECUTABLE:
		return conv.KindExecutable
	case typev1.PromiseKind_PROMISE_KIND_BUILTIN:
		return conv.KindBuiltin
	}
	return conv.KindPlugin
}

func verdictOf(name string, v verdict.Verdict, m *typev1.Mute) *typev1.Verdict {
	return &typev1.Verdict{
		Promise: name, TestFailed: v.TestFailed, Anomaly: v.Anomaly, Message: v.Message, Sequence: v.Sequence, Mute: m, Since: wellknown.Timestamp(v.Since),
	}
}

// statusOf is a promise as the store knows it.
func statusOf(p *redisstore.Promise, m *typev1.Mute) *promisev1.PromiseStatus {
	r := p.Record
	v := r.GetVerdict()
	v.Promise, v.Mute = p.Promise, m
	one := &promisev1.PromiseStatus{
		Verdict: v, Kind: r.GetKind(), At: r.GetAt(), Value: r.Value, PeriodSeconds: r.GetPeriodSeconds(), First: r.GetFirst(), LastPassed: r.GetLastPassed(), LastFailed: r.GetLastFailed(),
		Passed: r.GetPassed(), Failed: r.GetFailed(), Computer: r.GetComputer(), Partition: r.GetPartition(),
	}
	if period := time.Duration(r.GetPeriodSeconds() * float64(time.Second)); period > 0 {
		// The node spreads its promises by the same grid (docs/rules.md, hashes).
		one.Next = timestamppb.New(backoff.NextInGrid(p.Allocation+"/"+p.Promise, period, r.GetAt().AsTime()))
	}
	for _, c := range history.Crimes(r) {
		one.Crimes = append(one.Crimes, c.GetEvidence())
	}
	return one
}

// verdictValue is a verdict as spans and metrics name it.
func verdictValue(failed bool) string {
	if failed {
		return conv.VerdictFailed
	}
	return conv.VerdictPassed
}

func carrierOf(t *typev1.TraceContext) telemetry.Carrier {
	return telemetry.Carrier{Traceparent: t.GetTraceparent(), Tracestate: t.GetTracestate(), Baggage: t.GetBaggage()}
}
