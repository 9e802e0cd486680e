package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// errNoAddresses says that a tree of before addresses were kept with partitions does not know them.
var errNoAddresses = errors.New("the addresses of the partition are not known")

// BeginRun raises the partition's token and returns what is wanted now.
//
// A current allocation at that place is all that it takes, and the tree knows: a computer that holds one is registered. Reading the computer for each run
// cost svc-master a third of it, and a round trip. It is read to tell what is wrong.
func (a *API) BeginRun(ctx context.Context, req *masterv1.BeginRunRequest) (*masterv1.BeginRunResponse, error) {
	ctx, span := a.Trail.StartRun(ctx, conv.SpanBeginRun, req.GetRunId(), req.GetAllocationId())
	defer span.End()
	res, effects, err := a.beginRun(ctx, req, nil)
	if err != nil && !isUnavailable(err) {
		slot, missing := a.slot(ctx, req.GetComputer(), req.GetPartition())
		if missing != nil {
			failed(span, missing)
			return nil, coded(missing)
		}
		if errors.Is(err, errNoAddresses) {
			res, effects, err = a.beginRun(ctx, req, slot)
		}
	}
	a.contact(req.GetComputer())
	if err != nil {
		failed(span, err)
		return nil, coded(stale(err, "begin", req.GetRunId(), req.GetAllocationId()))
	}
	trail.Generation(span, redisstore.GenerationOf(res.GetWanted()))
	a.settle(ctx, fleet.TreeID(req.GetAllocationId()), effects)
	return res, nil
}

// beginRun begins a run of a partition; its slot is nil unless the tree does not know what is in it.
func (a *API) beginRun(ctx context.Context, req *masterv1.BeginRunRequest, slot *storev1.SlotRecord) (*masterv1.BeginRunResponse, fleet.Effects, error) {
	event := fleet.BeginRun{
		AllocationID: req.GetAllocationId(), RunID: req.GetRunId(), Cause: fleet.Cause(req.GetCause()), Attempt: req.GetAttempt(),
		DueAt: wellknown.Time(req.GetDueAt()), OrderedAt: wellknown.Time(req.GetOrderedAt()), Trace: trail.TraceOf(ctx),
	}
	res := &masterv1.BeginRunResponse{}
	done, err := a.Store.Update(ctx, redisstore.Change{Tree: fleet.TreeID(req.GetAllocationId()), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		if err := a.atPlace(t, "begin", req.GetRunId(), req.GetAllocationId(), req.GetComputer(), req.GetPartition()); err != nil {
			return nil, fleet.Effects{}, err
		}
		i, p := t.Allocated(req.GetAllocationId())
		if p != nil && p.Addresses == nil && slot == nil {
			return nil, fleet.Effects{}, errNoAddresses
		}
		answer, effects, err := t.BeginRun(event, now)
		if err != nil {
			return nil, effects, err
		}
		addresses := p.Addresses
		if addresses == nil {
			addresses = slot.GetAddresses()
		}
		res.Token, res.Wanted = answer.Token, redisstore.GenerationRecord(answer.Wanted)
		res.Desired = desiredPartition(t, i, p, addresses)
		// A repeated begin tells what that run was told, also after more is wanted.
		res.Desired.State = wireState(answer.State)
		return nil, effects, nil
	}})
	return res, done.Effects, err
}

// slot reads what a partition of a computer was registered as.
func (a *API) slot(ctx context.Context, computer, partition string) (*storev1.SlotRecord, error) {
	c, err := a.Store.Computer(ctx, computer)
	if err != nil {
		return nil, err
	}
	if c.Slots[partition] == nil {
		return nil, &redisstore.NotFoundError{Kind: "partition", Name: computer + "/" + partition}
	}
	return c.Slots[partition], nil
}

