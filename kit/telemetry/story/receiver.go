package story

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxExport bounds one export; the SDK's batches are far smaller.
const maxExport = 16 << 20

// Receiver is an OTLP endpoint (HTTP, protobuf) that keeps the spans it gets. Its URL is for OTEL_EXPORTER_OTLP_ENDPOINT.
type Receiver struct {
	URL string

	server *httptest.Server
	mu     sync.Mutex // never held while anything waits
	spans  []Span
	// arrived is closed and made anew whenever something arrives.
	arrived chan struct{}
}

// NewReceiver listens on a free loopback port.
func NewReceiver() *Receiver {
	r := &Receiver{arrived: make(chan struct{})}
	r.server = httptest.NewServer(r)
	r.URL = r.server.URL
	return r
}

// Close stops listening.
func (r *Receiver) Close() { r.server.Close() }

// Spans is all that arrived.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Arrived is closed when something arrives after the call.
func (r *Receiver) Arrived() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrived
}

// ServeHTTP takes exports; metrics and logs are accepted and not kept.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	spans, err := decode(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.spans = append(r.spans, spans...)
	close(r.arrived)
	r.arrived = make(chan struct{})
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK) // an empty body is an empty response message
}

func decode(request *http.Request) ([]Span, error) {
	if request.URL.Path != "/v1/traces" {
		return nil, nil
	}
	var body io.Reader = request.Body
	if request.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(request.Body)
		if err != nil {
			return nil, fmt.Errorf("cannot unzip: %w", err)
		}
		body = unzipped
	}
	data, err := io.ReadAll(io.LimitReader(body, maxExport))
	if err != nil {
		return nil, fmt.Errorf("cannot read: %w", err)
	}
	var export collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &export); err != nil {
		return nil, fmt.Errorf("cannot decode: %w", err)
	}
	var spans []Span
	for _, resource := range export.GetResourceSpans() {
		of := values(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				spans = append(spans, fromOTLP(of, s))
			}
		}
	}
	return spans, nil
}

func fromOTLP(of map[string]string, s *otlp.Span) Span {
	one := Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Service: of["service.name"], Process: of["service.instance.id"], Name: s.GetName(), Kind: trace.SpanKind(s.GetKind()), // both number internal 1, server 2, client 3, producer 4, consumer 5
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Attributes: values(s.GetAttributes()), Error: s.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR,
	}
	for _, l := range s.GetLinks() {
		one.Links = append(one.Links, Link{Trace: hex.EncodeToString(l.GetTraceId()), Span: hex.EncodeToString(l.GetSpanId())})
	}
	return one
}

func values(attributes []*common.KeyValue) map[string]string {
	m := make(map[string]string, len(attributes))
	for _, a := range attributes {
		m[a.GetKey()] = text(a.GetValue())
	}
	return m
}

func text(v *common.AnyValue) string {
	switch one := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return one.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(one.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(one.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(one.BoolValue)
	default: // lists and maps: no vow attribute has one
		return v.String()
	}
}
