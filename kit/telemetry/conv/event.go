package conv

import "go.opentelemetry.io/otel/attribute"

// Event names: log records about state changes. telemetry.Event emits them.
const (
	EventBangAccepted      = "vow.bang.accepted"
	EventBangWithheld      = "vow.bang.withheld"
	EventConvergenceOpened = "vow.convergence.opened"
	EventConvergenceClosed = "vow.convergence.closed"
	EventRunStarted        = "vow.run.started"
	EventRunFinished       = "vow.run.finished"
	EventPromiseVerdict    = "vow.promise.verdict_changed"
	EventProcessExited     = "vow.process.exited"
	EventReleaseState      = "vow.release.state_changed"
	EventOrdersLost        = "vow.orders.lost"
	EventLimitHit          = "vow.limit.hit"
)

// Event declares an event.
type Event struct {
	Name       string
	Meaning    string
	Attributes []attribute.Key
}

// Events lists every declared event.
func Events() []Event {
	return []Event{
		{EventBangAccepted, "A bang was recorded and its tree runs.", []attribute.Key{TreeID, BangID, BangOrigin, BangOutcome, ConvergenceID, Generation}},
		{EventBangWithheld, "A bang was muted, futile, refused or not allowed; the partition is Red all the same.", []attribute.Key{TreeID, PartitionID, BangOrigin, BangOutcome, BangReason}},
		{EventConvergenceOpened, "A convergence began.", []attribute.Key{TreeID, ConvergenceID, BangID}},
		{EventConvergenceClosed, "A convergence ended.", []attribute.Key{TreeID, ConvergenceID, BangID, ConvergenceResult}},
		{EventRunStarted, "A partition's run began.", []attribute.Key{ComputerID, PartitionID, RunID, RunCause, RunAttempt}},
		{EventRunFinished, "A partition's run ended.", []attribute.Key{ComputerID, PartitionID, RunID, RunCause, RunResult, RunChanged, ErrorType}},
		{EventPromiseVerdict, "A promise's verdict changed.", []attribute.Key{ComputerID, PartitionID, PromiseName, Verdict}},
		{EventProcessExited, "A supervised process exited and nobody asked for it.", []attribute.Key{PartitionID, ProcessName, ProcessPID, ProcessReason, ProcessExit}},
		{EventReleaseState, "A software release changed state on a computer.", []attribute.Key{ComputerID, ReleaseURL, ReleaseState}},
		{EventOrdersLost, "A node's stream of orders ended; its partitions get no orders until it is back.", []attribute.Key{ComputerID, ErrorType}},
		{EventLimitHit, "A named limit was hit.", []attribute.Key{LimitName}},
	}
}
