package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/schema"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/release"
)

const (
	// progressEvery is how often svc-master hears of progress at most; a long installation tells less often, each
	// progressShare-th of its time.
	progressEvery = time.Second
	progressShare = 20
	// maxReleaseError is how much of an installation's error is reported, in bytes; errorHead is how much of its beginning.
	maxReleaseError = 4096
	errorHead       = 1024

	limitSpace = "release free space"
	// noSchema is the digest of a release that ships no schema.
	noSchema = "none"
	// errorType is the class of an installation that failed.
	errorType = "release"
)

type installInstruments struct {
	tracer      trace.Tracer
	whole, step conv.Duration
	limits      conv.Counter
}

func newInstallInstruments(t *telemetry.Telemetry) installInstruments {
	const scope = "svc-node/internal/agent"
	m := t.Meter(scope)
	return installInstruments{t.Tracer(scope), conv.InstallDuration.New(m), conv.InstallStepDuration.New(m), conv.LimitHits.New(m)}
}

// installation is one attempt to install a release. It is the observer of its steps: each is traced and timed here.
type installation struct {
	w          *software
	url, shown string
	u          supply
	began      time.Time

	mu          sync.Mutex // guards what follows
	step        release.Step
	done, total int64
}

func (w *software) newInstallation(url string, u supply) *installation {
	return &installation{w: w, url: url, shown: telemetry.Redacted(url), u: u, began: time.Now()}
}

// run installs it, traces it, and tells svc-master of its progress meanwhile.
func (i *installation) run(ctx context.Context) error {
	t := i.w.s.Telemetry
	ctx, span := i.w.instruments.tracer.Start(ctx, conv.SpanInstall, trace.WithNewRoot(), trace.WithAttributes(
		conv.ComputerID.String(i.w.s.Computer), conv.ReleaseURL.String(i.shown), conv.RunAttempt.Int(i.u.failures+1)))
	defer span.End()
	// Whether svc-master hears that it is being built changes nothing: it is built.
	_ = i.tell(ctx, false)
	telling, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		i.tellAll(telling)
	}()
	err := i.w.s.Releases.Install(ctx, i.url, i)
	stop()
	<-told // a later report must not be overtaken by one of these

	result, class := conv.ResultSuccess, ""
	if err != nil {
		result, class = conv.ResultFailure, errorType
		if ctx.Err() != nil {
			result, class = conv.ResultCancellation, ""
		}
		i.countLimit(ctx, err)
		t.Log.WarnContext(ctx, "a software release is not installed", "release", i.shown, "attempt", i.u.failures+1, "error", ends(err.Error(), errorHead))
	} else {
		t.Log.InfoContext(ctx, "a software release is installed", "release", i.shown, "seconds", time.Since(i.began).Seconds())
	}
	labels := []attribute.KeyValue{conv.RunResult.String(result), conv.ErrorType.String(class)}
	span.SetAttributes(labels...)
	i.w.instruments.whole.Record(ctx, time.Since(i.began), labels...)
	return err
}

// countLimit counts a limit that ended it.
func (i *installation) countLimit(ctx context.Context, err error) {
	var limit *release.LimitError
	switch {
	case errors.As(err, &limit):
		i.w.instruments.limits.Add(ctx, 1, conv.LimitName.String(limit.Limit))
	case errors.As(err, new(*release.SpaceError)):
		i.w.instruments.limits.Add(ctx, 1, conv.LimitName.String(limitSpace))
	}
}

// Begin begins a step.
func (i *installation) Begin(ctx context.Context, step release.Step) (context.Context, func(error)) {
	i.mu.Lock()
	i.step, i.done, i.total = step, 0, 0
	i.mu.Unlock()
	attr := conv.ReleaseStep.String(string(step))
	ctx, span := i.w.instruments.tracer.Start(ctx, conv.InstallSpan(string(step)), trace.WithAttributes(attr))
	began := time.Now()
	return ctx, func(err error) {
		result := conv.ResultSuccess
		if err != nil {
			result = conv.ResultFailure
			span.SetAttributes(conv.ErrorType.String(errorType))
		}
		span.SetAttributes(conv.RunResult.String(result), conv.ReleaseBytes.Int64(int64(i.progress().GetDoneBytes()))) //nolint:gosec // a file's size
		span.End()
		i.w.instruments.step.Record(ctx, time.Since(began), attr, conv.RunResult.String(result))
	}
}

