package redisstore

import (
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
)

// The enumerations of the core have the numbers of the contract: translating is a conversion.

func headerRecord(t *fleet.Tree, satisfied []*storev1.SatisfiedRecord) *storev1.TreeRecord {
	return &storev1.TreeRecord{
		Account: t.Account, RootId: t.RootID, Title: t.Title, CreatedAt: wellknown.Timestamp(t.CreatedAt),
		Generation: GenerationRecord(t.Generation), Membership: t.Membership,
		LastInstance: t.LastInstance, LastAllocation: t.LastAllocation, LastBang: t.LastBang, LastConvergence: t.LastConvergence,
		Banged: markRecord(t.Banged), BangedNow: GenerationRecord(t.BangedNow),
		QuotaOverride: t.Quota.Override, QuotaDay: t.Quota.Day, QuotaUsed: t.Quota.Used, Satisfied: satisfied, Pause: PauseRecord(t.Pause),
	}
}

func headerOf(id string, r *storev1.TreeRecord) fleet.Header {
	return fleet.Header{
		ID: id, Account: r.GetAccount(), RootID: r.GetRootId(), Title: r.GetTitle(), CreatedAt: wellknown.Time(r.GetCreatedAt()),
		Generation: GenerationOf(r.GetGeneration()), Membership: r.GetMembership(),
		LastInstance: r.GetLastInstance(), LastAllocation: r.GetLastAllocation(), LastBang: r.GetLastBang(), LastConvergence: r.GetLastConvergence(),
		Banged: markOf(r.GetBanged()), BangedNow: GenerationOf(r.GetBangedNow()),
		Quota: fleet.Quota{Override: r.QuotaOverride, Day: r.GetQuotaDay(), Used: r.GetQuotaUsed()}, Pause: pauseOf(r.GetPause()),
	}
}

// PauseRecord is a pause as the contract spells it; nil = the tree was never paused.
func PauseRecord(p fleet.Pause) *typev1.Pause {
	if p.Generation == (fleet.Generation{}) {
		return nil
	}
	return &typev1.Pause{Generation: GenerationRecord(p.Generation), Until: wellknown.Timestamp(p.Until), Reason: p.Reason, By: p.By, At: wellknown.Timestamp(p.At)}
}

func pauseOf(r *typev1.Pause) fleet.Pause {
	return fleet.Pause{Generation: GenerationOf(r.GetGeneration()), Until: wellknown.Time(r.GetUntil()), Reason: r.GetReason(), By: r.GetBy(), At: wellknown.Time(r.GetAt())}
}

func markRecord(m fleet.BangMark) *storev1.BangMarkRecord {
	if m.Number == 0 {
		return nil
	}
	return &storev1.BangMarkRecord{
		Number: m.Number, Generation: GenerationRecord(m.Generation), At: wellknown.Timestamp(m.At), Delay: wellknown.Duration(m.Delay), Trace: TraceRecord(m.Trace),
	}
}

func markOf(r *storev1.BangMarkRecord) fleet.BangMark {
	return fleet.BangMark{
		Number: r.GetNumber(), Generation: GenerationOf(r.GetGeneration()), At: wellknown.Time(r.GetAt()), Delay: r.GetDelay().AsDuration(), Trace: TraceOf(r.GetTrace()),
	}
}

func instanceRecord(i *fleet.Instance) *storev1.InstanceRecord {
	return &storev1.InstanceRecord{
		InstanceId: i.ID, RequesterId: i.RequesterID, Title: i.Title, SoftwareRelease: i.Release, SoftwareType: i.Type,
		Parameters: i.Parameters, State: typev1.RequestedState(i.State), Computer: i.Computer, ConnectionParameters: i.Connection,
		Generation: GenerationRecord(i.Generation), RequestedAt: wellknown.Timestamp(i.RequestedAt), Unallocated: i.Unallocated,
		RetentionDelay: wellknown.Duration(i.Retention), Sla: SlaRecord(i.Sla), RemnantOf: i.RemnantOf, ByRun: i.ByRun,
		ParameterProblem: i.ParameterProblem, Shared: i.Shared, HostId: i.Host, Word: wordRecord(i.Word), Ill: i.Ill, IllAt: GenerationRecord(i.IllAt),
	}
}

