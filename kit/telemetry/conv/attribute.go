package conv

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// SchemaURL is the pinned version of the OpenTelemetry semantic conventions; moving it is a change of our API.
const SchemaURL = semconv.SchemaURL

// Other is what a metric shows for a value outside of its declared enumeration, as the conventions do for error.type.
const Other = "_OTHER"

// Ids: on spans, logs and events, never on metrics.
const (
	ComputerID    = attribute.Key("vow.computer.id")
	PartitionID   = attribute.Key("vow.partition.id")
	AllocationID  = attribute.Key("vow.allocation.id")
	TreeID        = attribute.Key("vow.tree.id")
	InstanceID    = attribute.Key("vow.instance.id")
	BangID        = attribute.Key("vow.bang.id")
	ConvergenceID = attribute.Key("vow.convergence.id")
	RunID         = attribute.Key("vow.run.id")
	ReleaseURL    = attribute.Key("vow.release.url")
	PromiseName   = attribute.Key("vow.promise.name")
	ProcessName   = attribute.Key("vow.process.name")
	PartName      = attribute.Key("vow.part.name")
)

// Properties of a bang and of the convergence that follows it.
const (
	BangOrigin        = attribute.Key("vow.bang.origin")
	BangOutcome       = attribute.Key("vow.bang.outcome")
	BangPolicy        = attribute.Key("vow.bang.policy")
	BangReason        = attribute.Key("vow.bang.reason")
	BangTargets       = attribute.Key("vow.bang.targets")
	BangFolds         = attribute.Key("vow.bang.folds")
	ConvergenceResult = attribute.Key("vow.convergence.result")
)

// Properties of a run.
const (
	RunCause      = attribute.Key("vow.run.cause")
	RunResult     = attribute.Key("vow.run.result")
	RunAttempt    = attribute.Key("vow.run.attempt")
	RunChanged    = attribute.Key("vow.run.changed")
	RunLocal      = attribute.Key("vow.run.local")
	Epoch         = attribute.Key("vow.tree.epoch")
	Generation    = attribute.Key("vow.tree.generation")
	StepName      = attribute.Key("vow.step.name")
	PromiseKind   = attribute.Key("vow.promise.kind")
	Verdict       = attribute.Key("vow.promise.verdict")
	EvaluatedBy   = attribute.Key("vow.promise.evaluated_by")
	SensorKind    = attribute.Key("vow.sensor.kind")
	ProcessReason = attribute.Key("vow.process.exit_reason")
	CrimeName     = attribute.Key("vow.crime.name")
)

// Properties of what the services watch.
const (
	Colour       = attribute.Key("vow.colour")
	ColourReason = attribute.Key("vow.colour.reason")
	FeedFollower = attribute.Key("vow.feed.follower")
	FeedPosition = attribute.Key("vow.feed.position")
	SpoolKind    = attribute.Key("vow.spool.kind")
	LimitName    = attribute.Key("vow.limit.name")
	ReleaseState = attribute.Key("vow.release.state")
	ReleaseStep  = attribute.Key("vow.release.step")
	ReleaseBytes = attribute.Key("vow.release.size")
)

// Reused from the semantic conventions.
const (
	ErrorType      = semconv.ErrorTypeKey
	EventName      = attribute.Key("event.name")
	ProcessPID     = semconv.ProcessPIDKey
	ProcessExit    = semconv.ProcessExitCodeKey
	ExecutableName = semconv.ProcessExecutableNameKey
)

// Values of RunCause, in the order that decides when several are due.
const (
	CauseManual      = "manual"
	CauseBang        = "bang"
	CauseChanged     = "changed"
	CauseBoot        = "boot"
	CauseRetry       = "retry"
	CausePeriodicity = "periodicity"
)

// Values of RunResult. A run that fails because of the user's software is a failure, because of vow an error.
const (
	ResultSuccess      = "success"
	ResultFailure      = "failure"
	ResultTimeout      = "timeout"
	ResultCancellation = "cancellation"
	ResultSkip         = "skip"
	ResultError        = "error"
)

// Values of BangOrigin.
const (
	OriginPromise  = "promise"
	OriginProcess  = "process"
	OriginManual   = "manual"
	OriginComputer = "computer"
)

