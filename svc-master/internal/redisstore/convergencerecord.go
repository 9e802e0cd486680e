package redisstore

import (
	"fmt"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
)

// convergenceRecord leaves the moments out: those of an open convergence are fields of their own.
func convergenceRecord(c *fleet.Convergence) *storev1.ConvergenceRecord {
	r := &storev1.ConvergenceRecord{
		Number: c.Number, Title: c.Title, State: masterv1.ConvergenceState(c.State), BangId: c.BangID, Origin: typev1.BangOrigin(c.Origin),
		Source: c.Source, Trace: TraceRecord(c.Trace), Joined: c.Joined, Satisfied: c.Satisfied,
		OpenedAt: wellknown.Timestamp(c.OpenedAt), ClosedAt: wellknown.Timestamp(c.ClosedAt), Reason: c.Reason, Dropped: c.Dropped,
		Whole: c.Whole, Origins: c.Origins,
	}
	for i := range c.Awaiting {
		a := &c.Awaiting[i]
		r.Awaiting = append(r.Awaiting, &storev1.AwaitingRecord{InstanceId: a.Instance, Current: groupRecord(a.Current), Next: groupRecord(a.Next)})
	}
	return r
}

// maxMembers of an ended convergence are kept, and as many who were not waited for: a tree keeps 100 convergences, and 10,000 members of each are 100 MB.
const maxMembers = 1000

// archiveRecord is an ended convergence, whole.
func archiveRecord(c *fleet.Convergence) *storev1.ConvergenceRecord {
	r := convergenceRecord(c)
	for i := range c.Timeline {
		r.Timeline = append(r.Timeline, momentRecord(&c.Timeline[i]))
	}
	for _, settled := range []bool{false, true} { // who kept it open tells most
		for i := range c.Members {
			if m := &c.Members[i]; m.Settled == settled && len(r.Members) < maxMembers {
				r.Members = append(r.Members, &storev1.MemberRecord{
					InstanceId: m.InstanceID, Title: m.Title, Computer: m.Computer, Partition: m.Partition, Settled: m.Settled,
					RunInProgress: m.RunInProgress, Runs: m.Runs, Blocker: m.Blocker,
				})
			}
		}
	}
	r.NotWaitedFor = c.NotWaitedFor[:min(len(c.NotWaitedFor), maxMembers)]
	return r
}

func convergenceOf(treeID string, r *storev1.ConvergenceRecord) *fleet.Convergence {
	c := &fleet.Convergence{
		ID: fmt.Sprintf("%s.c%d", treeID, r.GetNumber()), Number: r.GetNumber(), TreeID: treeID, Title: r.GetTitle(), State: fleet.ConvergenceState(r.GetState()),
		BangID: r.GetBangId(), Origin: fleet.Origin(r.GetOrigin()), Source: r.GetSource(), Trace: TraceOf(r.GetTrace()),
		Joined: r.GetJoined(), Satisfied: r.GetSatisfied(), OpenedAt: wellknown.Time(r.GetOpenedAt()), ClosedAt: wellknown.Time(r.GetClosedAt()),
		Reason: r.GetReason(), Dropped: r.GetDropped(), Whole: r.GetWhole(), Origins: r.GetOrigins(), NotWaitedFor: r.GetNotWaitedFor(),
	}
	for _, m := range r.GetMembers() {
		c.Members = append(c.Members, fleet.Member{
			InstanceID: m.GetInstanceId(), Title: m.GetTitle(), Computer: m.GetComputer(), Partition: m.GetPartition(), Settled: m.GetSettled(),
			RunInProgress: m.GetRunInProgress(), Runs: m.GetRuns(), Blocker: m.GetBlocker(),
		})
	}
	for _, a := range r.GetAwaiting() {
		c.Awaiting = append(c.Awaiting, fleet.Awaiting{Instance: a.GetInstanceId(), Current: groupOf(a.GetCurrent()), Next: groupOf(a.GetNext())})
	}
	for _, m := range r.GetTimeline() {
		c.Timeline = append(c.Timeline, momentOf(m))
	}
	return c
}

func groupRecord(g fleet.Group) *storev1.GroupRecord {
	if g.Count == 0 {
		return nil
	}
	return &storev1.GroupRecord{Count: g.Count, Generation: GenerationRecord(g.Generation), First: refRecords(g.First), Last: refRecords(g.Last)}
}

func groupOf(r *storev1.GroupRecord) fleet.Group {
	return fleet.Group{Count: r.GetCount(), Generation: GenerationOf(r.GetGeneration()), First: refsOf(r.GetFirst()), Last: refsOf(r.GetLast())}
}

