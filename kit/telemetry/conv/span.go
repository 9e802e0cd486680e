package conv

import "go.opentelemetry.io/otel/attribute"

// Span names of the bang story. They are `{verb} {noun}` or one word, never ids.
const (
	SpanAnomaly         = "anomaly"
	SpanExit            = "exit"
	SpanBang            = "bang"
	SpanFanOut          = "fan out"
	SpanOrderRun        = "order run"
	SpanRun             = "run"
	SpanBeginRun        = "begin run"
	SpanEvaluatePromise = "evaluate promise"
	SpanReportRun       = "report run"
	SpanConverge        = "converge"
	SpanSense           = "sense promise"
	SpanInstall         = "install release"

	spanStep = "step "
	spanPart = "part "
	spanExec = "exec "

	spanInstalled = " software"
)

// StepSpan names the span of a step; name is one of the Step values.
func StepSpan(name string) string { return spanStep + name }

// InstallSpan names the span of a step of an installation; step is one of the Install values.
func InstallSpan(step string) string { return step + spanInstalled }

// PartSpan names the span of a part of the instance profile: the section's name, which the profile bounds.
func PartSpan(name string) string { return spanPart + name }

// ExecSpan names the span of a one-shot child process; command is the executable's base name, without arguments.
func ExecSpan(command string) string { return spanExec + command }

// Span declares a span.
type Span struct {
	// Name; {x} stands for a part given by StepSpan, PartSpan or ExecSpan.
	Name    string
	Service string
	Meaning string
	// Parent is the name of the usual parent; in prompt stories the whole is one trace.
	Parent     string
	Attributes []attribute.Key
}

// Spans lists every declared span, in the order of the bang story.
func Spans() []Span {
	return []Span{
		{SpanSense, "svc-node", "A sensor was executed by its promise's own periodicity; in a run it is `exec {command}`.", "", []attribute.Key{PartitionID, PromiseName, SensorKind, Verdict, ErrorType}},
		{SpanAnomaly, "svc-promise", "An anomaly detector turned red.", "", []attribute.Key{ComputerID, PartitionID, AllocationID, PromiseName, BangOrigin}},
		{SpanExit, "svc-node", "A supervised service process exited and nobody asked for it.", "", []attribute.Key{PartitionID, AllocationID, ProcessName, ProcessPID, ProcessReason, ProcessExit, BangOrigin}},
		{SpanBang, "svc-master", "Quota, record, generation, feed position.", SpanAnomaly, []attribute.Key{
			TreeID, BangID, BangOrigin, BangOutcome, BangPolicy, BangReason, ConvergenceID, Generation, Epoch, FeedPosition, PromiseName, ProcessName, PartitionID,
		}},
		{SpanFanOut, "svc-scheduler", "A bang was expanded into its targets.", SpanBang, []attribute.Key{TreeID, BangID, BangTargets, BangFolds}},
		{SpanOrderRun, "svc-scheduler", "One target, from due to handed over.", SpanFanOut, []attribute.Key{ComputerID, PartitionID, AllocationID, RunID, BangID, RunCause, RunAttempt, BangFolds}},
		{SpanRun, "svc-node", "One processing of one partition.", SpanOrderRun, []attribute.Key{
			ComputerID, PartitionID, AllocationID, InstanceID, TreeID, RunID, BangID, RunCause, RunAttempt, RunResult, RunChanged, RunLocal, Generation, Epoch, ErrorType,
		}},
		{SpanBeginRun, "svc-master", "The run token was raised and the desired state handed out.", SpanRun, []attribute.Key{RunID, BangID, AllocationID, Generation, Epoch}},
		{spanStep + "{name}", "svc-node", "A step of a run.", SpanRun, []attribute.Key{StepName, RunID, BangID, RunResult, ReleaseURL, ErrorType}},
		{spanPart + "{name}", "svc-node", "A part of the instance profile was installed, updated or removed.", spanStep + StepProfile, []attribute.Key{PartName, RunID, BangID, ErrorType}},
		{spanExec + "{command}", "svc-node", "A one-shot child process, such as the sensor of a promise; it gets TRACEPARENT.", spanStep + "{name}", []attribute.Key{ExecutableName, ProcessPID, ProcessExit, Verdict, RunID, BangID, ErrorType}},
		{SpanEvaluatePromise, "svc-promise", "One promise of a run was tested.", SpanRun, []attribute.Key{PromiseName, PromiseKind, Verdict, EvaluatedBy, RunID, BangID}},
		{SpanReportRun, "svc-master", "The report settled its generation, or was refused.", SpanRun, []attribute.Key{RunID, BangID, AllocationID, RunResult, Generation, Epoch, ErrorType}},
		{SpanConverge, "svc-master", "From the bang until the last partition settled.", SpanBang, []attribute.Key{TreeID, BangID, ConvergenceID, ConvergenceResult, BangOrigin, BangTargets}},
		{SpanInstall, "svc-node", "One attempt to install a software release; a trace of its own.", "", []attribute.Key{ComputerID, ReleaseURL, RunAttempt, RunResult, ErrorType}},
		{"{step}" + spanInstalled, "svc-node", "A step of an installation.", SpanInstall, []attribute.Key{ReleaseStep, ReleaseBytes, RunResult, ErrorType}},
	}
}
