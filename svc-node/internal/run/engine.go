package run

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// How long the engine waits for svc-master.
const (
	// callTimeout bounds one call; svc-master answers within milliseconds.
	callTimeout = 2 * time.Second
	// beginPatience is how long BeginRun is tried: as long as svc-scheduler waits before it hands the order over again.
	beginPatience = 5 * time.Second
	// reportPatience is how long a report is tried before it is spooled: the slot is free again soon, and a restart of
	// svc-master is outlived.
	reportPatience = 3 * time.Second
	// stopping bounds the stopping of services: SlapOS's supervisord gives a process 60 s.
	stopping = 2 * time.Minute
	// MaxError is how much of an error is reported: the last bytes.
	MaxError = 16 << 10
)

// Engine carries out runs. Several may be in progress, one of each partition.
type Engine struct {
	s       Settings
	tracer  trace.Tracer
	metrics instruments
	answers *answers
	ports   ports
}

// New makes an engine.
func New(s Settings) *Engine {
	const scope = "svc-node/internal/run"
	return &Engine{s: s, tracer: s.Telemetry.Tracer(scope), metrics: newInstruments(s.Telemetry.Meter(scope)), answers: newAnswers()}
}

// work is what the steps of one run share.
type work struct {
	run       converge.Handle
	desired   *masterv1.DesiredPartition
	token     uint64
	directory partition.Directory
	release   string
	started   time.Time // of the newest service
	tested    Tested
	steps     []*masterv1.StepReport
	began     time.Time
	span      trace.SpanContext
	requested *masterv1.RequestedByRun // instances so far; told once the profile was carried out whole
	whole     bool
	retained  time.Time // until when the content of a destroyed instance is kept; zero = it is not
}

// Run carries out a run; want is the last known desired state. It returns when the run is reported or spooled, or could
// not begin. The text is the run's error in full.
func (e *Engine) Run(ctx context.Context, run converge.Handle, want *masterv1.DesiredPartition) (ended converge.Ended, text string) {
	ended = converge.Ended{Partition: run.Partition, RunID: run.RunID}
	ctx, span := e.start(ctx, run)
	defer span.End()
	directory, err := e.s.Root.Directory(run.Partition)
	if err != nil {
		e.s.Telemetry.Log.ErrorContext(ctx, "cannot run a partition", "error", err)
		ended.Outcome = converge.Refused
		return ended, err.Error()
	}
	lock, err := partition.TryLock(e.s.Locks, run.Partition)
	if err != nil {
		e.s.Telemetry.Log.WarnContext(ctx, "cannot run a partition", "partition", run.Partition, "error", err)
		span.SetAttributes(conv.RunResult.String(conv.ResultSkip))
		ended.Outcome = converge.Locked
		return ended, err.Error()
	}
	defer lock.Unlock()
	e.metrics.active.Add(ctx, 1)
	defer e.metrics.active.Add(ctx, -1)

	w := &work{run: run, desired: want, directory: directory, span: span.SpanContext(), token: run.LastToken}
	if !run.Local {
		answer, err := e.begin(ctx, run)
		if err != nil {
			e.s.Telemetry.Log.InfoContext(ctx, "a run did not begin", "partition", run.Partition, "error", err)
			span.SetAttributes(conv.RunResult.String(conv.ResultSkip), conv.ErrorType.String(peer.Code(err)))
			ended.Outcome = converge.Unbegun
			if peer.Refused(err) {
				ended.Outcome = converge.Refused
			}
			return ended, err.Error()
		}
		w.token = answer.GetToken()
		ended.Token = w.token
		if d := answer.GetDesired(); d != nil && !newer(want, d) {
			w.desired = d
			e.s.Learned(d)
		}
		span.SetAttributes(conv.Generation.Int64(int64(answer.GetWanted().GetNumber())), conv.Epoch.Int64(int64(answer.GetWanted().GetEpoch())))
	}
	w.began = time.Now()
	e.metrics.delay.Record(ctx, max(0, w.began.Sub(run.DueAt)), conv.RunCause.String(run.Cause.String()))
	span.SetAttributes(conv.InstanceID.String(w.desired.GetInstanceId()), conv.TreeID.String(w.desired.GetTreeId()))
	e.s.Telemetry.Event(ctx, conv.EventRunStarted, conv.ComputerID.String(e.s.Computer), conv.PartitionID.String(run.Partition),
		conv.RunID.String(run.RunID), conv.RunCause.String(run.Cause.String()), conv.RunAttempt.Int64(int64(run.Attempt)))

	done := e.carry(ctx, w)
	if ctx.Err() != nil {
		// The agent stops. The next BeginRun supersedes this run.
		span.SetAttributes(conv.RunResult.String(conv.ResultCancellation))
		ended.Outcome = converge.Unbegun
		return ended, "cannot finish the run: the agent stops"
	}
	e.keepError(ctx, w, done)
	e.report(ctx, w, done)
	e.finished(ctx, span, w, done)
	ended.Outcome, ended.Result, ended.ErrorType = converge.Done, done.Result, done.ErrorType
	ended.RetainedUntil = w.retained
	return ended, done.Error
}

