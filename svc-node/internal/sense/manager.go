package sense

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/senselog"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/statusfile"
)

// Sensor executes one promise's sensor. The group's entries, value, windows and error are its answer; name, sequence,
// times, kind and run are filled in by the Manager. One that also has Senses is asked which kinds it senses: promises of
// other kinds are none.
type Sensor = sensor.Sensor

// Evaluator decides on the groups of one promise, oldest first, as svc-promise would.
type Evaluator interface {
	Evaluate(promise string, groups []*typev1.SenseGroup) *typev1.Verdict
}

// Settings is what a Manager works with.
type Settings struct {
	Computer, BootID string
	// Slots is how many sensors are executed at once: the number of CPUs.
	Slots     int
	Sensor    Sensor
	Evaluator Evaluator
	Promise   peer.Promise
	Log       *senselog.Log
	Telemetry *telemetry.Telemetry
	// Mutes is the file that keeps which promises are muted; empty = they are not kept.
	Mutes string
	// Delay is how long a group of a passing promise may wait for others before it is sent; Batch how many go in one
	// message.
	Delay time.Duration
	Batch int
	// Runs tells what is known of a partition's runs.
	Runs func(partition string) (runs *promisev1.PartitionRuns, known bool)
	// Bang takes the bang of an anomaly that the node found itself.
	Bang func(ctx context.Context, partition string, bang *masterv1.BangRequest)
}

// Manager senses the promises of all partitions.
type Manager struct {
	s        Settings
	tracer   trace.Tracer
	duration conv.Duration
	limits   conv.Counter
	budget   chan struct{}
	wake     chan struct{}

	mu      sync.Mutex // never held while anything waits, but for a write of the log
	watched map[string]*watch
	due     schedule
	outbox  outbox
	banged  map[verdictKey]string
	mutes   mutes
	traits  map[traitsKey]sensor.Traits
	unfiled map[string]bool // partitions whose status files cannot be written

	files *statusfile.Writer
}

// watch is a partition whose promises are sensed.
type watch struct {
	directory    partition.Directory
	allocationID string
	promises     []sensor.Promise
	verdicts     map[string]bool // failed, by promise; absent = none yet
}

type verdictKey struct{ allocationID, promise string }

// New makes a manager; Run starts it.
func New(s Settings) *Manager {
	const scope = "svc-node/internal/sense"
	meter := s.Telemetry.Meter(scope)
	muted, err := loadMutes(s.Mutes)
	if err != nil {
		s.Telemetry.Log.Error("svc-promise tells again which promises are muted", "error", err)
	}
	return &Manager{
		s: s, tracer: s.Telemetry.Tracer(scope), duration: conv.SensorDuration.New(meter), limits: conv.LimitHits.New(meter),
		budget: make(chan struct{}, max(1, s.Slots)), wake: make(chan struct{}, 1),
		watched: map[string]*watch{}, outbox: newOutbox(), banged: map[verdictKey]string{}, mutes: muted,
		traits: map[traitsKey]sensor.Traits{}, unfiled: map[string]bool{}, files: statusfile.NewWriter(),
	}
}

// Observe makes the gauge of promises.
func (m *Manager) Observe(meter metric.Meter) metric.Registration {
	return conv.PromiseCount.Observe(meter, func(_ context.Context, observe conv.Observer) {
		type key struct{ kind, verdict string }
		counts := map[key]int64{}
		m.mu.Lock()
		for _, w := range m.watched {
			for _, p := range w.promises {
				verdict := conv.VerdictNone
				if failed, known := w.verdicts[p.Name]; known {
					verdict = verdictName(failed)
				}
				counts[key{kindName(p.Kind), verdict}]++
			}
		}
		m.mu.Unlock()
		for k, count := range counts {
			observe(count, conv.PromiseKind.String(k.kind), conv.Verdict.String(k.verdict))
		}
	})
}

// Watch reads the promises of a partition and senses each by its own periodicity. Idempotent: a promise that is known
// keeps its phase.
func (m *Manager) Watch(directory partition.Directory, allocationID string) error {
	promises, err := m.list(directory)
	if err != nil {
		return err
	}
	now := time.Now()
	m.mu.Lock()
	was := m.watched[directory.Name]
	w := &watch{directory: directory, allocationID: allocationID, promises: promises, verdicts: map[string]bool{}}
	if was != nil && was.allocationID == allocationID {
		w.verdicts = was.verdicts
	}
	m.watched[directory.Name] = w
	if was == nil || was.allocationID != allocationID || !slices.EqualFunc(was.promises, promises, sensor.Promise.Equal) {
		m.due.forget(directory.Name)
		for _, p := range promises {
			m.due.add(directory.Name, allocationID, p, now)
		}
	}
	m.mu.Unlock()
	m.signal()
	return nil
}

// Unwatch ends the sensing of a partition's promises.
func (m *Manager) Unwatch(partition string) {
	m.mu.Lock()
	was := m.watched[partition]
	delete(m.watched, partition)
	m.due.forget(partition)
	m.forgetTraits(partition)
	delete(m.unfiled, partition)
	m.mu.Unlock()
	if was != nil {
		m.files.Forget(was.directory.Path)
	}
}

// Forget drops what is kept of an allocation that is gone.
func (m *Manager) Forget(allocationID string) error {
	m.mu.Lock()
	m.outbox.forget(allocationID)
	for key := range m.banged {
		if key.allocationID == allocationID {
			delete(m.banged, key)
		}
	}
	m.unmute(allocationID)
	m.mu.Unlock()
	return m.s.Log.Forget(allocationID)
}

