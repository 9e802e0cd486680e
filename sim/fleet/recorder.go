package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/telemetry/story"
)

// Recorder keeps what all processes emitted: events always, spans and metrics if told so.
type Recorder struct {
	recordsSpans bool

	mu       sync.Mutex // never held while anything waits
	spans    []sdktrace.ReadOnlySpan
	events   []Event
	problems []string // what was logged as an error
	scenes   []*scene
	ended    []Scrape // the last one of each process that ended
}

// Event is a log record with a name.
type Event struct {
	At       time.Time
	Sequence int
	Service  string
	Host     string
	Name     string
	Fields   map[string]any
}

// Scrape is the metrics of one process at one time.
type Scrape struct {
	Service string
	// Ended says that the process did.
	Ended   bool
	Metrics metricdata.ResourceMetrics
}

func newRecorder(spans bool) *Recorder { return &Recorder{recordsSpans: spans} }

// scene is the telemetry of one life of a process.
type scene struct {
	recorder  *Recorder
	service   string
	host      string
	telemetry *telemetry.Telemetry
	reader    *sdkmetric.ManualReader

	mu   sync.Mutex
	dead bool
}

// open makes the telemetry of a new process.
func (r *Recorder) open(ctx context.Context, service, host string) (*scene, error) {
	s := &scene{recorder: r, service: service, host: host, reader: sdkmetric.NewManualReader()}
	settings := telemetry.Settings{
		Service: service, Version: "sim", InstanceID: host, Shared: true, LogWriter: s,
	}
	if r.recordsSpans {
		settings.SpanExporter, settings.Sampler, settings.MetricReader = s, sdktrace.AlwaysSample(), s.reader
	}
	var err error
	if s.telemetry, err = telemetry.Setup(ctx, telemetry.Config{LogLevel: "info", LogFormat: "json"}, settings); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scenes = append(r.scenes, s)
	return s, nil
}

// kill ends the telling of a process that was killed: its metrics are scraped no more, its spans go nowhere.
func (s *scene) kill() {
	s.scrape()
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
}

func (s *scene) isDead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// close ends the telemetry of a process that ended.
func (s *scene) close(ctx context.Context) error {
	if !s.isDead() {
		s.scrape()
	}
	r := s.recorder
	r.mu.Lock()
	for i, other := range r.scenes {
		if other == s {
			r.scenes = append(r.scenes[:i:i], r.scenes[i+1:]...)
			break
		}
	}
	r.mu.Unlock()
	return s.telemetry.Shutdown(ctx)
}

// scrape keeps the last values of a process that ends.
func (s *scene) scrape() {
	last := Scrape{Service: s.service, Ended: true}
	if err := s.reader.Collect(context.Background(), &last.Metrics); err != nil {
		return // it is ending
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.ended = append(s.recorder.ended, last)
}

// ExportSpans is of sdktrace.SpanExporter.
func (s *scene) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	if s.isDead() {
		return nil
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.spans = append(s.recorder.spans, spans...)
	return nil
}

// Shutdown is of sdktrace.SpanExporter.
func (s *scene) Shutdown(context.Context) error { return nil }

// Write takes one log record.
func (s *scene) Write(line []byte) (int, error) {
	event := bytes.Contains(line, []byte(`"`+string(conv.EventName)+`"`))
	if s.isDead() || !event && !bytes.Contains(line, []byte(`"level":"ERROR"`)) {
		return len(line), nil
	}
	fields := map[string]any{}
	if err := json.Unmarshal(line, &fields); err != nil {
		return 0, err
	}
	s.recorder.take(s, fields, event, string(line))
	return len(line), nil
}

func (r *Recorder) take(s *scene, fields map[string]any, event bool, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !event {
		r.problems = append(r.problems, line)
		return
	}
	name, _ := fields[string(conv.EventName)].(string)
	r.events = append(r.events, Event{
		At: time.Now(), Sequence: len(r.events), Service: s.service, Host: s.host, Name: name, Fields: fields,
	})
}

// Events is all events so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// Problems is what services logged as errors.
func (r *Recorder) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.problems...)
}

// Spans is all spans so far.
func (r *Recorder) Spans() []story.Span {
	r.mu.Lock()
	spans := append([]sdktrace.ReadOnlySpan(nil), r.spans...)
	r.mu.Unlock()
	return story.FromSDK(spans)
}

// Metrics is the last scrape of every process, ended ones too.
func (r *Recorder) Metrics() ([]Scrape, error) {
	r.mu.Lock()
	scenes := append([]*scene(nil), r.scenes...)
	all := append([]Scrape(nil), r.ended...)
	r.mu.Unlock()
	var errs []error
	for _, s := range scenes {
		now := Scrape{Service: s.service}
		errs = append(errs, s.reader.Collect(context.Background(), &now.Metrics))
		all = append(all, now)
	}
	return all, errors.Join(errs...)
}
