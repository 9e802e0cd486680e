package api

import (
	"errors"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/follow"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// coded gives an error of this service its code.
func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, owner.ErrUnknownComputer), errors.Is(err, owner.ErrUnknownPartition):
		return rpc.NotFound(err)
	case errors.Is(err, errNothingToCancel):
		return rpc.FailedPrecondition(err)
	case errors.Is(err, owner.ErrSuperseded):
		return rpc.Aborted(err)
	case errors.Is(err, owner.ErrStopped), errors.Is(err, owner.ErrElsewhere), store.IsUnavailable(err):
		return rpc.Unavailable(err)
	}
	switch code := rpc.CodeOf(err); code {
	case rpc.CodeUnknown:
		return rpc.Internal(err)
	case rpc.CodeDeadlineExceeded:
		return rpc.Unavailable(err)
	default:
		return rpc.Error(code, err)
	}
}

func order(o agenda.Order) *schedulerv1.Order {
	bangs := make([]*schedulerv1.BangReference, 0, len(o.Bangs))
	for _, b := range o.Bangs {
		bangs = append(bangs, &schedulerv1.BangReference{BangId: b.ID, Trace: trace(b.Trace)})
	}
	return &schedulerv1.Order{
		RunId: o.RunID, Computer: o.Computer, Partition: o.Partition, AllocationId: o.AllocationID,
		Cause: typev1.Cause(o.Cause), Attempt: uint32(o.Attempt), DueAt: wellknown.Timestamp(o.Due), OrderedAt: wellknown.Timestamp(o.Ordered),
		Bangs: bangs, Folds: o.Folds, Trace: trace(o.Trace), Parented: o.Parented, Session: o.Session, BeginAfter: wellknown.Duration(o.BeginAfter),
	}
}

func entry(a *agenda.Agenda, e *agenda.Entry, now time.Time) *schedulerv1.AgendaEntry {
	cause, due := e.NextCause(now)
	if e.State == agenda.Ordered {
		cause, due = e.Run.Cause, e.Run.Due
	}
	out := &schedulerv1.AgendaEntry{
		Computer: a.Computer, Partition: e.Partition, AllocationId: e.AllocationID, Title: e.Title,
		DueAt: wellknown.Timestamp(due), Cause: typev1.Cause(cause), Reason: a.Explain(e, now),
		RunId: e.Run.ID, OrderedAt: wellknown.Timestamp(e.Run.Ordered), Begun: e.State == agenda.Running,
		Attempt: uint32(max(e.Attempt, 0)), Folds: e.Folds(), Connected: a.Connected,
	}
	if p, paused := a.PauseOf(e, now); paused {
		out.Pause = pause(p)
	}
	return out
}

func pause(p agenda.Paused) *typev1.Pause {
	out := &typev1.Pause{Until: wellknown.Timestamp(p.Until), At: wellknown.Timestamp(p.At), Reason: p.Reason, By: p.By}
	if g := p.Generation; g != (agenda.Generation{}) {
		out.Generation = &typev1.Generation{Epoch: g.Epoch, Number: g.Number}
	}
	return out
}

func decisions(e *agenda.Entry) []*schedulerv1.AgendaDecision {
	var list []*schedulerv1.AgendaDecision
	for _, d := range e.Decisions() {
		list = append(list, &schedulerv1.AgendaDecision{At: wellknown.Timestamp(d.At), Text: d.String()})
	}
	return list
}

func placed(list []*masterv1.Allocation) []owner.Placed {
	out := make([]owner.Placed, 0, len(list))
	for _, a := range list {
		p := owner.Placed{
			Computer: a.GetComputer(), Membership: a.GetMembership(),
			Allocation: agenda.Allocation{
				AllocationID: a.GetAllocationId(), InstanceID: a.GetInstanceId(), TreeID: a.GetTreeId(), Title: a.GetTitle(), Partition: a.GetPartition(),
				Period: a.GetPeriod().AsDuration(), Wanted: redisstore.GenerationOf(a.GetWanted()), Settled: redisstore.GenerationOf(a.GetSettled()), Changed: redisstore.GenerationOf(a.GetChanged()),
				WantedCause: agenda.Cause(a.GetWantedCause()), Run: runSeen(a.GetRun()), Pause: redisstore.PauseOf(a.GetPause()),
			},
		}
		if hint := a.GetBang(); hint != nil {
			b := bang(hint)
			b.Generation = p.Wanted
			p.Bang, p.Delay = &b, hint.GetDelay().AsDuration()
		}
		if latest := a.GetLatest(); latest != nil {
			p.Latest = agenda.RunEnded{
				RunID: latest.GetRunId(), Success: latest.GetResult() == typev1.RunResult_RUN_RESULT_SUCCESS,
				Result: result(latest.GetResult()), ErrorType: latest.GetErrorType(), At: wellknown.Time(latest.GetReportedAt()), Attempt: int(latest.GetAttempt()),
			}
		}
		out = append(out, p)
	}
	return out
}