// ReportRun tells how a run ended.
func (a *API) ReportRun(ctx context.Context, req *masterv1.ReportRunRequest) (*masterv1.ReportRunResponse, error) {
	ctx, span := a.Trail.StartRun(ctx, conv.SpanReportRun, req.GetRunId(), req.GetAllocationId())
	defer span.End()
	event := reportOf(req, trail.TraceOf(ctx))
	if span.IsRecording() {
		span.SetAttributes(conv.RunResult.String(event.Result.String()))
	}
	res := &masterv1.ReportRunResponse{}
	treeID := fleet.TreeID(req.GetAllocationId())
	done, err := a.Store.Update(ctx, redisstore.Change{
		Tree: treeID, Key: key("p", req.GetRunId()), By: runOf(ctx, ""),
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			if err := a.atPlace(t, "report", req.GetRunId(), req.GetAllocationId(), req.GetComputer(), req.GetPartition()); err != nil {
				return nil, fleet.Effects{}, err
			}
			answer, effects, err := t.ReportRun(event, now)
			res = &masterv1.ReportRunResponse{Settled: redisstore.GenerationRecord(answer.Settled), ClosedConvergenceId: answer.ClosedConvergenceID, WantedMore: answer.WantedMore}
			if !effects.Keep {
				return nil, effects, err // the allocation remembers it
			}
			return res, effects, err
		},
		Recall: func(b []byte) error { return proto.Unmarshal(b, res) },
	})
	if err != nil {
		failed(span, err)
		return nil, coded(stale(err, "report", req.GetRunId(), req.GetAllocationId()))
	}
	a.contact(req.GetComputer())
	trail.Generation(span, redisstore.GenerationOf(res.GetSettled()))
	a.settle(ctx, treeID, done.Effects)
	return res, nil
}

func reportOf(req *masterv1.ReportRunRequest, of fleet.Trace) fleet.ReportRun {
	event := fleet.ReportRun{
		AllocationID: req.GetAllocationId(), RunID: req.GetRunId(), Token: req.GetToken(), Result: fleet.Result(req.GetResult()), Error: req.GetError(),
		ErrorType: req.GetErrorType(), Changed: req.GetChanged(), EvaluatedLocally: req.GetEvaluatedLocally(), Duration: seconds(req.GetDurationSeconds()),
		Cause: fleet.Cause(req.GetCause()), RetainedUntil: wellknown.Time(req.GetRetainedUntil()), Problems: req.GetProblems(), Trace: of,
	}
	for _, v := range req.GetVerdicts() {
		event.Verdicts = append(event.Verdicts, fleet.Verdict{Promise: v.GetPromise(), TestFailed: v.GetTestFailed(), Anomaly: v.GetAnomaly()})
	}
	for _, s := range req.GetSteps() {
		event.Steps = append(event.Steps, fleet.Step{
			Name: s.GetName(), Offset: seconds(s.GetOffsetSeconds()), Duration: seconds(s.GetDurationSeconds()), Result: fleet.Result(s.GetResult()),
		})
	}
	if r := req.GetRequested(); r != nil {
		event.Requested = &fleet.Requested{InstanceIDs: r.GetInstanceIds()}
	}
	if l := req.GetLocal(); l != nil {
		event.Local = &fleet.LocalRun{BootID: l.GetBootId(), Sequence: l.GetSequence()}
	}
	return event
}

// atPlace refuses a run of an allocation that is somewhere else: an allocation names one partition of one computer.
func (a *API) atPlace(t *fleet.Tree, doing, runID, allocationID, computer, partition string) error {
	_, p := t.Allocated(allocationID)
	if p != nil && (p.Computer != computer || p.Name != partition) {
		return &redisstore.StateError{Message: fmt.Sprintf("cannot %s run %s: allocation %s is in partition %q of %q, not in %q of %q", doing, runID, allocationID, p.Name, p.Computer, partition, computer)}
	}
	return nil
}

// stale makes an allocation of a tree that is gone what it is: not current.
func stale(err error, doing, runID, allocationID string) error {
	if isNotFound(err) {
		return &redisstore.StateError{Message: fmt.Sprintf("cannot %s run %s: %s is not a current allocation", doing, runID, allocationID)}
	}
	return err
}

func failed(span trace.Span, err error) {
	span.SetAttributes(conv.ErrorType.String(trail.ErrorType(err)))
}
