package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// pyroscope takes what the Pyroscope server takes at /ingest: a multipart form with a compressed pprof profile.
type pyroscope struct {
	mu     sync.Mutex
	names  map[string]bool            // of applications
	labels map[string]map[string]bool // of samples: key to values
	failed error
}

func (p *pyroscope) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	labels, err := labelsOf(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = errors.Join(p.failed, err)
	p.names[r.URL.Query().Get("name")] = true
	for key, values := range labels {
		for value := range values {
			if p.labels[key] == nil {
				p.labels[key] = map[string]bool{}
			}
			p.labels[key][value] = true
		}
	}
}

func labelsOf(r *http.Request) (map[string]map[string]bool, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/ingest" {
		return nil, fmt.Errorf("%s %s", r.Method, r.URL)
	}
	file, _, err := r.FormFile("profile")
	if err != nil {
		return nil, err
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	profile, err := io.ReadAll(unzipped)
	return sampleLabels(profile), err
}

// The numbers of the fields of perftools.profiles.Profile on the way to the labels of its samples.
const (
	fieldSample, fieldStrings = 2, 6
	fieldLabel                = 3
	fieldKey, fieldString     = 1, 2
)

func sampleLabels(profile []byte) map[string]map[string]bool {
	var table []string
	fields(profile, func(n protowire.Number, _ uint64, text []byte) {
		if n == fieldStrings {
			table = append(table, string(text))
		}
	})
	labels := map[string]map[string]bool{}
	fields(profile, func(n protowire.Number, _ uint64, sample []byte) {
		if n != fieldSample {
			return
		}
		fields(sample, func(n protowire.Number, _ uint64, label []byte) {
			if n != fieldLabel {
				return
			}
			var key, value uint64
			fields(label, func(n protowire.Number, number uint64, _ []byte) {
				switch n {
				case fieldKey:
					key = number
				case fieldString:
					value = number
				}
			})
			if labels[table[key]] == nil {
				labels[table[key]] = map[string]bool{}
			}
			labels[table[key]][table[value]] = true
		})
	})
	return labels
}

// fields calls with each field of a message: a number or bytes.
func fields(message []byte, field func(n protowire.Number, number uint64, bytes []byte)) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return
		}
		message = message[size:]
		switch kind {
		case protowire.VarintType:
			var number uint64
			if number, size = protowire.ConsumeVarint(message); size >= 0 {
				field(n, number, nil)
			}
		case protowire.BytesType:
			var value []byte
			if value, size = protowire.ConsumeBytes(message); size >= 0 {
				field(n, 0, value)
			}
		default:
			size = protowire.ConsumeFieldValue(n, kind, message)
		}
		if size < 0 {
			return
		}
		message = message[size:]
	}
}

// work uses the processor for some hundred milliseconds of its own time, however busy the machine is: a profile has a sample in 10 ms.
func work() (sum int) {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano())
	}
	for until := used() + 200*time.Millisecond; used() < until; {
		for i := range 1_000_000 {
			sum += i * i
		}
	}
	return sum
}

func TestAProfileIsUploadedWithTheSpanOfTheRunThatItIsOf(t *testing.T) {
	clearEnvironment(t)
	server := &pyroscope{names: map[string]bool{}, labels: map[string]map[string]bool{}}
	listening := httptest.NewServer(server)
	defer listening.Close()
	t.Setenv("PYROSCOPE_SERVER_ADDRESS", listening.URL)
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{}, telemetry.Settings{Service: "svc-node", Version: "1.2.3", LogWriter: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Tracer("test").Start(t.Context(), conv.SpanRun, trace.WithAttributes(conv.RunCause.String(conv.CauseManual)))
	work()
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil { // sends what is left
		t.Fatal(err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.failed != nil {
		t.Error(server.failed)
	}
	application := false
	for name := range server.names {
		application = application || strings.HasPrefix(name, "svc-node") && strings.Contains(name, "service_version=1.2.3")
	}
	if id := span.SpanContext().SpanID().String(); !application || !server.labels["span_id"][id] || !server.labels["span_name"][conv.SpanRun] {
		t.Errorf("want span %s of svc-node, got %v of %v", id, server.labels, server.names)
	}
}
