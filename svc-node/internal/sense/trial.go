package sense

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// evaluateTimeout is how long a run waits for svc-promise before the node decides by itself (docs/architecture.md).
const evaluateTimeout = time.Second

// Trial is the testing of all promises of a partition for a run.
type Trial struct {
	Directory    partition.Directory
	AllocationID string
	RunID        string
	// Started is when the newest service of the partition started; zero = none.
	Started time.Time
	// Span is that of the run, of which evaluation is a child.
	Span trace.SpanContext
}

// Test senses all promises of a partition, failed ones again as package converge says, and has them evaluated. locally
// tells that svc-promise did not answer in time.
func (m *Manager) Test(ctx context.Context, t Trial) (verdicts []*typev1.Verdict, locally bool, err error) {
	promises, err := m.list(t.Directory)
	if err != nil {
		return nil, false, err
	}
	byName := make(map[string]sensor.Promise, len(promises))
	names := make([]string, 0, len(promises))
	for _, p := range promises {
		if !p.Testless {
			byName[p.Name] = p
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil, false, nil
	}
	last := make(map[string]*typev1.SenseGroup, len(promises))
	s := converge.NewSensing(names, t.Started, time.Now())
	for len(s.Names) > 0 {
		if wait.For(ctx, time.Until(s.At)) != nil {
			return nil, false, fmt.Errorf("cannot sense the promises of %s: %w", t.Directory.Name, context.Cause(ctx))
		}
		round := m.round(ctx, t, byName, s.Names)
		var failed []string
		for _, name := range s.Names {
			g := round[name]
			if g == nil {
				return nil, false, fmt.Errorf("cannot sense the promises of %s: %w", t.Directory.Name, context.Cause(ctx))
			}
			last[name] = g
			if Failed(g) {
				failed = append(failed, name)
			}
		}
		s, _ = s.Sensed(failed, time.Now())
	}
	groups := make([]*typev1.SenseGroup, 0, len(names))
	for _, name := range names {
		m.record(ctx, t.Directory.Name, t.AllocationID, last[name], nil)
		groups = append(groups, last[name])
	}
	verdicts, locally, err = m.evaluate(ctx, t, groups)
	if err == nil {
		executions := make([]filed, 0, len(groups))
		for _, v := range verdicts {
			if g := last[v.GetPromise()]; g != nil {
				executions = append(executions, filed{byName[v.GetPromise()], g, v, false})
			}
		}
		m.file(ctx, t.Directory, executions)
	}
	return verdicts, locally, err
}

// round senses the named promises at the same time, within the node's budget.
func (m *Manager) round(ctx context.Context, t Trial, promises map[string]sensor.Promise, names []string) map[string]*typev1.SenseGroup {
	var mu sync.Mutex
	groups := make(map[string]*typev1.SenseGroup, len(names))
	var sensing sync.WaitGroup
	for _, name := range names {
		sensing.Go(func() {
			g, _ := m.sense(ctx, t.Directory, promises[name], how{runID: t.RunID, asked: true})
			mu.Lock()
			defer mu.Unlock()
			groups[name] = g
		})
	}
	sensing.Wait()
	return groups
}

// maxGroups is how many groups one Evaluate may have, as the contract says.
const maxGroups = 1000

// windows are the groups with those before them that their rules look at: the replica that is asked may never have heard of this partition.
func (m *Manager) windows(allocationID string, groups []*typev1.SenseGroup) []*typev1.SenseGroup {
	all, room := make([]*typev1.SenseGroup, 0, len(groups)), maxGroups-len(groups)
	for _, g := range groups {
		size := max(rule(g.GetTest(), verdict.TestRule).ResultCount, rule(g.GetAnomaly(), anomalyRule(g.GetKind())).ResultCount)
		if size > 1 && room > 0 {
			// What the log cannot give, the replica asks for over the stream.
			logged, _ := m.s.Log.Groups(allocationID, g.GetPromise())
			logged = slices.DeleteFunc(logged, func(before *typev1.SenseGroup) bool { return before.GetSequence() >= g.GetSequence() })
			before := logged[max(0, len(logged)-min(size-1, room)):]
			all, room = append(all, before...), room-len(before)
		}
		all = append(all, g)
	}
	return all
}

// evaluate asks svc-promise, and decides here when there is no answer in time.
func (m *Manager) evaluate(ctx context.Context, t Trial, groups []*typev1.SenseGroup) ([]*typev1.Verdict, bool, error) {
	ctx = trace.ContextWithSpanContext(ctx, t.Span)
	call, cancel := context.WithTimeout(ctx, evaluateTimeout)
	defer cancel()
	answer, err := m.s.Promise.Evaluate(call, &promisev1.EvaluateRequest{
		Computer: m.s.Computer, AllocationId: t.AllocationID, Partition: t.Directory.Name, RunId: t.RunID, Groups: m.windows(t.AllocationID, groups),
	})
	if err == nil && len(answer.GetVerdicts()) == len(groups) {
		return answer.GetVerdicts(), false, nil
	}
	if ctx.Err() != nil {
		return nil, false, fmt.Errorf("cannot evaluate the promises of %s: %w", t.Directory.Name, context.Cause(ctx))
	}
	m.s.Telemetry.Log.InfoContext(ctx, "promises are evaluated here", "partition", t.Directory.Name, "error", err)
	verdicts := make([]*typev1.Verdict, 0, len(groups))
	for _, g := range groups {
		// svc-promise still wants the group in its window; a group of a run never bangs.
		m.mu.Lock()
		m.enqueue(ctx, t.Directory.Name, t.AllocationID, g, telemetry.Carrier{})
		m.mu.Unlock()
		_, span := m.tracer.Start(ctx, conv.SpanEvaluatePromise, trace.WithAttributes(
			conv.PromiseName.String(g.GetPromise()), conv.PromiseKind.String(kindName(g.GetKind())), conv.EvaluatedBy.String(conv.EvaluatedByNode)))
		m.mu.Lock()
		v, err := m.verdict(t.AllocationID, g.GetPromise())
		m.mu.Unlock()
		if err != nil {
			span.End()
			return nil, false, err
		}
		span.SetAttributes(conv.Verdict.String(verdictName(v.GetTestFailed())))
		span.End()
		verdicts = append(verdicts, v)
	}
	return verdicts, true, nil
}

// verdict decides with the groups of the node's own log. The lock is held.
func (m *Manager) verdict(allocationID, promise string) (*typev1.Verdict, error) {
	groups, err := m.s.Log.Groups(allocationID, promise)
	if err != nil {
		return nil, err
	}
	v := m.s.Evaluator.Evaluate(promise, groups)
	v.Mute = m.mutes.find(allocationID, promise, time.Now())
	return v, nil
}

func verdictName(failed bool) string {
	if failed {
		return conv.VerdictFailed
	}
	return conv.VerdictPassed
}
