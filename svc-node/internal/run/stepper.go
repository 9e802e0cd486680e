package run

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/recipe"
)

const errorStatus = codes.Error

type instruments struct {
	duration, delay, step conv.Duration
	active                conv.UpDownCounter
}

func newInstruments(m metric.Meter) instruments {
	return instruments{
		duration: conv.RunDuration.New(m), delay: conv.RunDelay.New(m), step: conv.StepDuration.New(m), active: conv.RunActive.New(m),
	}
}

// problem is how a step fails other than by the user's software or profile.
type problem struct {
	result    converge.Result
	errorType string
	err       error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

// internal marks an error of vow itself.
func internal(err error) error {
	if err == nil {
		return nil
	}
	return &problem{result: converge.Error, errorType: converge.TypeInternal, err: err}
}

// step carries out one step: it is timed, traced, counted and logged here and nowhere else.
func (e *Engine) step(ctx context.Context, w *work, stage converge.Stage) converge.StepEnded {
	attrs := []attribute.KeyValue{conv.StepName.String(stage.String())}
	if stage == converge.AtRelease {
		attrs = append(attrs, conv.ReleaseURL.String(telemetry.Redacted(w.desired.GetSoftwareRelease())))
	}
	stepCtx, span := e.tracer.Start(ctx, conv.StepSpan(stage.String()), trace.WithAttributes(attrs...))
	defer span.End()
	began := time.Now()
	changed, kept, err := e.do(stepCtx, w, stage)
	ended := classify(ctx, stage, err)
	ended.Changed, ended.Kept = changed, kept

	took := time.Since(began)
	result := conv.RunResult.String(ended.Result.String())
	span.SetAttributes(result)
	if ended.ErrorType != "" {
		span.SetAttributes(conv.ErrorType.String(ended.ErrorType))
	}
	if ended.Result == converge.Error {
		span.SetStatus(errorStatus, ended.Error)
	}
	e.metrics.step.Record(stepCtx, took, attrs[0], result)
	if err != nil {
		e.s.Telemetry.Log.InfoContext(stepCtx, "a step did not succeed", "partition", w.run.Partition, "step", stage.String(),
			"result", ended.Result.String(), "error", lastBytes(ended.Error, 1000))
	}
	w.steps = append(w.steps, &masterv1.StepReport{
		Name: stage.String(), OffsetSeconds: max(0, began.Sub(w.began).Seconds()), DurationSeconds: took.Seconds(),
		Result: typev1.RunResult(ended.Result),
	})
	return ended
}

func (e *Engine) do(ctx context.Context, w *work, stage converge.Stage) (changed, kept bool, err error) {
	switch stage {
	case converge.AtRetention:
		kept, err = e.retentionStep(ctx, w)
		return false, kept, err
	case converge.Beginning, converge.Reporting:
		return false, false, internal(errors.New("cannot carry out step " + stage.String()))
	case converge.AtRelease, converge.AtPrepare, converge.AtProfile, converge.AtServices, converge.AtPromises, converge.AtPrerm, converge.AtDestroy:
	}
	changed, err = e.steps()[stage](ctx, w)
	return changed, false, err
}

// steps are what is done at each stage but retention, which may end the run.
func (e *Engine) steps() map[converge.Stage]func(context.Context, *work) (changed bool, err error) {
	return map[converge.Stage]func(context.Context, *work) (bool, error){
		converge.AtRelease: e.releaseStep, converge.AtPrepare: e.prepareStep, converge.AtProfile: e.profileStep,
		converge.AtServices: e.servicesStep, converge.AtPromises: e.promisesStep, converge.AtPrerm: e.prermStep, converge.AtDestroy: e.destroyStep,
	}
}

// classify tells what kind of end an error is. Without a mark it is the user's software, in the step's own class.
func classify(ctx context.Context, stage converge.Stage, err error) converge.StepEnded {
	ended := converge.StepEnded{Stage: stage, Result: converge.Success}
	if err == nil {
		return ended
	}
	ended.Error = err.Error()
	var p *problem
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		ended.Result, ended.ErrorType = converge.Timeout, converge.TypeTimeout
		ended.Error = "cannot finish the run in time, step " + stage.String() + ": " + ended.Error
	case errors.As(err, &p):
		ended.Result, ended.ErrorType = p.result, p.errorType
	case errors.Is(err, recipe.ErrNotAvailable):
		ended.Result, ended.ErrorType = converge.Failure, converge.TypeNotAvailable
	case stage == converge.AtPromises:
		ended.Result, ended.ErrorType = converge.Failure, converge.TypePromise
	default:
		ended.Result, ended.ErrorType = converge.Failure, stage.String()
	}
	return ended
}

// lastBytes returns the end of s, at most n bytes, as valid UTF-8.
func lastBytes(s string, n int) string {
	if len(s) > n {
		s = s[len(s)-n:]
	}
	return strings.ToValidUTF8(s, "")
}