func instanceOf(r *storev1.InstanceRecord) *fleet.Instance {
	return &fleet.Instance{
		ID: r.GetInstanceId(), RequesterID: r.GetRequesterId(), Title: r.GetTitle(), Release: r.GetSoftwareRelease(), Type: r.GetSoftwareType(),
		Parameters: r.GetParameters(), State: fleet.State(r.GetState()), Computer: r.GetComputer(), Connection: r.GetConnectionParameters(),
		Generation: GenerationOf(r.GetGeneration()), RequestedAt: wellknown.Time(r.GetRequestedAt()), Unallocated: r.GetUnallocated(),
		Retention: r.GetRetentionDelay().AsDuration(), Sla: SlaOf(r.GetSla()), RemnantOf: r.GetRemnantOf(), ByRun: r.GetByRun(),
		ParameterProblem: r.GetParameterProblem(), Shared: r.GetShared(), Host: r.GetHostId(), Word: wordOf(r.GetWord()), Ill: r.GetIll(), IllAt: GenerationOf(r.GetIllAt()),
	}
}

func partitionRecord(p *fleet.Partition) *storev1.PartitionRecord {
	r := &storev1.PartitionRecord{
		InstanceId: p.InstanceID, AllocationId: p.AllocationID, Computer: p.Computer, Partition: p.Name, AllocatedAt: wellknown.Timestamp(p.AllocatedAt),
		ComputerPeriod: wellknown.Duration(p.ComputerPeriod),
		Options:        &storev1.OptionsRecord{Period: wellknown.Duration(p.Options.Period), Quota: p.Options.Quota, Policy: masterv1.BangPolicy(p.Options.Policy)},
		Changed:        GenerationRecord(p.Changed), Banged: markRecord(p.Banged), Settled: GenerationRecord(p.Settled),
		Token: p.Token, Run: runRecord(p.Run), Latest: reportRecord(p.Latest), LastSuccessRunId: p.LastSuccessRunID,
		FailuresInRow: p.FailuresInRow, ResultSince: wellknown.Timestamp(p.ResultSince), RunsIn: p.RunsIn, RunsOf: p.RunsOf,
		Awaiting: p.Awaiting, Alarm: alarmRecord(p.Alarm), Warning: alarmRecord(p.Warning), KeyCursor: p.KeyCursor,
		Publishing: publishingRecord(p.Publishing), RetainedUntil: wellknown.Timestamp(p.RetainedUntil),
		Sleepless: p.Sleepless, SleeplessSince: wellknown.Timestamp(p.SleeplessSince),
	}
	if p.Addresses != nil {
		r.Addresses = &storev1.AddressesRecord{Addresses: p.Addresses}
	}
	r.Recent = recentRecords(p.Recent)
	for _, b := range p.Boots {
		r.Boots = append(r.Boots, &storev1.BootRecord{BootId: b.ID, Sequence: b.Sequence})
	}
	for _, k := range p.Keys {
		a := k.Answer
		r.Keys = append(r.Keys, &storev1.BangKeyRecord{
			Key: []byte(k.Key), BangId: a.BangID, Number: a.Number, Outcome: masterv1.BangOutcome(a.Outcome), Reason: a.Reason, ConvergenceId: a.ConvergenceID,
			Generation: GenerationRecord(a.Generation), Until: wellknown.Timestamp(a.Until), Delay: wellknown.Duration(a.Delay), Trace: TraceRecord(a.Trace),
		})
	}
	for _, row := range p.Rows {
		r.Rows = append(r.Rows, &storev1.RowRecord{
			Origin: typev1.BangOrigin(row.Origin), Source: row.Source, Count: row.Count, Awaiting: row.Awaiting, DueAt: wellknown.Timestamp(row.DueAt),
			RanAt: wellknown.Timestamp(row.RanAt), Token: row.Token, Changed: row.Changed, Passed: row.Passed,
		})
	}
	return r
}