// newer tells whether a is a newer desired state of the same allocation than b.
func newer(a, b *masterv1.DesiredPartition) bool {
	return a.GetAllocationId() == b.GetAllocationId() && generation(b).Less(generation(a))
}

func generation(d *masterv1.DesiredPartition) converge.Generation {
	return converge.Generation{Epoch: d.GetGeneration().GetEpoch(), Number: d.GetGeneration().GetNumber()}
}

// begin asks svc-master for the run, again and again within beginPatience.
func (e *Engine) begin(ctx context.Context, run converge.Handle) (*masterv1.BeginRunResponse, error) {
	request := &masterv1.BeginRunRequest{
		Computer: e.s.Computer, Partition: run.Partition, AllocationId: run.AllocationID, RunId: run.RunID,
		Cause: typev1.Cause(run.Cause), Attempt: run.Attempt,
		DueAt: wellknown.Timestamp(run.DueAt), OrderedAt: wellknown.Timestamp(run.OrderedAt),
	}
	var answer *masterv1.BeginRunResponse
	err := patiently(ctx, run.RunID, beginPatience, func(ctx context.Context) (err error) {
		answer, err = e.s.Master.BeginRun(ctx, request)
		return err
	})
	return answer, err
}

// carry does the steps, in the order of the core, within the time-out of a run.
func (e *Engine) carry(ctx context.Context, w *work) converge.Run {
	timed, cancel := context.WithTimeout(ctx, e.s.Timeout)
	defer cancel()
	r, _ := converge.Run{}.Step(converge.StepEnded{
		Stage: converge.Beginning, Result: converge.Success, Requested: converge.Requested(w.desired.GetState()),
	})
	for r.Stage != converge.Reporting && ctx.Err() == nil {
		within := timed
		if r.Requested == converge.Stopped && r.Stage == converge.AtServices {
			// What is to be stopped is stopped, also when the profile took all of the time.
			var done context.CancelFunc
			within, done = context.WithTimeout(ctx, stopping)
			defer done()
		}
		r, _ = r.Step(e.step(within, w, r.Stage))
	}
	return r
}

