package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"

	"github.com/vow-os/vow/kit/telemetry"
)

// handlerOptions are the interceptors of a server, outermost first: the trace sees what the log says, which sees what
// recovery made of a panic, and nothing invalid reaches a handler.
func (s *Server) handlerOptions() ([]connect.HandlerOption, error) {
	tracing, err := newTracing(s.settings.Telemetry, !s.settings.Public)
	if err != nil {
		return nil, err
	}
	return []connect.HandlerOption{
		connect.WithReadMaxBytes(s.settings.ReadMaxBytes),
		connect.WithCompressMinBytes(compressMinBytes),
		connect.WithInterceptors(
			tracing,
			errorLog{s.settings.Log},
			recovery{s.settings.Log},
			bounds{limit: s.settings.MaxDeadline, stopping: s.stopping},
			validate.NewInterceptor(),
		),
	}, nil
}

// newTracing traces and measures unary calls. Streams live for days: a span of theirs says nothing, and what happens
// on them carries its own trace context.
func newTracing(t *telemetry.Telemetry, trusting bool) (connect.Interceptor, error) {
	options := []otelconnect.Option{
		otelconnect.WithTracerProvider(t.TracerProvider()),
		otelconnect.WithMeterProvider(t.MeterProvider()),
		otelconnect.WithPropagator(t.Propagator),
	}
	if trusting {
		options = append(options, otelconnect.WithTrustRemote())
	}
	interceptor, err := otelconnect.NewInterceptor(options...)
	return unaryOnly{interceptor}, err
}

// unaryOnly leaves streams alone. A filter would too, but keeps a kilobyte on the stack of every stream.
type unaryOnly struct{ connect.Interceptor }

func (unaryOnly) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (unaryOnly) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// errorLog logs the errors that people must act on: those that are our fault. What callers did wrong is at level
// debug, since callers can do it as often as they like.
type errorLog struct{ log *slog.Logger }

func (i errorLog) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		i.report(ctx, req.Spec().Procedure, err)
		return res, err
	}
}

func (i errorLog) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i errorLog) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := next(ctx, conn)
		i.report(ctx, conn.Spec().Procedure, err)
		return err
	}
}

func (i errorLog) report(ctx context.Context, procedure string, err error) {
	if err == nil {
		return
	}
	level := slog.LevelDebug
	code := CodeOf(err)
	switch code {
	case CodeInternal, CodeUnknown, CodeDataLoss:
		level = slog.LevelError
	}
	i.log.Log(ctx, level, "an RPC failed", "procedure", procedure, "code", string(code), "error", Message(err))
}

// recovery makes a panic of a handler an error of that call.
type recovery struct{ log *slog.Logger }

func (i recovery) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		defer Recover(ctx, i.log, req.Spec().Procedure, &err)
		return next(ctx, req)
	}
}

func (i recovery) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i recovery) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer Recover(ctx, i.log, conn.Spec().Procedure, &err)
		return next(ctx, conn)
	}
}

// Recover makes the panic of a deferring handler its error, and logs it: what it says may be told to nobody else.
func Recover(ctx context.Context, log *slog.Logger, procedure string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(r)
	}
	log.ErrorContext(ctx, "a handler panicked", "procedure", procedure, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	*err = Internal(errors.New("cannot answer: the handler panicked; its log has the details"))
}

// bounds gives unary calls a latest end and ends streams when the server stops.
type bounds struct {
	limit    time.Duration
	stopping context.Context
}

func (i bounds) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, i.limit)
		defer cancel()
		return next(ctx, req)
	}
}

func (i bounds) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i bounds) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(i.stopping, func() { cancel(errStopping) })()
		err := next(ctx, conn)
		if i.stopping.Err() != nil {
			// However the handler saw its end: the peer shall come back, or go elsewhere.
			return Unavailable(errStopping)
		}
		return err
	}
}