// Progress notes how far the step is.
func (i *installation) Progress(done, total int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done, i.total = done, total
}

// progress is how far it is.
func (i *installation) progress() *masterv1.InstallProgress {
	i.mu.Lock()
	defer i.mu.Unlock()
	return &masterv1.InstallProgress{
		Step: string(i.step), DoneBytes: uint64(max(0, i.done)), TotalBytes: uint64(max(0, i.total)), Attempt: uint32(i.u.failures + 1), //nolint:gosec // not negative
	}
}

// tellAll tells svc-master of progress until ctx ends.
func (i *installation) tellAll(ctx context.Context) {
	timer := time.NewTimer(progressEvery)
	defer timer.Stop()
	last := i.progress()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if now := i.progress(); !proto.Equal(now, last) {
			last = now
			_ = i.tell(ctx, true) // the next one tells more
		}
		timer.Reset(max(progressEvery, time.Since(i.began)/progressShare))
	}
}

func (i *installation) tell(ctx context.Context, again bool) error {
	return i.w.report(ctx, i.url, masterv1.SoftwareState_SOFTWARE_STATE_BUILDING, again, func(r *masterv1.ReportSoftwareStateRequest) {
		r.Error, r.Progress = ends(i.u.err, maxReleaseError), i.progress()
	})
}

// report tells svc-master the state of a release; again says that it knows the state and hears more of it.
func (w *software) report(ctx context.Context, url string, state masterv1.SoftwareState, again bool, more func(*masterv1.ReportSoftwareStateRequest)) error {
	ctx, cancel := context.WithTimeout(ctx, softwareTimeout)
	defer cancel()
	r := &masterv1.ReportSoftwareStateRequest{SoftwareRelease: url, Computer: w.s.Computer, State: state}
	if more != nil {
		more(r)
	}
	answer, err := w.s.Master.ReportSoftwareState(ctx, r)
	if err == nil && answer.GetSchemaWanted() {
		r.Schema = schemaOf(w.s.Releases.Options(url).Schema)
		_, err = w.s.Master.ReportSoftwareState(ctx, r)
	}
	shown := telemetry.Redacted(url)
	if err != nil {
		w.s.Telemetry.Log.DebugContext(ctx, "svc-master does not know the state of a software release", "release", shown, "state", state.String(), "error", err)
		return err
	}
	w.mu.Lock()
	if s := w.supplied[url]; s != nil {
		s.reported = state
	}
	w.mu.Unlock()
	if !again {
		w.s.Telemetry.Event(ctx, conv.EventReleaseState, conv.ComputerID.String(w.s.Computer), conv.ReleaseURL.String(shown),
			conv.ReleaseState.String(strings.ToLower(strings.TrimPrefix(state.String(), "SOFTWARE_STATE_"))))
	}
	return nil
}

// ends is a text of at most n bytes, more than errorHead: its beginning says what failed, its end why.
func ends(text string, n int) string {
	const gap = "\n…\n"
	if len(text) > n {
		text = text[:errorHead/2] + gap + text[len(text)-(n-errorHead/2-len(gap)):]
	}
	return strings.ToValidUTF8(text, "")
}

// digestOf names the schema of a release.
func digestOf(files []schema.File) string {
	if len(files) == 0 {
		return noSchema
	}
	return schema.Digest(files)
}

func schemaOf(files []schema.File) *masterv1.ReleaseSchema {
	all := &masterv1.ReleaseSchema{}
	for _, f := range files {
		all.Files = append(all.Files, &masterv1.SchemaFile{Path: f.Path, Content: f.Content})
	}
	return all
}

func optionsOf(o release.Options) *masterv1.ReleaseOptions {
	options := &masterv1.ReleaseOptions{Error: cut(o.Error, maxReleaseError)}
	if o.Periodicity > 0 {
		options.Periodicity = durationpb.New(o.Periodicity)
	}
	if o.HasQuota {
		options.BangQuota = &o.BangQuota
	}
	switch o.Policy {
	case release.PolicyTree:
		options.BangPolicy = masterv1.BangPolicy_BANG_POLICY_TREE
	case release.PolicyAncestors:
		options.BangPolicy = masterv1.BangPolicy_BANG_POLICY_ANCESTORS
	}
	return options
}