// report sends the report, or spools it.
func (e *Engine) report(ctx context.Context, w *work, done converge.Run) {
	r := &masterv1.ReportRunRequest{
		Computer: e.s.Computer, Partition: w.run.Partition, AllocationId: w.run.AllocationID, RunId: w.run.RunID,
		Token: w.token, Result: typev1.RunResult(done.Result), Error: lastBytes(done.Error, MaxError), ErrorType: done.ErrorType,
		Changed: done.Changed, Verdicts: w.tested.Verdicts, EvaluatedLocally: w.tested.Locally, Steps: w.steps,
		DurationSeconds: time.Since(w.began).Seconds(), Cause: typev1.Cause(w.run.Cause), RetainedUntil: wellknown.Timestamp(w.retained),
		Problems: e.s.Problems(w.run.Partition),
	}
	if w.whole {
		r.Requested = w.requested
	}
	var err error
	if w.run.Local {
		r.Local = &masterv1.LocalRun{BootId: e.s.BootID, Sequence: w.run.Sequence}
	} else {
		err = patiently(ctx, w.run.RunID, reportPatience, func(ctx context.Context) error {
			_, err := e.s.Master.ReportRun(ctx, r)
			return err
		})
		if err == nil {
			return
		}
		if peer.Refused(err) {
			e.s.Telemetry.Log.WarnContext(ctx, "svc-master refused a report", "partition", w.run.Partition, "error", err)
			return
		}
	}
	carrier := telemetry.Inject(ctx)
	spooled := &storev1.NodeReport{
		Report:    r,
		Trace:     &typev1.TraceContext{Traceparent: carrier.Traceparent, Tracestate: carrier.Tracestate, Baggage: carrier.Baggage},
		SpooledAt: timestamppb.Now(),
	}
	if spoolErr := e.s.Spool(spooled); spoolErr != nil {
		e.s.Telemetry.Log.ErrorContext(ctx, "a report is lost", "partition", w.run.Partition, "error", errors.Join(err, spoolErr))
	}
}

// patiently calls fn until it succeeds, is refused, or patience is over.
func patiently(ctx context.Context, id string, patience time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		call, done := context.WithTimeout(ctx, callTimeout)
		err := fn(call)
		done()
		if err == nil || peer.Refused(err) {
			return err
		}
		if wait.For(ctx, backoff.Delay(attempt, id, 50*time.Millisecond, time.Second)) != nil {
			return err
		}
	}
}

// start begins the span of the run: a child of the order when there is one cause, fresh; else a root with links up.
func (e *Engine) start(ctx context.Context, run converge.Handle) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithAttributes(
		conv.RunCause.String(run.Cause.String()),
		conv.ComputerID.String(e.s.Computer), conv.PartitionID.String(run.Partition), conv.AllocationID.String(run.AllocationID),
		conv.RunAttempt.Int64(int64(run.Attempt)), conv.RunLocal.Bool(run.Local),
	)}
	ctx = telemetry.NewRootContext(ctx)
	order := telemetry.Carrier(run.Trace)
	if run.Parented && !run.Local {
		ctx = telemetry.Extract(ctx, order)
	} else {
		causes := make([]telemetry.Carrier, 0, len(run.Bangs)+1)
		for i := len(run.Bangs) - 1; i >= 0; i-- { // oldest first: Links keeps the newest
			causes = append(causes, telemetry.Carrier(run.Bangs[i].Trace))
		}
		causes = append(causes, order)
		options = append(options, trace.WithNewRoot(), trace.WithLinks(telemetry.Links(causes...)...))
	}
	if len(run.Bangs) > 0 {
		ctx = telemetry.WithBang(ctx, run.Bangs[0].BangID)
	}
	ctx = telemetry.WithRun(ctx, run.RunID)
	return e.tracer.Start(ctx, conv.SpanRun, options...)
}

// finished tells how the run ended.
func (e *Engine) finished(ctx context.Context, span trace.Span, w *work, done converge.Run) {
	result := conv.RunResult.String(done.Result.String())
	span.SetAttributes(result, conv.RunChanged.Bool(done.Changed))
	attrs := []attribute.KeyValue{
		conv.ComputerID.String(e.s.Computer), conv.PartitionID.String(w.run.Partition), conv.RunID.String(w.run.RunID),
		conv.RunCause.String(w.run.Cause.String()), result, conv.RunChanged.Bool(done.Changed),
	}
	if done.ErrorType != "" {
		span.SetAttributes(conv.ErrorType.String(done.ErrorType))
		attrs = append(attrs, conv.ErrorType.String(done.ErrorType))
	}
	if done.Result == converge.Error {
		span.SetStatus(errorStatus, done.Error)
	}
	e.metrics.duration.Record(ctx, time.Since(w.began), conv.RunCause.String(w.run.Cause.String()), result, conv.ErrorType.String(done.ErrorType))
	e.s.Telemetry.Event(ctx, conv.EventRunFinished, attrs...)
}
