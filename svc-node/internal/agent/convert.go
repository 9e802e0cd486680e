package agent

import (
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-node/converge"
)

func desiredOf(d *masterv1.DesiredPartition) converge.Desired {
	return converge.Desired{
		Partition: d.GetPartition(), AllocationID: d.GetAllocationId(),
		Generation: converge.Generation{Epoch: d.GetGeneration().GetEpoch(), Number: d.GetGeneration().GetNumber()},
		Requested:  converge.Requested(d.GetState()), Period: d.GetPeriod().AsDuration(), Content: d,
		Pause: converge.Pause{
			Generation: converge.Generation{Epoch: d.GetPause().GetGeneration().GetEpoch(), Number: d.GetPause().GetGeneration().GetNumber()},
			Until:      wellknown.Time(d.GetPause().GetUntil()),
		},
	}
}

// contentOf is what desiredOf carried.
func contentOf(d converge.Desired) *masterv1.DesiredPartition {
	content, _ := d.Content.(*masterv1.DesiredPartition)
	return content
}

func orderOf(o *schedulerv1.Order) converge.Order {
	order := converge.Order{
		RunID: o.GetRunId(), Partition: o.GetPartition(), AllocationID: o.GetAllocationId(), Cause: converge.Cause(o.GetCause()),
		Attempt: o.GetAttempt(), DueAt: wellknown.Time(o.GetDueAt()), OrderedAt: wellknown.Time(o.GetOrderedAt()),
		Trace: traceOf(o.GetTrace()), Parented: o.GetParented(), Folds: o.GetFolds(),
	}
	for _, b := range o.GetBangs() {
		order.Bangs = append(order.Bangs, converge.BangReference{BangID: b.GetBangId(), Trace: traceOf(b.GetTrace())})
	}
	return order
}

func traceOf(t *typev1.TraceContext) converge.Trace {
	return converge.Trace{Traceparent: t.GetTraceparent(), Tracestate: t.GetTracestate(), Baggage: t.GetBaggage()}
}

func partitionOf(p *storev1.NodePartition) converge.Partition {
	return converge.Partition{
		Name: p.GetDesired().GetPartition(), Desired: desiredOf(p.GetDesired()), Latest: converge.Result(p.GetLatest()),
		ErrorType: p.GetErrorType(), EndedAt: wellknown.Time(p.GetEndedAt()), LastSuccess: p.GetLastSuccessRunId(),
		Failures: int(p.GetFailures()), KnownSince: wellknown.Time(p.GetKnownSince()), Ended: p.GetEndedRunIds(), LastToken: p.GetLastToken(),
		RetainedUntil: wellknown.Time(p.GetRetainedUntil()),
	}
}

func recordOf(p converge.Partition, text, runs string, problems []string) *storev1.NodePartition {
	return &storev1.NodePartition{
		Desired: contentOf(p.Desired), Latest: typev1.RunResult(p.Latest), ErrorType: p.ErrorType, Error: text,
		EndedAt: wellknown.Timestamp(p.EndedAt), LastSuccessRunId: p.LastSuccess, Failures: uint32(p.Failures),
		KnownSince: wellknown.Timestamp(p.KnownSince), EndedRunIds: p.Ended, LastToken: p.LastToken,
		RetainedUntil: wellknown.Timestamp(p.RetainedUntil), RunsRelease: runs, Problems: problems,
	}
}