// recentRecords makes all of them in one piece: they were two thirds of what encoding a partition allocated, and each run encodes one twice.
func recentRecords(recent []fleet.Ended) []*storev1.EndedRecord {
	if len(recent) == 0 {
		return nil
	}
	type piece struct {
		ended   storev1.EndedRecord
		settled typev1.Generation
	}
	pieces, out := make([]piece, len(recent)), make([]*storev1.EndedRecord, len(recent))
	for i := range recent {
		e, r := &recent[i], &pieces[i].ended
		r.RunId, r.Superseded, r.ClosedConvergenceId, r.WantedMore = e.RunID, e.Superseded, e.Answer.ClosedConvergenceID, e.Answer.WantedMore
		if g := e.Answer.Settled; !g.IsZero() {
			r.Settled = &pieces[i].settled
			r.Settled.Epoch, r.Settled.Number = g.Epoch, g.Number
		}
		out[i] = r
	}
	return out
}

func partitionOf(r *storev1.PartitionRecord) *fleet.Partition {
	p := &fleet.Partition{
		InstanceID: r.GetInstanceId(), AllocationID: r.GetAllocationId(), Computer: r.GetComputer(), Name: r.GetPartition(), AllocatedAt: wellknown.Time(r.GetAllocatedAt()),
		ComputerPeriod: r.GetComputerPeriod().AsDuration(),
		Options:        fleet.Options{Period: r.GetOptions().GetPeriod().AsDuration(), Policy: fleet.Policy(r.GetOptions().GetPolicy())},
		Changed:        GenerationOf(r.GetChanged()), Banged: markOf(r.GetBanged()), Settled: GenerationOf(r.GetSettled()),
		Token: r.GetToken(), Run: runOf(r.GetRun()), Latest: reportOf(r.GetLatest()), LastSuccessRunID: r.GetLastSuccessRunId(),
		FailuresInRow: r.GetFailuresInRow(), ResultSince: wellknown.Time(r.GetResultSince()), RunsIn: r.GetRunsIn(), RunsOf: r.GetRunsOf(),
		Awaiting: r.GetAwaiting(), Alarm: alarmOf(r.GetAlarm()), Warning: alarmOf(r.GetWarning()), KeyCursor: r.GetKeyCursor(),
		Publishing: publishingOf(r.GetPublishing()), RetainedUntil: wellknown.Time(r.GetRetainedUntil()),
		Sleepless: r.GetSleepless(), SleeplessSince: wellknown.Time(r.GetSleeplessSince()),
	}
	if r.GetOptions() != nil {
		p.Options.Quota = r.GetOptions().Quota
	}
	if r.GetAddresses() != nil {
		p.Addresses = fleet.Known(r.GetAddresses().GetAddresses())
	}
	for _, e := range r.GetRecent() {
		p.Recent = append(p.Recent, fleet.Ended{RunID: e.GetRunId(), Superseded: e.GetSuperseded(), Answer: fleet.ReportRunAnswer{
			Settled: GenerationOf(e.GetSettled()), ClosedConvergenceID: e.GetClosedConvergenceId(), WantedMore: e.GetWantedMore(),
		}})
	}
	for _, b := range r.GetBoots() {
		p.Boots = append(p.Boots, fleet.Boot{ID: b.GetBootId(), Sequence: b.GetSequence()})
	}
	for _, k := range r.GetKeys() {
		p.Keys = append(p.Keys, fleet.BangKey{Key: string(k.GetKey()), Answer: fleet.BangAnswer{
			BangID: k.GetBangId(), Number: k.GetNumber(), Outcome: fleet.Outcome(k.GetOutcome()), Reason: k.GetReason(), ConvergenceID: k.GetConvergenceId(),
			Generation: GenerationOf(k.GetGeneration()), Until: wellknown.Time(k.GetUntil()), Delay: k.GetDelay().AsDuration(), Trace: TraceOf(k.GetTrace()),
		}})
	}
	for _, row := range r.GetRows() {
		p.Rows = append(p.Rows, fleet.Row{
			Origin: fleet.Origin(row.GetOrigin()), Source: row.GetSource(), Count: row.GetCount(), Awaiting: row.GetAwaiting(), DueAt: wellknown.Time(row.GetDueAt()),
			RanAt: wellknown.Time(row.GetRanAt()), Token: row.GetToken(), Changed: row.GetChanged(), Passed: row.GetPassed(),
		})
	}
	return p
}