func batch(r *masterv1.FollowResponse) follow.Batch {
	b := follow.Batch{Entries: make([]follow.Entry, 0, len(r.GetEntries()))}
	for _, p := range r.GetStart() {
		b.Start = append(b.Start, position(p))
	}
	for _, p := range r.GetRescan() {
		b.Rescan = append(b.Rescan, position(p))
	}
	for _, e := range r.GetEntries() {
		b.Entries = append(b.Entries, feedEntry(e))
	}
	return b
}

func feedEntry(e *masterv1.FeedEntry) follow.Entry {
	entry := follow.Entry{
		Position: position(e.GetPosition()), Tree: e.GetTreeId(), Generation: redisstore.GenerationOf(e.GetGeneration()), Membership: e.GetMembership(),
		Instances: e.GetInstanceIds(), Computer: e.GetComputer(), Partition: e.GetPartition(), Allocation: e.GetAllocationId(),
		At: wellknown.Time(e.GetAt()), Delay: e.GetDelay().AsDuration(),
	}
	switch e.GetKind() {
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED:
		entry.Kind = follow.Changed
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_BANG:
		entry.Kind = follow.Bang
		entry.Bang = bang(e.GetBang())
		entry.Bang.Generation = entry.Generation
		entry.Instances, entry.Delay = e.GetBang().GetInstanceIds(), e.GetBang().GetDelay().AsDuration()
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_BEGUN:
		entry.Kind, entry.Run = follow.Begun, runSeen(e.GetRun())
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_REPORTED:
		run := e.GetRun()
		entry.Kind, entry.Run = follow.Reported, runSeen(run)
		entry.End = agenda.RunEnded{
			RunID: run.GetRunId(), Success: run.GetResult() == typev1.RunResult_RUN_RESULT_SUCCESS,
			Result: result(run.GetResult()), ErrorType: run.GetErrorType(), At: entry.At,
		}
	case masterv1.FeedEntryKind_FEED_ENTRY_KIND_UNSPECIFIED, masterv1.FeedEntryKind_FEED_ENTRY_KIND_CLOSED, masterv1.FeedEntryKind_FEED_ENTRY_KIND_WITHHELD:
		entry.Kind = follow.Other // nobody runs for it
	}
	return entry
}

func bang(h *masterv1.BangHint) agenda.Bang {
	return agenda.Bang{
		ID: h.GetBangId(), Number: h.GetNumber(), At: wellknown.Time(h.GetAt()),
		Trace: redisstore.TraceOf(h.GetTrace()),
	}
}

func runSeen(r *masterv1.RunHint) agenda.RunSeen {
	return agenda.RunSeen{RunID: r.GetRunId(), Token: r.GetToken(), Generation: redisstore.GenerationOf(r.GetGeneration())}
}

// result is the word of a result, as telemetry spells it.
func result(r typev1.RunResult) string {
	if r == typev1.RunResult_RUN_RESULT_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(r.String(), "RUN_RESULT_"))
}

func position(p *masterv1.Position) follow.Position {
	return follow.Position{Shard: p.GetShard(), Epoch: p.GetEpoch(), Sequence: p.GetSequence()}
}

func trace(t agenda.Trace) *typev1.TraceContext {
	if t == (agenda.Trace{}) {
		return nil
	}
	return &typev1.TraceContext{Traceparent: t.Traceparent, Tracestate: t.Tracestate, Baggage: t.Baggage}
}
