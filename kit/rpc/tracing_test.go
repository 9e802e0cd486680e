package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vow-os/vow/kit/rpc"
)

// TestSpansAndDurationsOfACallAreByTheConventions: both sides, both protocols, every way to end, and the second call like the first.
func TestSpansAndDurationsOfACallAreByTheConventions(t *testing.T) {
	for _, c := range []struct {
		err            error
		status, failed string
		server, client codes.Code // of the spans: what a caller did wrong is no error of the server
	}{
		{err: nil, status: "OK"},
		{err: connect.NewError(connect.CodeInvalidArgument, errors.New("cannot do so")), status: "INVALID_ARGUMENT", failed: "INVALID_ARGUMENT", client: codes.Error},
		{err: rpc.Internal(errors.New("broken")), status: "INTERNAL", failed: "INTERNAL", server: codes.Error, client: codes.Error},
	} {
		for system, options := range map[string][]connect.ClientOption{"connectrpc": nil, "grpc": {connect.WithGRPC()}} {
			t.Run(system+" "+c.status, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, echo{unary: func(ctx context.Context, r *request) (*response, error) {
						res, _ := answer(ctx, r)
						return res, c.err
					}}, nil)
					client := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+echoUnary, append(w.client.Options(), options...)...)
					for range 2 {
						if _, err := client.CallUnary(t.Context(), connect.NewRequest(&request{})); (err == nil) != (c.err == nil) {
							t.Fatalf("the call ends with %v", err)
						}
					}
					want := []attribute.KeyValue{
						attribute.String("rpc.system.name", system), attribute.String("rpc.method", "vow.test.v1.EchoService/Echo"), attribute.String("rpc.response.status_code", c.status),
					}
					if c.failed != "" {
						want = append(want, attribute.String("error.type", c.failed))
					}
					at := []attribute.KeyValue{attribute.String("server.address", "server"), attribute.Int("server.port", 80)}
					spans := w.exporter.GetSpans()
					if len(spans) != 4 {
						t.Fatalf("%d spans of two calls", len(spans))
					}
					for i := range 2 {
						check(t, spans[2*i], "vow.test.v1.EchoService/Echo", c.server, want...)
						check(t, spans[2*i+1], "vow.test.v1.EchoService/Echo", c.client, append(at, want...)...)
					}
					page := httptest.NewRecorder()
					w.telemetry.Prometheus.ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
					for side, more := range map[string][]attribute.KeyValue{"server": nil, "client": at} {
						if !scraped(page.Body.String(), "rpc_"+side+"_call_duration_seconds_count", append(more, want...), "2") {
							t.Errorf("no duration of two calls of the %s with %v in\n%s", side, append(more, want...), page.Body)
						}
					}
					w.stop(t)
				})
			})
		}
	}
}

// check wants a span to have exactly these attributes.
func check(t *testing.T, span tracetest.SpanStub, name string, status codes.Code, want ...attribute.KeyValue) {
	t.Helper()
	if span.Name != name || span.Status.Code != status {
		t.Errorf("the span %q has the status %v, want %q with %v", span.Name, span.Status, name, status)
	}
	if got := attribute.NewSet(span.Attributes...); got != attribute.NewSet(want...) || len(span.Attributes) != len(want) {
		t.Errorf("the %s span has %v, want %v", span.SpanKind, span.Attributes, want)
	}
}

// scraped looks for a sample with these labels.
func scraped(page, name string, labels []attribute.KeyValue, value string) bool {
	for line := range strings.Lines(page) {
		found := strings.HasPrefix(line, name+"{") && strings.HasSuffix(strings.TrimSpace(line), "} "+value)
		for _, label := range labels {
			found = found && strings.Contains(line, fmt.Sprintf(`%s="%s"`, strings.ReplaceAll(string(label.Key), ".", "_"), label.Value.String()))
		}
		if found {
			return true
		}
	}
	return false
}