func runRecord(r *fleet.Run) *storev1.RunRecord {
	if r == nil {
		return nil
	}
	return &storev1.RunRecord{
		RunId: r.ID, Token: r.Token, Wanted: GenerationRecord(r.Wanted), Cause: typev1.Cause(r.Cause), Attempt: r.Attempt,
		BegunAt: wellknown.Timestamp(r.BegunAt), Destroys: r.Destroys, Published: r.Published, Trace: TraceRecord(r.Trace),
	}
}

func runOf(r *storev1.RunRecord) *fleet.Run {
	if r == nil {
		return nil
	}
	return &fleet.Run{
		ID: r.GetRunId(), Token: r.GetToken(), Wanted: GenerationOf(r.GetWanted()), Cause: fleet.Cause(r.GetCause()), Attempt: r.GetAttempt(),
		BegunAt: wellknown.Time(r.GetBegunAt()), Destroys: r.GetDestroys(), Published: r.GetPublished(), Trace: TraceOf(r.GetTrace()),
	}
}

func reportRecord(r *fleet.Report) *storev1.ReportRecord {
	if r == nil {
		return nil
	}
	return &storev1.ReportRecord{
		RunId: r.RunID, Cause: typev1.Cause(r.Cause), Result: typev1.RunResult(r.Result), Error: r.Error, ErrorType: r.ErrorType,
		ReportedAt: wellknown.Timestamp(r.ReportedAt), Duration: wellknown.Duration(r.Duration), Attempt: r.Attempt,
		EvaluatedLocally: r.EvaluatedLocally, Changed: r.Changed, Local: r.Local, Problems: r.Problems,
	}
}

func reportOf(r *storev1.ReportRecord) *fleet.Report {
	if r == nil {
		return nil
	}
	return &fleet.Report{
		RunID: r.GetRunId(), Cause: fleet.Cause(r.GetCause()), Result: fleet.Result(r.GetResult()), Error: r.GetError(), ErrorType: r.GetErrorType(),
		ReportedAt: wellknown.Time(r.GetReportedAt()), Duration: r.GetDuration().AsDuration(), Attempt: r.GetAttempt(),
		EvaluatedLocally: r.GetEvaluatedLocally(), Changed: r.GetChanged(), Local: r.GetLocal(), Problems: r.GetProblems(),
	}
}

func alarmRecord(a *fleet.Alarm) *storev1.AlarmRecord {
	if a == nil {
		return nil
	}
	return &storev1.AlarmRecord{
		Number: a.Number, Outcome: masterv1.BangOutcome(a.Outcome), Origin: typev1.BangOrigin(a.Origin), Source: a.Source,
		Reason: a.Reason, At: wellknown.Timestamp(a.At), Token: a.Token,
	}
}

func alarmOf(r *storev1.AlarmRecord) *fleet.Alarm {
	if r == nil {
		return nil
	}
	return &fleet.Alarm{
		Number: r.GetNumber(), Outcome: fleet.Outcome(r.GetOutcome()), Origin: fleet.Origin(r.GetOrigin()), Source: r.GetSource(),
		Reason: r.GetReason(), At: wellknown.Time(r.GetAt()), Token: r.GetToken(),
	}
}

func publishingRecord(p fleet.Publishing) *storev1.PublishingRecord {
	if len(p.Times) == 0 {
		return nil
	}
	r := &storev1.PublishingRecord{Loop: p.Loop, Delay: wellknown.Duration(p.Delay)}
	for _, at := range p.Times {
		r.Times = append(r.Times, wellknown.Timestamp(at))
	}
	return r
}

func publishingOf(r *storev1.PublishingRecord) fleet.Publishing {
	p := fleet.Publishing{Loop: r.GetLoop(), Delay: r.GetDelay().AsDuration()}
	for _, at := range r.GetTimes() {
		p.Times = append(p.Times, wellknown.Time(at))
	}
	return p
}
