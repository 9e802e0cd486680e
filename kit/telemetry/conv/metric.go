package conv

import "go.opentelemetry.io/otel/attribute"

// Kind is the kind of an instrument.
type Kind string

// The kinds in use.
const (
	KindDuration      Kind = "histogram of seconds"
	KindDistribution  Kind = "histogram of counts"
	KindCounter       Kind = "counter"
	KindUpDownCounter Kind = "up-down counter"
	KindGauge         Kind = "gauge"
)

// Metric declares an instrument: what docs/telemetry.md shows and what its constructor enforces.
type Metric struct {
	Name    string
	Kind    Kind
	Unit    string
	Meaning string
	// Labels are the keys of every point of the metric: always all of them, never others.
	Labels []attribute.Key
}

// The instruments. Each is a declaration; its New or Observe method makes the instrument of a meter.
//
// They are read-only: variables only because Go has no constant structs.
var (
	ConvergenceDuration = DurationMetric{Metric{
		"vow.convergence.duration", KindDuration, "s",
		"The SLO: from a bang until every member of its tree has a successful run at or after its generation.",
		[]attribute.Key{BangOrigin, ConvergenceResult},
	}}
	RunDuration = DurationMetric{Metric{
		"vow.run.duration", KindDuration, "s", "One run of one partition, from BeginRun until its report was accepted.",
		[]attribute.Key{RunCause, RunResult, ErrorType},
	}}
	RunDelay = DurationMetric{Metric{
		"vow.run.delay", KindDuration, "s", "From the time a run was due until it started.",
		[]attribute.Key{RunCause},
	}}
	RunActive = UpDownCounterMetric{Metric{
		"vow.run.active", KindUpDownCounter, "{run}", "Runs in progress.",
		nil,
	}}
	StepDuration = DurationMetric{Metric{
		"vow.step.duration", KindDuration, "s", "One step of a run.",
		[]attribute.Key{StepName, RunResult},
	}}
	InstallDuration = DurationMetric{Metric{
		"vow.release.duration", KindDuration, "s", "One attempt to install a software release, all steps.",
		[]attribute.Key{RunResult, ErrorType},
	}}
	InstallStepDuration = DurationMetric{Metric{
		"vow.release.step.duration", KindDuration, "s", "One step of the installation of a software release.",
		[]attribute.Key{ReleaseStep, RunResult},
	}}
	BangRequests = CounterMetric{Metric{
		"vow.bang.requests", KindCounter, "{bang}", "Bangs asked for, by what was decided.",
		[]attribute.Key{BangOrigin, BangOutcome},
	}}
	BangFolded = CounterMetric{Metric{
		"vow.bang.folded", KindCounter, "{bang}", "Bangs that a run answered beyond the first: coalesced, never dropped.",
		nil,
	}}
	BangFanout = DistributionMetric{Metric{
		"vow.bang.fanout", KindDistribution, "{partition}", "Partitions that one bang makes run.",
		nil,
	}}
	AgendaDue = GaugeMetric{Metric{
		"vow.agenda.due", KindGauge, "{partition}", "Partitions whose run is due and not yet begun.",
		nil,
	}}
	AgendaOverdue = GaugeMetric{Metric{
		"vow.agenda.overdue", KindGauge, "{partition}", "Partitions whose run has been due for more than a minute.",
		nil,
	}}
	PartitionCount = GaugeMetric{Metric{
		"vow.partition.count", KindGauge, "{partition}", "Partitions by colour and the reason of the colour.",
		[]attribute.Key{Colour, ColourReason},
	}}
	ComputerCount = GaugeMetric{Metric{
		"vow.computer.count", KindGauge, "{computer}", "Computers by colour.",
		[]attribute.Key{Colour},
	}}
	PromiseCount = GaugeMetric{Metric{
		"vow.promise.count", KindGauge, "{promise}", "Promises by kind and latest verdict.",
		[]attribute.Key{PromiseKind, Verdict},
	}}
	PromiseTransitions = CounterMetric{Metric{
		"vow.promise.transitions", KindCounter, "{transition}", "Changes of a promise's verdict, by the new one.",
		[]attribute.Key{Verdict},
	}}
	CrimeCount = GaugeMetric{Metric{
		"vow.crime.count", KindGauge, "{crime}", "Monitoring crimes: of runs by svc-master, of promises by svc-promise; each replica counts all, once a minute.",
		[]attribute.Key{CrimeName},
	}}
	CrimeReleases = GaugeMetric{Metric{
		"vow.crime.release.count", KindGauge, "{release}", "Software releases of whose instances a monitoring crime is seen; each replica counts all, once a minute.",
		[]attribute.Key{CrimeName},
	}}
	SensorDuration = DurationMetric{Metric{
		"vow.sensor.duration", KindDuration, "s", "One execution of a sensor.",
		[]attribute.Key{SensorKind, ErrorType},
	}}
	ProcessExits = CounterMetric{Metric{
		"vow.process.exits", KindCounter, "{exit}", "Exits of supervised processes that nobody asked for.",
		[]attribute.Key{ProcessReason},
	}}
	FeedLag = GaugeMetric{Metric{
		"vow.feed.lag", KindGauge, "{entry}", "Entries of the feed that a follower has not handled.",
		[]attribute.Key{FeedFollower},
	}}
	SpoolSize = GaugeMetric{Metric{
		"vow.spool.size", KindGauge, "{item}", "What a node keeps until it can deliver it.",
		[]attribute.Key{SpoolKind},
	}}
	LimitHits = CounterMetric{Metric{
		"vow.limit.hits", KindCounter, "{hit}", "How often a named limit was hit.",
		[]attribute.Key{LimitName},
	}}
)

// Metrics lists every declared instrument.
func Metrics() []Metric {
	return []Metric{
		ConvergenceDuration.Metric, RunDuration.Metric, RunDelay.Metric, RunActive.Metric, StepDuration.Metric, InstallDuration.Metric, InstallStepDuration.Metric,
		BangRequests.Metric, BangFolded.Metric, BangFanout.Metric, AgendaDue.Metric, AgendaOverdue.Metric,
		PartitionCount.Metric, ComputerCount.Metric, PromiseCount.Metric, PromiseTransitions.Metric, CrimeCount.Metric, CrimeReleases.Metric,
		SensorDuration.Metric, ProcessExits.Metric, FeedLag.Metric, SpoolSize.Metric, LimitHits.Metric,
	}
}

// Declarations is everything declared here.
type Declarations struct {
	Attributes []Attribute
	Spans      []Span
	Metrics    []Metric
	Events     []Event
}

// All lists every declaration, for the documentation and for the test that compares it with what is emitted.
func All() Declarations {
	return Declarations{Attributes: Attributes(), Spans: Spans(), Metrics: Metrics(), Events: Events()}
}
