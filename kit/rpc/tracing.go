package rpc

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/kit/telemetry"
)

// tracing traces and measures unary calls, by the conventions. Streams live for days: a span of theirs says nothing, and what happens
// on them carries its own trace context.
//
// Not by otelconnect: it makes the attributes of each call anew, twice, sorts them into a set, and does so also when nobody sees the span (docs/decisions/0082).
type tracing struct {
	tracer         trace.Tracer
	propagator     propagation.TextMapPropagator
	trusting       bool // the caller's trace goes on; otherwise a new one links to it
	client, server side

	mu       sync.RWMutex // never held while anything waits
	outcomes map[call]outcome
}

// side is what all calls of clients, or of servers, have in common.
type side struct {
	duration metric.Float64Histogram
	options  []trace.SpanStartOption
}

// call is what calls have in common that end in the same way. There are as many as the service, or the client, has procedures, protocols and codes.
type call struct {
	procedure, protocol string
	address             string       // of the server; empty in it
	code                connect.Code // zero: success
}

// outcome is what spans and measurements of such calls have, made once.
type outcome struct {
	attributes []attribute.KeyValue
	set        []metric.RecordOption
}

func newTracing(t *telemetry.Telemetry, trusting bool) (*tracing, error) {
	const scope = "kit/rpc"
	client, err1 := rpcconv.NewClientCallDuration(t.Meter(scope))
	server, err2 := rpcconv.NewServerCallDuration(t.Meter(scope))
	return &tracing{
		tracer: t.Tracer(scope), propagator: t.Propagator, trusting: trusting,
		client:   side{client.Inst(), []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}},
		server:   side{server.Inst(), []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}},
		outcomes: map[call]outcome{},
	}, errors.Join(err1, err2)
}

// WrapUnary implements connect.Interceptor.
func (i *tracing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		began, spec := time.Now(), req.Spec()
		c := call{procedure: spec.Procedure, protocol: req.Peer().Protocol}
		duration, options := i.client.duration, i.client.options
		if spec.IsClient {
			c.address = req.Peer().Addr
		} else {
			duration = i.server.duration
			ctx, options = i.joined(ctx, req)
		}
		ctx, span := i.tracer.Start(ctx, strings.TrimPrefix(spec.Procedure, "/"), options...)
		defer span.End()
		if spec.IsClient {
			i.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header()))
		}
		res, err := next(ctx, req)
		if err != nil {
			c.code = connect.CodeOf(err)
		}
		ended := i.outcome(c)
		if span.IsRecording() {
			span.SetAttributes(ended.attributes...)
			if err != nil && (spec.IsClient || faults(c.code)) {
				span.SetStatus(codes.Error, Message(err))
			}
		}
		duration.Record(ctx, time.Since(began).Seconds(), ended.set...)
		return res, err
	}
}

// joined is the context of a call in a server: beneath its caller's span, or linked to it.
func (i *tracing) joined(ctx context.Context, req connect.AnyRequest) (context.Context, []trace.SpanStartOption) {
	ctx = i.propagator.Extract(ctx, propagation.HeaderCarrier(req.Header()))
	if i.trusting {
		return ctx, i.server.options
	}
	options := append(slices.Clone(i.server.options), trace.WithNewRoot())
	if caller := trace.LinkFromContext(ctx); caller.SpanContext.IsValid() {
		options = append(options, trace.WithLinks(caller))
	}
	return ctx, options
}

func (i *tracing) outcome(c call) outcome {
	i.mu.RLock()
	o, known := i.outcomes[c]
	i.mu.RUnlock()
	if !known {
		o = newOutcome(c)
		i.mu.Lock()
		i.outcomes[c] = o
		i.mu.Unlock()
	}
	return o
}

func newOutcome(c call) outcome {
	system := semconv.RPCSystemNameGRPC
	if c.protocol == connect.ProtocolConnect {
		system = semconv.RPCSystemNameConnectrpc
	}
	attributes := []attribute.KeyValue{system, semconv.RPCMethod(strings.TrimPrefix(c.procedure, "/"))}
	if host, text, err := net.SplitHostPort(c.address); err == nil {
		attributes = append(attributes, semconv.ServerAddress(host))
		if port, err := strconv.Atoi(text); err == nil {
			attributes = append(attributes, semconv.ServerPort(port))
		}
	} else if c.address != "" {
		attributes = append(attributes, semconv.ServerAddress(c.address))
	}
	if c.code == 0 {
		attributes = append(attributes, semconv.RPCResponseStatusCode("OK"))
	} else {
		word := strings.ToUpper(c.code.String())
		attributes = append(attributes, semconv.RPCResponseStatusCode(word), semconv.ErrorTypeKey.String(word))
	}
	return outcome{attributes, []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attributes...))}}
}

// faults tells the errors that are the server's; what callers did wrong is no error of its span.
func faults(code connect.Code) bool {
	switch code {
	case connect.CodeUnknown, connect.CodeDeadlineExceeded, connect.CodeUnimplemented, connect.CodeInternal, connect.CodeUnavailable, connect.CodeDataLoss:
		return true
	}
	return false
}

// WrapStreamingClient implements connect.Interceptor.
func (*tracing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (*tracing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
