package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracing makes a span of each command and each pipeline. Not by redisotel: its hook writes all arguments of a pipeline into a string also when
// it is told not to keep it, which is the whole content of every commit, and makes attributes of spans that are not recorded.
type tracing struct {
	tracer trace.Tracer
	// options and server are what is known of every span, made once.
	options []trace.SpanStartOption
	server  []attribute.KeyValue
}

var _ redis.Hook = tracing{}

// traceCommands adds the hook to a client, to each node of a cluster.
func traceCommands(client redis.UniversalClient, tracer trace.Tracer) error {
	add := func(node *redis.Client) { node.AddHook(newTracing(tracer, node.Options().Addr)) }
	switch c := client.(type) {
	case *redis.Client:
		add(c)
	case *redis.ClusterClient:
		c.OnNewNode(add)
	default:
		return fmt.Errorf("cannot trace a client of type %T", client)
	}
	return nil
}

func newTracing(tracer trace.Tracer, address string) tracing {
	server := []attribute.KeyValue{semconv.DBSystemNameRedis}
	if host, text, err := net.SplitHostPort(address); err == nil {
		server = append(server, semconv.ServerAddress(host))
		if port, err := strconv.Atoi(text); err == nil {
			server = append(server, semconv.ServerPort(port))
		}
	}
	return tracing{tracer: tracer, options: []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}, server: server}
}

// unseen says that nobody would see a span in ctx: it is part of what the sampler has left out.
func unseen(ctx context.Context) bool {
	parent := trace.SpanContextFromContext(ctx)
	return parent.IsValid() && !parent.IsSampled()
}

// connecting says that a command is of the connection, not of who uses it.
func connecting(command redis.Cmder) bool {
	switch command.Name() {
	case "hello", "auth", "select", "client":
		return true
	}
	return false
}

// DialHook implements redis.Hook: connections are made beside what asks for them, and counted.
func (h tracing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

// ProcessHook implements redis.Hook.
func (h tracing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if unseen(ctx) || connecting(command) {
			return next(ctx, command)
		}
		name := command.FullName()
		ctx, span := h.tracer.Start(ctx, name, h.options...)
		defer span.End()
		if span.IsRecording() {
			span.SetAttributes(h.attributes(semconv.DBOperationName(name))...)
		}
		err := next(ctx, command)
		note(span, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h tracing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if unseen(ctx) || slices.ContainsFunc(commands, connecting) {
			return next(ctx, commands)
		}
		name := pipelineName(commands)
		ctx, span := h.tracer.Start(ctx, name, h.options...)
		defer span.End()
		if span.IsRecording() {
			span.SetAttributes(h.attributes(semconv.DBOperationName(name), semconv.DBOperationBatchSize(len(commands)))...)
		}
		err := next(ctx, commands)
		note(span, err)
		return err
	}
}

// attributes are those of the server and more: all at once, since a span grows with each call.
func (h tracing) attributes(more ...attribute.KeyValue) []attribute.KeyValue {
	return append(append(make([]attribute.KeyValue, 0, len(h.server)+len(more)), h.server...), more...)
}

// pipelineName names a pipeline after its first command; ours have one kind of command each.
func pipelineName(commands []redis.Cmder) string {
	if len(commands) == 0 {
		return "PIPELINE"
	}
	return "PIPELINE " + commands[0].FullName()
}

// note says of a span how its command ended. An absent key is an answer, not an error.
func note(span trace.Span, err error) {
	if err != nil && !errors.Is(err, redis.Nil) {
		span.SetStatus(codes.Error, err.Error())
	}
}