// Values of BangOutcome.
const (
	OutcomeAccepted   = "accepted"
	OutcomeJoined     = "joined"
	OutcomeMuted      = "muted"
	OutcomeFutile     = "futile"
	OutcomeRefused    = "refused"
	OutcomeNotAllowed = "not_allowed"
)

// Values of BangPolicy.
const (
	PolicyTree      = "tree"
	PolicyAncestors = "ancestors"
)

// Values of ConvergenceResult.
const (
	ConvergenceConverged  = "converged"
	ConvergenceSuperseded = "superseded"
	ConvergenceAbandoned  = "abandoned"
)

// Values of StepName, in the order of a run.
const (
	StepRelease   = "release"
	StepPrepare   = "prepare"
	StepProfile   = "profile"
	StepServices  = "services"
	StepPromises  = "promises"
	StepRetention = "retention"
	StepPrerm     = "prerm"
	StepDestroy   = "destroy"
)

// Values of ReleaseStep, in the order of an installation; one of the last three.
const (
	InstallDownload = "download"
	InstallVerify   = "verify"
	InstallUnpack   = "unpack"
	InstallCopy     = "copy"
	InstallBuild    = "build"
)

// Values of CrimeName.
const (
	CrimeSleepless   = "sleepless"
	CrimeLongRun     = "long_run"
	CrimeSensedOften = "sensed_too_often"
	CrimeNeverPassed = "never_passed"
)

// Values of PromiseKind and SensorKind.
const (
	KindPlugin     = "plugin"
	KindExecutable = "executable"
	KindBuiltin    = "builtin"
)

// Values of Verdict.
const (
	VerdictNone   = "none"
	VerdictPassed = "passed"
	VerdictFailed = "failed"
)

// Values of EvaluatedBy.
const (
	EvaluatedByService = "svc-promise"
	EvaluatedByNode    = "svc-node"
)

// Values of ProcessReason.
const (
	ExitCode    = "code"
	ExitSignal  = "signal"
	ExitMemory  = "out_of_memory"
	ExitStart   = "start"
	ExitUnknown = "unknown"
)

// Values of Colour.
const (
	ColourGreen  = "green"
	ColourOrange = "orange"
	ColourRed    = "red"
	ColourNone   = "none"
)

// Values of ColourReason.
const (
	ReasonGood        = "good"
	ReasonFailed      = "failed"
	ReasonStale       = "stale"
	ReasonBang        = "bang"
	ReasonWithheld    = "withheld"
	ReasonNever       = "never_run"
	ReasonUnconfirmed = "unconfirmed"
	ReasonStopped     = "stopped"
	ReasonFree        = "free"
)

// Values of SpoolKind.
const (
	SpoolGroups  = "groups"
	SpoolBangs   = "bangs"
	SpoolReports = "reports"
	SpoolUsage   = "usage"
)

// Attribute declares a key.
type Attribute struct {
	Key     attribute.Key
	Meaning string
	// Type is string, int, double or boolean.
	Type string
	// Unit is empty for what has none.
	Unit string
	// Values are the allowed ones; nil means any.
	Values []string
}