// Waiting is how many groups wait for svc-promise, Dropped how many gave way to newer ones.
func (m *Manager) Waiting() (waiting int, dropped uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outbox.size(), m.outbox.dropped
}

func (m *Manager) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// how is in what way a promise is sensed.
type how struct {
	// runID is the run that asks; empty = none.
	runID string
	// asked: as a run tests it, else as its own periodicity does.
	asked      bool
	dry, debug bool
}

// sense executes one sensor within the budget. The group is complete but for its sequence; nil = ctx ended. The carrier
// is the context of the sensing if that is sampled: an anomaly that the group turns out to be continues its trace.
func (m *Manager) sense(ctx context.Context, directory partition.Directory, p sensor.Promise, h how) (*typev1.SenseGroup, telemetry.Carrier) {
	select {
	case m.budget <- struct{}{}:
	case <-ctx.Done():
		return nil, telemetry.Carrier{}
	}
	defer func() { <-m.budget }()
	ctx, span := m.start(ctx, directory, p, h.runID)
	defer span.End()
	from := telemetry.Inject(ctx)
	began := time.Now()
	g := m.s.Sensor.Sense(ctx, sensor.Request{
		Partition: directory.Name, Directory: directory.Path, User: directory.User, Promise: p, Asked: h.asked, Dry: h.dry, Debug: h.debug,
		Env: append(directory.Environment(), "TRACEPARENT="+from.Traceparent),
		Learned: func(t sensor.Traits) {
			m.learned(directory.Name, p.Name, t)
			p = p.With(t)
		},
	})
	if ctx.Err() != nil {
		return nil, telemetry.Carrier{} // stopped: what it says is about us, not about the promise
	}
	took := time.Since(began)
	Complete(g, p, began, took)
	g.RunId = h.runID
	verdict, errorType := conv.VerdictPassed, attribute.KeyValue{}
	if Failed(g) {
		verdict = conv.VerdictFailed
	}
	if g.GetError() != "" {
		errorType = conv.ErrorType.String("sensor")
		span.SetAttributes(errorType)
	}
	span.SetAttributes(conv.Verdict.String(verdict))
	m.duration.Record(ctx, took, conv.SensorKind.String(kindName(p.Kind)), errorType)
	if !span.SpanContext().IsSampled() {
		from = telemetry.Carrier{}
	}
	return g, from
}

// Complete fills in what the promise's declaration says of a group that its sensor recorded, and returns it.
func Complete(g *typev1.SenseGroup, p sensor.Promise, began time.Time, took time.Duration) *typev1.SenseGroup {
	g.Promise, g.At, g.DurationSeconds = p.Name, timestamppb.New(began), took.Seconds()
	g.Testless, g.Anomalyless = p.Testless, p.Anomalyless
	g.PeriodSeconds = p.Period.Seconds()
	g.Kind, g.BangDisabled = p.Kind, g.GetBangDisabled() || p.BangDisabled
	if p.Problem != "" {
		g.Entries = append(g.Entries, &typev1.LogEntry{Level: typev1.LogLevel_LOG_LEVEL_WARNING, Message: p.Problem})
	}
	return g
}

// start begins the span of a sensing: within a run the promise's executable is one of the run's one-shot children; by its
// own periodicity it is a story of its own.
func (m *Manager) start(ctx context.Context, directory partition.Directory, p sensor.Promise, runID string) (context.Context, trace.Span) {
	if runID != "" {
		return m.tracer.Start(ctx, conv.ExecSpan(p.Name), trace.WithAttributes(conv.ExecutableName.String(p.Name)))
	}
	return m.tracer.Start(ctx, conv.SpanSense, trace.WithAttributes(
		conv.PartitionID.String(directory.Name), conv.PromiseName.String(p.Name), conv.SensorKind.String(kindName(p.Kind))))
}

// record numbers a group and keeps it; with from it also goes out on the stream. Order of numbers and order of the
// outbox are one, so both happen under the lock.
func (m *Manager) record(ctx context.Context, partition, allocationID string, g *typev1.SenseGroup, from *telemetry.Carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.s.Log.Append(allocationID, g); err != nil {
		m.s.Telemetry.Log.ErrorContext(ctx, "a sense group is not kept", "partition", partition, "error", err)
		if g.GetSequence() == 0 {
			return // it has no number, so nobody could tell it from another
		}
	}
	if w := m.watched[partition]; w != nil && w.allocationID == allocationID {
		w.verdicts[g.GetPromise()] = Failed(g)
	}
	if from != nil {
		m.enqueue(ctx, partition, allocationID, g, *from)
	}
}

// Failed tells whether a group says that the promise failed (docs/rules.md, promise test).
func Failed(g *typev1.SenseGroup) bool {
	if g.GetError() != "" {
		return true
	}
	return slices.ContainsFunc(g.GetEntries(), isFailure)
}

func isFailure(e *typev1.LogEntry) bool { return e.GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR }

// message is what a group says: of a failed one only what failed, as svc-promise tells it.
func message(g *typev1.SenseGroup) string {
	failed := slices.ContainsFunc(g.GetEntries(), isFailure)
	var lines []string
	for _, e := range g.GetEntries() {
		if isFailure(e) == failed {
			lines = append(lines, e.GetMessage())
		}
	}
	if g.GetError() != "" {
		lines = append(lines, g.GetError())
	}
	return lastBytes(strings.Join(lines, "\n"), maxMessage)
}