func refRecords(refs []fleet.BangRef) []*storev1.BangRefRecord {
	var out []*storev1.BangRefRecord
	for _, b := range refs {
		out = append(out, &storev1.BangRefRecord{Number: b.Number, Generation: GenerationRecord(b.Generation), At: wellknown.Timestamp(b.At)})
	}
	return out
}

func refsOf(records []*storev1.BangRefRecord) []fleet.BangRef {
	var out []fleet.BangRef
	for _, r := range records {
		out = append(out, fleet.BangRef{Number: r.GetNumber(), Generation: GenerationOf(r.GetGeneration()), At: wellknown.Time(r.GetAt())})
	}
	return out
}

func momentRecord(m *fleet.TimelineEntry) *storev1.MomentRecord {
	return &storev1.MomentRecord{
		At: wellknown.Timestamp(m.At), Moment: masterv1.Moment(m.Moment), InstanceId: m.InstanceID, RunId: m.RunID, Name: m.Name,
		Duration: wellknown.Duration(m.Duration), Result: typev1.RunResult(m.Result), Text: m.Text, Folds: m.Folds,
	}
}

func momentOf(r *storev1.MomentRecord) fleet.TimelineEntry {
	return fleet.TimelineEntry{
		At: wellknown.Time(r.GetAt()), Moment: fleet.Moment(r.GetMoment()), InstanceID: r.GetInstanceId(), RunID: r.GetRunId(), Name: r.GetName(),
		Duration: r.GetDuration().AsDuration(), Result: fleet.Result(r.GetResult()), Text: r.GetText(), Folds: r.GetFolds(),
	}
}

// satisfiedRecord is the range of numbers of bangs that were satisfied together.
func satisfiedRange(g fleet.Group) (first, last uint64) {
	if len(g.First) == 0 {
		return 0, 0
	}
	first, last = g.First[0].Number, g.First[len(g.First)-1].Number
	if n := len(g.Last); n > 0 {
		last = g.Last[n-1].Number
	}
	return first, last
}

func bangRecord(b *fleet.BangRecord) *storev1.BangRecord {
	return &storev1.BangRecord{
		Number: b.Number, Outcome: masterv1.BangOutcome(b.Outcome), Reason: b.Reason, Origin: typev1.BangOrigin(b.Origin), Source: b.Source,
		Message: b.Message, InstanceId: b.InstanceID, Generation: GenerationRecord(b.Generation), ConvergenceId: b.ConvergenceID,
		At: wellknown.Timestamp(b.At), NoticedAt: wellknown.Timestamp(b.NoticedAt), Delay: wellknown.Duration(b.Delay), Trace: TraceRecord(b.Trace),
	}
}

func bangOf(treeID string, r *storev1.BangRecord) *fleet.BangRecord {
	return &fleet.BangRecord{
		ID: fmt.Sprintf("%s.b%d", treeID, r.GetNumber()), Number: r.GetNumber(), Outcome: fleet.Outcome(r.GetOutcome()), Reason: r.GetReason(),
		Origin: fleet.Origin(r.GetOrigin()), Source: r.GetSource(), Message: r.GetMessage(), InstanceID: r.GetInstanceId(),
		Generation: GenerationOf(r.GetGeneration()), ConvergenceID: r.GetConvergenceId(), At: wellknown.Time(r.GetAt()), NoticedAt: wellknown.Time(r.GetNoticedAt()),
		Delay: r.GetDelay().AsDuration(), Trace: TraceOf(r.GetTrace()),
	}
}

func feedRecord(e *fleet.FeedEntry) *storev1.FeedRecord {
	entry := &masterv1.FeedEntry{
		Kind: masterv1.FeedEntryKind(e.Kind), TreeId: e.TreeID, Generation: GenerationRecord(e.Generation), Membership: e.Membership,
		InstanceIds: e.InstanceIDs, Computer: e.Computer, Partition: e.Partition, AllocationId: e.AllocationID,
		At: wellknown.Timestamp(e.At), ConvergenceId: e.ConvergenceID, Trace: TraceRecord(e.Trace), Delay: wellknown.Duration(e.Delay),
	}
	if b := e.Bang; b != nil {
		entry.Bang = &masterv1.BangHint{
			BangId: b.ID, Number: b.Number, At: wellknown.Timestamp(b.At), Trace: TraceRecord(b.Trace), InstanceIds: b.InstanceIDs, Delay: wellknown.Duration(b.Delay),
		}
	}
	if r := e.Run; r != nil {
		entry.Run = &masterv1.RunHint{
			RunId: r.ID, Token: r.Token, Generation: GenerationRecord(r.Generation), Result: typev1.RunResult(r.Result), ErrorType: r.ErrorType,
		}
	}
	return &storev1.FeedRecord{Entry: entry}
}