// Attributes lists every declared key.
func Attributes() []Attribute {
	return []Attribute{
		{ComputerID, "The computer, by its reference.", "string", "", nil},
		{PartitionID, "The partition, by its reference on its computer (slappart0).", "string", "", nil},
		{AllocationID, "The allocation: one tenancy of a partition, never reused.", "string", "", nil},
		{TreeID, "The instance tree; a prefix of the ids of its instances, allocations and bangs.", "string", "", nil},
		{InstanceID, "The instance.", "string", "", nil},
		{BangID, "The bang of the story; of several, the newest. Also carried as baggage.", "string", "", nil},
		{ConvergenceID, "The convergence that the bang opened or joined.", "string", "", nil},
		{RunID, "The run, made by the scheduler, or by the node for local runs. Also carried as baggage.", "string", "", nil},
		{ReleaseURL, "The software release, without user and password.", "string", "", nil},
		{PromiseName, "The promise, by its file name.", "string", "", nil},
		{ProcessName, "The supervised process, by its name in its partition.", "string", "", nil},
		{PartName, "The part (section) of the instance profile.", "string", "", nil},
		{BangOrigin, "What noticed.", "string", "", []string{OriginPromise, OriginProcess, OriginManual, OriginComputer}},
		{BangOutcome, "What svc-master decided about the bang.", "string", "", []string{
			OutcomeAccepted, OutcomeJoined, OutcomeMuted, OutcomeFutile, OutcomeRefused, OutcomeNotAllowed,
		}},
		{BangPolicy, "Which partitions the bang makes run.", "string", "", []string{PolicyTree, PolicyAncestors}},
		{BangReason, "Why the bang was withheld, in words.", "string", "", nil},
		{BangTargets, "Partitions that the bang makes run.", "int", "{partition}", nil},
		{BangFolds, "Bangs that one run answers beyond the first.", "int", "{bang}", nil},
		{ConvergenceResult, "How the convergence ended.", "string", "", []string{
			ConvergenceConverged, ConvergenceSuperseded, ConvergenceAbandoned,
		}},
		{RunCause, "Why the run was scheduled.", "string", "", []string{
			CauseManual, CauseBang, CauseChanged, CauseBoot, CauseRetry, CausePeriodicity,
		}},
		{RunResult, "How the run or step ended: failure is the user's software, error is vow.", "string", "", []string{
			ResultSuccess, ResultFailure, ResultTimeout, ResultCancellation, ResultSkip, ResultError,
		}},
		{RunAttempt, "Attempts since the last success, from 1.", "int", "{attempt}", nil},
		{RunChanged, "Whether the run changed anything.", "boolean", "", nil},
		{RunLocal, "Whether the node ran without an order.", "boolean", "", nil},
		{Epoch, "The epoch of the tree's shard; a newer one wins over any generation.", "int", "", nil},
		{Generation, "The generation of the tree that the run settles.", "int", "", nil},
		{StepName, "The step of a run.", "string", "", []string{
			StepRelease, StepPrepare, StepProfile, StepServices, StepPromises, StepRetention, StepPrerm, StepDestroy,
		}},
		{CrimeName, "Which monitoring crime (docs/promise-service.md).", "string", "", []string{
			CrimeSleepless, CrimeLongRun, CrimeSensedOften, CrimeNeverPassed,
		}},
		{PromiseKind, "How the promise is written.", "string", "", []string{KindPlugin, KindExecutable, KindBuiltin}},
		{Verdict, "What the test or anomaly detector said; a failed promise is a result, not an error.", "string", "", []string{
			VerdictNone, VerdictPassed, VerdictFailed,
		}},
		{EvaluatedBy, "Who evaluated the promises of a run.", "string", "", []string{EvaluatedByService, EvaluatedByNode}},
		{SensorKind, "What the sensor is.", "string", "", []string{KindPlugin, KindExecutable, KindBuiltin}},
		{ProcessReason, "How a process that nobody stopped ended: out_of_memory beyond its own limit, start if it could not be started, unknown for an adopted one.", "string", "", []string{
			ExitCode, ExitSignal, ExitMemory, ExitStart, ExitUnknown,
		}},
		{Colour, "The colour of a computer, partition or tree.", "string", "", []string{
			ColourGreen, ColourOrange, ColourRed, ColourNone,
		}},
		{ColourReason, "Why a partition has its colour.", "string", "", []string{
			ReasonGood, ReasonFailed, ReasonStale, ReasonBang, ReasonWithheld, ReasonNever, ReasonUnconfirmed, ReasonStopped, ReasonFree,
		}},
		{FeedFollower, "Who follows the feed.", "string", "", nil},
		{FeedPosition, "Position in a shard's feed: a stream id.", "string", "", nil},
		{SpoolKind, "What the node's spool holds.", "string", "", []string{SpoolGroups, SpoolBangs, SpoolReports, SpoolUsage}},
		{LimitName, "The name of the limit that was hit.", "string", "", nil},
		{ReleaseState, "State of a software release on a computer.", "string", "", nil},
		{ReleaseStep, "The step of the installation of a software release.", "string", "", []string{InstallDownload, InstallVerify, InstallUnpack, InstallCopy, InstallBuild}},
		{ReleaseBytes, "Bytes that a step of an installation was done with.", "int", "By", nil},
		{ErrorType, "The class of an error (OpenTelemetry); absent or empty on success.", "string", "", nil},
		{EventName, "The name of the event a log record is (OpenTelemetry).", "string", "", nil},
		{ProcessPID, "Process id (OpenTelemetry).", "int", "", nil},
		{ProcessExit, "Exit code (OpenTelemetry).", "int", "", nil},
		{ExecutableName, "Name of the executed file (OpenTelemetry).", "string", "", nil},
	}
}
