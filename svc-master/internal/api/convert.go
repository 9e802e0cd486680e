package api

import (
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// The enumerations of the core have the numbers of the contract. Zero values are unset fields.

// seconds makes a duration of what nodes measure.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// traceID is the 32 digits of the trace in a `traceparent`: version-trace-span-flags.
func traceID(t fleet.Trace) string {
	if parts := strings.Split(t.Traceparent, "-"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

func colour(s fleet.Status) *typev1.ColourStatus {
	return &typev1.ColourStatus{Colour: typev1.Colour(s.Colour), Reason: s.Reason, Since: wellknown.Timestamp(s.Since), Unconfirmed: s.Unconfirmed}
}

func (a *API) instance(t *fleet.Tree, i *fleet.Instance, now time.Time) *masterv1.Instance {
	out := &masterv1.Instance{
		InstanceId: i.ID, TreeId: t.ID, RequesterId: i.RequesterID, Title: i.Title, SoftwareRelease: i.Release, SoftwareType: i.Type,
		Parameters: i.Parameters, State: typev1.RequestedState(i.State), ConnectionParameters: i.Connection, RequestedComputer: i.Computer,
		UnallocatedReason: i.Unallocated, Generation: redisstore.GenerationRecord(i.Generation), RetentionDelay: wellknown.Duration(i.Retention),
		Sla: redisstore.SlaRecord(i.Sla), RemnantOf: i.RemnantOf, ParameterProblem: i.ParameterProblem,
	}
	if i.Shared {
		out.Shared, out.HostId = true, i.Host
		if i.State == fleet.Started {
			out.UnservedReason = i.Word.Unserved
		}
		if i.Host != "" {
			out.Status = &masterv1.PartitionStatus{Colour: colour(t.PartitionColour(i.ID, now, a.Started))}
		}
		return out
	}
	out.Hosted = uint32(len(t.HostedBy(i.ID)))
	p := t.Partitions[i.ID]
	if p == nil {
		return out
	}
	out.Computer, out.Partition, out.AllocationId = p.Computer, p.Name, p.AllocationID
	out.Status = &masterv1.PartitionStatus{
		Colour: colour(t.PartitionColour(i.ID, now, a.Started)), Wanted: redisstore.GenerationRecord(t.Wanted(p)), Settled: redisstore.GenerationRecord(p.Settled),
		Latest: runSummary(p.Latest), LastSuccessRunId: p.LastSuccessRunID, Withheld: withheld(p),
		RetainedUntil: wellknown.Timestamp(p.RetainedUntil),
	}
	if p.Run != nil {
		out.Status.RunInProgress = p.Run.ID
	}
	return out
}

// maxErrors is how much text of errors one list of instances holds in full; a message holds 4 MiB, and what fails often fails in many places at once.
const maxErrors = 1 << 20

// shorten cuts the errors of a list to their ends once they are too much together; GetInstance has them in full.
func shorten(instances []*masterv1.Instance) {
	total := 0
	for _, i := range instances {
		latest := i.GetStatus().GetLatest()
		if total += len(latest.GetError()); total > maxErrors && len(latest.GetError()) > fleet.MaxTextKept {
			latest.Error = strings.ToValidUTF8(latest.Error[len(latest.Error)-fleet.MaxTextKept:], "")
		}
	}
}

// withheld is why the partition's last bang made no run; empty = none withheld since the last success.
func withheld(p *fleet.Partition) string {
	for _, alarm := range []*fleet.Alarm{p.Alarm, p.Warning} {
		if alarm != nil && (!alarm.Outcome.Wakes() || alarm.Outcome == fleet.Futile) {
			return alarm.Reason
		}
	}
	return ""
}

func runSummary(r *fleet.Report) *masterv1.RunSummary {
	if r == nil {
		return nil
	}
	return &masterv1.RunSummary{
		RunId: r.RunID, Cause: typev1.Cause(r.Cause), Result: typev1.RunResult(r.Result), Error: r.Error, ErrorType: r.ErrorType,
		ReportedAt: wellknown.Timestamp(r.ReportedAt), DurationSeconds: r.Duration.Seconds(), Attempt: r.Attempt,
		EvaluatedLocally: r.EvaluatedLocally, Changed: r.Changed,
	}
}

// tree translates a tree without its instances.
func (a *API) tree(t *fleet.Tree, now time.Time) *masterv1.Tree {
	out := &masterv1.Tree{
		TreeId: t.ID, Title: t.Title, Account: t.Account, Generation: redisstore.GenerationRecord(t.Generation), Colour: colour(t.TreeColour(now, a.Started)),
		BangsToday: t.BangsToday(now), BangQuota: t.QuotaLimit(), Conditions: t.Conditions(now),
	}
	if t.Paused(now) {
		out.Pause = redisstore.PauseRecord(t.Pause)
	}
	if t.Convergence != nil {
		out.ConvergenceId = t.Convergence.ID
	}
	for _, c := range t.Crimes(now) {
		out.Crimes = append(out.Crimes, runCrime(t.ID, &c))
	}
	return out
}

func runCrime(treeID string, c *fleet.Crime) *masterv1.RunCrime {
	return &masterv1.RunCrime{
		Crime: typev1.MonitoringCrime(c.Kind), TreeId: treeID, Title: c.Instance.Title, AllocationId: c.Partition.AllocationID,
		Computer: c.Partition.Computer, Partition: c.Partition.Name, SoftwareRelease: c.Instance.Release, Since: wellknown.Timestamp(c.Since), Seen: wellknown.Timestamp(c.Seen),
		Runs: uint32(c.Runs), RunId: c.RunID, DurationSeconds: c.Took.Seconds(), Evidence: c.Evidence,
	}
}

func releaseCrime(c *fleet.ReleaseCrime) *typev1.ReleaseCrime {
	return &typev1.ReleaseCrime{
		SoftwareRelease: c.Release, Crime: typev1.MonitoringCrime(c.Kind), Count: uint32(c.Partitions), Partitions: uint32(c.Partitions), Since: wellknown.Timestamp(c.Since), Evidence: c.Evidence,
	}
}

func desiredPartition(t *fleet.Tree, i *fleet.Instance, p *fleet.Partition, addresses []string) *masterv1.DesiredPartition {
	out := &masterv1.DesiredPartition{
		Partition: p.Name, AllocationId: p.AllocationID, InstanceId: i.ID, TreeId: t.ID, Generation: redisstore.GenerationRecord(i.Generation),
		Title: i.Title, RootTitle: t.Title, SoftwareRelease: i.Release, SoftwareType: i.Type, Parameters: i.Parameters,
		State: typev1.RequestedState(t.Desired(i)), Period: wellknown.Duration(p.Period()), Addresses: addresses, ConnectionParameters: i.Connection,
		RetentionDelay: wellknown.Duration(i.Retention), Pause: redisstore.PauseRecord(t.Pause),
	}
	for _, h := range t.HostedBy(i.ID) {
		out.Hosted = append(out.Hosted, &masterv1.HostedInstance{
			InstanceId: h.SharedID, Title: h.Title, SoftwareType: h.Type, Parameters: h.Parameters, ConnectionParameters: h.Connection, ChangedAt: wellknown.Timestamp(h.ChangedAt),
		})
	}
	return out
}

func allocation(t *fleet.Tree, i *fleet.Instance, p *fleet.Partition) *masterv1.Allocation {
	out := &masterv1.Allocation{
		AllocationId: p.AllocationID, InstanceId: i.ID, TreeId: t.ID, Title: i.Title, Computer: p.Computer, Partition: p.Name,
		State: typev1.RequestedState(t.Desired(i)), Period: wellknown.Duration(p.Period()), Wanted: redisstore.GenerationRecord(t.Wanted(p)), WantedCause: typev1.Cause(t.WantedCause(p)),
		Settled: redisstore.GenerationRecord(p.Settled), Changed: redisstore.GenerationRecord(p.Changed), Latest: runSummary(p.Latest), Membership: t.Membership,
		Pause: redisstore.PauseRecord(t.Pause),
	}
	if out.Latest != nil {
		out.Latest.Error = "" // 16 KiB for each of thousands: whoever follows needs its type only
	}
	if mark, ok := t.Unanswered(p); ok {
		out.Bang = &masterv1.BangHint{
			BangId: bangID(t.ID, mark.Number), Number: mark.Number, At: wellknown.Timestamp(mark.At), Trace: redisstore.TraceRecord(mark.Trace), Delay: wellknown.Duration(mark.Delay),
		}
	}
	if r := p.Run; r != nil {
		out.Run = &masterv1.RunHint{RunId: r.ID, Token: r.Token, Generation: redisstore.GenerationRecord(r.Wanted)}
		out.BegunAt = wellknown.Timestamp(r.BegunAt)
	}
	return out
}

func (a *API) computer(c *redisstore.Computer, titles map[string]string, colours map[string]fleet.Status, now time.Time) *masterv1.Computer {
	out := &masterv1.Computer{
		Name: c.Name, Periodicity: c.Record.GetPeriodicity(), Cpus: c.Record.GetCpus(), Capacity: c.Record.GetCapacity(), LastContact: wellknown.Timestamp(c.Contact),
		Colour: colour(fleet.ComputerColour(c.Contact, now, a.Started)), Closure: c.Record.GetClosure(),
		Group: c.Record.GetGroup(), Labels: c.Record.GetLabels(), Reserved: redisstore.NeedsRecord(c.Needed()),
	}
	for _, name := range c.Partitions() {
		p := &masterv1.Partition{Name: name, Addresses: c.Slots[name].GetAddresses()}
		if held := c.Reservations[name].GetInstanceId(); held != "" {
			p.InstanceId, p.InstanceTitle = held, titles[held]
			p.Colour = colour(colours[held])
		}
		out.Partitions = append(out.Partitions, p)
	}
	return out
}

func software(c *redisstore.Computer, url string) *masterv1.Software {
	r := c.Software[url]
	return &masterv1.Software{
		SoftwareRelease: url, Computer: c.Name, Requested: r.GetRequested(), Reported: r.GetReported(), Error: r.GetError(),
		ReportedAt: r.GetReportedAt(), Options: r.GetOptions(), Progress: r.GetProgress(), RetryAt: r.GetRetryAt(), Supply: r.GetSupply(),
		SchemaDigest: r.GetSchemaDigest(),
	}
}

func bangResult(b fleet.BangAnswer) *masterv1.BangResult {
	return &masterv1.BangResult{
		BangId: b.BangID, Outcome: masterv1.BangOutcome(b.Outcome), Reason: b.Reason, ConvergenceId: b.ConvergenceID,
		Generation: redisstore.GenerationRecord(b.Generation), TraceId: traceID(b.Trace),
	}
}

func bang(b redisstore.Bang) *masterv1.Bang {
	return &masterv1.Bang{
		BangId: b.ID, Number: b.Number, Outcome: masterv1.BangOutcome(b.Outcome), Reason: b.Reason, Origin: typev1.BangOrigin(b.Origin),
		Source: b.Source, Message: b.Message, InstanceId: b.InstanceID, Generation: redisstore.GenerationRecord(b.Generation), ConvergenceId: b.ConvergenceID,
		At: wellknown.Timestamp(b.At), NoticedAt: wellknown.Timestamp(b.NoticedAt), Trace: redisstore.TraceRecord(b.Trace), SatisfiedAt: wellknown.Timestamp(b.SatisfiedAt),
	}
}

// convergence translates without members, which lists leave out.
func convergence(c *fleet.Convergence, titles map[string]string, now time.Time) *masterv1.Convergence {
	out := &masterv1.Convergence{
		ConvergenceId: c.ID, TreeId: c.TreeID, Title: c.Title, State: masterv1.ConvergenceState(c.State), Origin: typev1.BangOrigin(c.Origin),
		BangId: c.BangID, Joined: c.Joined, OpenedAt: wellknown.Timestamp(c.OpenedAt), ClosedAt: wellknown.Timestamp(c.ClosedAt),
		DurationSeconds: c.Duration(now).Seconds(), TraceId: traceID(c.Trace), TimelineDropped: c.Dropped, Reason: c.Reason,
	}
	for _, m := range c.Moments() {
		out.Timeline = append(out.Timeline, &masterv1.TimelineEntry{
			At: wellknown.Timestamp(m.At), Moment: masterv1.Moment(m.Moment), InstanceId: m.InstanceID, Title: titles[m.InstanceID], RunId: m.RunID, Name: m.Name,
			DurationSeconds: m.Duration.Seconds(), Result: typev1.RunResult(m.Result), Text: m.Text, Folds: m.Folds,
		})
	}
	return out
}

func members(ms []fleet.Member) []*masterv1.ConvergenceMember {
	out := make([]*masterv1.ConvergenceMember, 0, len(ms))
	for _, m := range ms {
		out = append(out, &masterv1.ConvergenceMember{
			InstanceId: m.InstanceID, Title: m.Title, Computer: m.Computer, Partition: m.Partition, Settled: m.Settled,
			RunInProgress: m.RunInProgress, Runs: m.Runs, Blocker: m.Blocker,
		})
	}
	return out
}

func titlesOf(t *fleet.Tree) map[string]string {
	titles := make(map[string]string, len(t.Instances))
	for id, i := range t.Instances {
		titles[id] = i.Title
	}
	return titles
}

func wireState(s fleet.State) typev1.RequestedState { return typev1.RequestedState(s) }
