package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// The service under test is made by hand of messages that exist: a unary call and a stream both ways, which is what
// generated code makes of a contract.
const (
	echoService = "vow.test.v1.EchoService"
	echoUnary   = "/" + echoService + "/Echo"
	echoStream  = "/" + echoService + "/Chat"
)

type (
	request  = grpc_health_v1.HealthCheckRequest
	response = grpc_health_v1.HealthCheckResponse
)

type echo struct {
	unary  func(ctx context.Context, req *request) (*response, error)
	stream func(ctx context.Context, s *connect.BidiStream[request, response]) error
	more   func(s *rpc.Server) // registers other services, if set
}

// world is a server and a client on a network in memory.
type world struct {
	net       *memnet.Network
	server    *rpc.Server
	client    *rpc.Client
	log       *bytes.Buffer
	exporter  *tracetest.InMemoryExporter
	telemetry *telemetry.Telemetry
}

func newWorld(t *testing.T, service echo, change func(*rpc.Settings, *rpc.ClientSettings)) *world {
	t.Helper()
	w := &world{net: memnet.New(), log: &bytes.Buffer{}, exporter: tracetest.NewInMemoryExporter()}
	var err error
	w.telemetry, err = telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "debug"}, telemetry.Settings{
		Service: "test", Shared: true, LogWriter: w.log, SpanExporter: w.exporter, Sampler: sdktrace.AlwaysSample(),
	})
	must(t, err)
	listener, err := w.net.Listen("server:80")
	must(t, err)
	admin, err := w.net.Listen("server:81")
	must(t, err)
	settings := rpc.Settings{Listener: listener, AdminListener: admin, Telemetry: w.telemetry}
	clientSettings := rpc.ClientSettings{Dial: w.net.Dialer("client"), Telemetry: w.telemetry}
	if change != nil {
		change(&settings, &clientSettings)
	}
	w.server, err = rpc.NewServer(rpc.Config{}, settings)
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle(echoUnary, connect.NewUnaryHandlerSimple(echoUnary, service.unary, w.server.HandlerOptions()...))
	mux.Handle(echoStream, connect.NewBidiStreamHandler(echoStream, service.stream, w.server.HandlerOptions()...))
	w.server.Handle("/"+echoService+"/", mux)
	if service.more != nil {
		service.more(w.server)
	}
	must(t, w.server.Start(t.Context()))
	w.client, err = rpc.NewClient(rpc.Target{Address: "server:80"}, clientSettings)
	must(t, err)
	return w
}

func (w *world) stop(t *testing.T) {
	t.Helper()
	w.client.Close()
	must(t, w.server.Stop(t.Context()))
	must(t, w.telemetry.Shutdown(t.Context()))
}

func (w *world) echo(ctx context.Context, service string) (*response, error) {
	c := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+echoUnary, w.client.Options()...)
	res, err := c.CallUnary(ctx, connect.NewRequest(&request{Service: service}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func (w *world) chat(ctx context.Context) *connect.BidiStreamForClient[request, response] {
	return connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+echoStream, w.client.Options()...).CallBidiStream(ctx)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func answer(context.Context, *request) (*response, error) {
	return &response{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func TestACallIsOneTraceAcrossClientAndServerAndCarriesTheStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen string
		w := newWorld(t, echo{unary: func(ctx context.Context, r *request) (*response, error) {
			seen = telemetry.BangOf(ctx)
			return answer(ctx, r)
		}}, nil)
		ctx, root := w.telemetry.Tracer("test").Start(telemetry.WithBang(t.Context(), "t1.b7"), "root")
		_, err := w.echo(ctx, "x")
		must(t, err)
		root.End()
		if seen != "t1.b7" {
			t.Errorf("the handler saw the bang %q", seen)
		}
		spans := w.exporter.GetSpans() // sorted by their end
		if len(spans) != 3 {
			t.Fatalf("%d spans, want server, client and root", len(spans))
		}
		server, client, top := spans[0], spans[1], spans[2]
		if server.Parent.SpanID() != client.SpanContext.SpanID() || client.Parent.SpanID() != top.SpanContext.SpanID() {
			t.Error("the server's span is not below the client's, or that not below the root")
		}
		for _, span := range spans {
			if span.SpanContext.TraceID() != top.SpanContext.TraceID() {
				t.Errorf("%s is in another trace", span.Name)
			}
			if !slices.Contains(span.Attributes, conv.BangID.String("t1.b7")) {
				t.Errorf("%s does not carry the bang: %v", span.Name, span.Attributes)
			}
		}
		w.stop(t)
	})
}

func TestAPublicServerLinksToItsCallerInsteadOfTrustingIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: answer}, func(s *rpc.Settings, _ *rpc.ClientSettings) { s.Public = true })
		_, err := w.echo(t.Context(), "x")
		must(t, err)
		spans := w.exporter.GetSpans()
		server, client := spans[0], spans[1]
		if server.SpanContext.TraceID() == client.SpanContext.TraceID() {
			t.Error("the server joined its caller's trace")
		}
		if len(server.Links) != 1 || server.Links[0].SpanContext.SpanID() != client.SpanContext.SpanID() {
			t.Errorf("the server's span links to %v", server.Links)
		}
		w.stop(t)
	})
}

func TestStreamsAndHealthAreNotTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{stream: func(_ context.Context, s *connect.BidiStream[request, response]) error {
			_, err := s.Receive()
			return err
		}}, nil)
		chat := w.chat(t.Context())
		must(t, chat.Send(&request{}))
		must(t, chat.CloseRequest())
		_, _ = chat.Receive()
		must(t, chat.CloseResponse())
		// As others ask for health: without our client's options.
		c := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+"/grpc.health.v1.Health/Check")
		_, err := c.CallUnary(t.Context(), connect.NewRequest(&request{}))
		must(t, err)
		if spans := w.exporter.GetSpans(); len(spans) != 0 {
			t.Errorf("got %d spans, the first is %s", len(spans), spans[0].Name)
		}
		w.stop(t)
	})
}

func TestServersAnswerHealthReflectionAndTheAdminPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notReady := errors.New("the feed is behind")
		var state error
		w := newWorld(t, echo{}, func(s *rpc.Settings, _ *rpc.ClientSettings) {
			s.Ready = func(context.Context) error { return state }
		})
		for _, want := range []struct {
			err    error
			status grpc_health_v1.HealthCheckResponse_ServingStatus
			code   int
		}{{nil, grpc_health_v1.HealthCheckResponse_SERVING, 200}, {notReady, grpc_health_v1.HealthCheckResponse_NOT_SERVING, 503}} {
			state = want.err
			for _, protocol := range [][]connect.ClientOption{nil, {connect.WithGRPC()}, {connect.WithGRPCWeb()}} {
				c := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+"/grpc.health.v1.Health/Check", protocol...)
				res, err := c.CallUnary(t.Context(), connect.NewRequest(&request{Service: echoService}))
				must(t, err)
				if res.Msg.GetStatus() != want.status {
					t.Errorf("health is %v, want %v", res.Msg.GetStatus(), want.status)
				}
			}
			code, body := w.admin(t, "/readyz")
			if code != want.code || (want.err != nil && !strings.Contains(body, notReady.Error())) {
				t.Errorf("/readyz answers %d %q", code, body)
			}
		}
		c := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+"/grpc.health.v1.Health/Check")
		if _, err := c.CallUnary(t.Context(), connect.NewRequest(&request{Service: "nobody"})); !rpc.IsNotFound(err) {
			t.Errorf("the health of an unknown service is %v", err)
		}
		for path, want := range map[string]string{"/healthz": "ok", "/debug/pprof/": "goroutine", "/metrics": "target_info"} {
			if code, body := w.admin(t, path); code != 200 || !strings.Contains(body, want) {
				t.Errorf("%s answers %d without %q", path, code, want)
			}
		}
		res, err := w.client.HTTP().Do(newRequest(t, w.client.BaseURL()+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"))
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusNotFound {
			t.Error("there is no reflection")
		}
		w.stop(t)
	})
}

func newRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	must(t, err)
	r.Header.Set("Content-Type", "application/grpc")
	return r
}

func (w *world) admin(t *testing.T, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{DialContext: w.net.Dialer("prometheus")}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server:81"+path, http.NoBody)
	must(t, err)
	res, err := transport.RoundTrip(r)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(b)
}

func TestAPanicIsAnErrorOfItsCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: func(ctx context.Context, r *request) (*response, error) {
			if r.GetService() == "panic" {
				panic("boom: the secret")
			}
			return answer(ctx, r)
		}}, nil)
		_, err := w.echo(t.Context(), "panic")
		if rpc.CodeOf(err) != rpc.CodeInternal || strings.Contains(err.Error(), "secret") {
			t.Errorf("the caller sees %v", err)
		}
		if _, err := w.echo(t.Context(), "fine"); err != nil {
			t.Errorf("the next call fails: %v", err)
		}
		w.stop(t)
		if log := w.log.String(); !strings.Contains(log, "boom: the secret") || !strings.Contains(log, `"trace_id"`) {
			t.Errorf("the log does not tell: %s", log)
		}
	})
}

func TestCallsHaveADeadlineOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		w := newWorld(t, echo{unary: func(ctx context.Context, r *request) (*response, error) {
			end, _ := ctx.Deadline()
			left = time.Until(end)
			if r.GetService() == "hang" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return answer(ctx, r)
		}}, nil)
		start := time.Now()
		if _, err := w.echo(t.Context(), "hang"); !rpc.IsDeadlineExceeded(err) || time.Since(start) != rpc.DefaultTimeout {
			t.Errorf("a call without a deadline ended after %v with %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := w.echo(ctx, "x")
		must(t, err)
		if left > rpc.DefaultMaxDeadline {
			t.Errorf("the server allows %v", left)
		}
		w.stop(t)
	})
}

func TestAQuietPeerIsInContactBecauseItAnswersPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := make(chan context.Context, 1)
		w := newWorld(t, echo{stream: func(ctx context.Context, s *connect.BidiStream[request, response]) error {
			if _, err := s.Receive(); err != nil {
				return err
			}
			stream <- ctx
			<-ctx.Done()
			return ctx.Err()
		}}, func(_ *rpc.Settings, c *rpc.ClientSettings) {
			c.PingIdle = time.Hour // the client is quiet: the server's pings are what tells of a computer
		})
		chat := w.chat(t.Context())
		must(t, chat.Send(&request{}))
		ctx := <-stream
		<-time.After(10 * time.Minute)
		last, ok := rpc.ConnLastRead(ctx)
		if !ok || time.Since(last) > 2*rpc.DefaultPing {
			t.Errorf("after 10 silent minutes the last contact was %v ago (%v)", time.Since(last), ok)
		}

		w.net.Cut("client", "server", memnet.Drop)
		cut := time.Now()
		<-ctx.Done()
		if after := time.Since(cut); after > 2*rpc.DefaultPing+time.Second {
			t.Errorf("the server noticed after %v that the link is cut", after)
		}
		if last, _ := rpc.ConnLastRead(ctx); last.After(cut) {
			t.Errorf("contact %v after the cut", last.Sub(cut))
		}
		if _, err := chat.Receive(); !rpc.IsUnavailable(err) && !rpc.IsCanceled(err) && rpc.CodeOf(err) != rpc.CodeUnknown {
			t.Errorf("the client's stream ended with %v", err)
		}
		w.net.Heal("client", "server")
		w.stop(t)
	})
}

func TestStopEndsStreamsAndLetsCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered := make(chan struct{}, 2)
		w := newWorld(t, echo{
			unary: func(ctx context.Context, r *request) (*response, error) {
				entered <- struct{}{}
				select {
				case <-time.After(3 * time.Second):
					return answer(ctx, r)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
			// It waits for its caller only, as simple handlers do.
			stream: func(_ context.Context, s *connect.BidiStream[request, response]) error {
				for {
					if _, err := s.Receive(); err != nil {
						return err
					}
					entered <- struct{}{}
				}
			},
		}, nil)
		unary := make(chan error, 1)
		go func() {
			_, err := w.echo(t.Context(), "x")
			unary <- err
		}()
		chat := w.chat(t.Context())
		must(t, chat.Send(&request{}))
		<-entered
		<-entered

		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- w.server.Stop(ctx) }()
		if _, err := chat.Receive(); !rpc.IsUnavailable(err) {
			t.Errorf("the stream ended with %v", err)
		}
		if time.Since(start) > time.Second {
			t.Errorf("the stream ended after %v", time.Since(start))
		}
		if err := <-unary; err != nil {
			t.Errorf("the call that was under way failed: %v", err)
		}
		must(t, <-stopped)
		if time.Since(start) >= 10*time.Second {
			t.Errorf("stop took %v", time.Since(start))
		}
		must(t, w.server.Stop(ctx))
		w.stop(t)
	})
}

func TestStopIsBoundedWhateverHandlersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		entered := make(chan struct{})
		w := newWorld(t, echo{unary: func(context.Context, *request) (*response, error) {
			close(entered)
			<-release // ignores its context
			return nil, errors.New("too late")
		}}, nil)
		go w.echo(t.Context(), "x")
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := w.server.Stop(ctx); err == nil || time.Since(start) > 3*time.Second {
			t.Errorf("stop took %v and returned %v", time.Since(start), err)
		}
		close(release)
		w.client.Close()
		must(t, w.telemetry.Shutdown(t.Context()))
	})
}

func TestErrorsKeepCodeReasonAndRetryAfterAcrossTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: func(_ context.Context, r *request) (*response, error) {
			switch r.GetService() {
			case "quota":
				return nil, rpc.ResourceExhausted(errors.New("cannot bang t1: quota"), 90*time.Second)
			case "stale":
				return nil, rpc.WithReason(rpc.FailedPrecondition(errors.New("cannot report: stale")), "STALE_TOKEN")
			case "wrapped":
				return nil, fmt.Errorf("around: %w", rpc.NotFound(errors.New("cannot find t1")))
			default:
				return nil, errors.New("plain")
			}
		}}, nil)
		_, err := w.echo(t.Context(), "quota")
		if after, ok := rpc.RetryAfter(err); !rpc.IsResourceExhausted(err) || !ok || after != 90*time.Second || rpc.IsRetryable(err) {
			t.Errorf("got %v, retry after %v", err, after)
		}
		if rpc.Message(err) != "cannot bang t1: quota" {
			t.Errorf("message %q", rpc.Message(err))
		}
		_, err = w.echo(t.Context(), "stale")
		if !rpc.IsFailedPrecondition(err) || rpc.Reason(err) != "STALE_TOKEN" {
			t.Errorf("got %v, reason %q", err, rpc.Reason(err))
		}
		if _, err = w.echo(t.Context(), "wrapped"); !rpc.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
		if _, err = w.echo(t.Context(), "other"); rpc.CodeOf(err) != rpc.CodeUnknown {
			t.Errorf("got %v", err)
		}
		w.stop(t)
	})
}

func TestMessagesOverTheLimitAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: answer}, nil)
		if _, err := w.echo(t.Context(), strings.Repeat("x", rpc.DefaultReadMaxBytes)); !rpc.IsResourceExhausted(err) {
			t.Errorf("got %v", err)
		}
		w.stop(t)
	})
}

func TestRetryTriesWhatMaySucceedLaterAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := rpc.NewClient(rpc.Target{Address: "server:80"}, rpc.ClientSettings{Dial: memnet.New().Dialer("c")})
		must(t, err)
		for _, c := range []struct {
			name  string
			err   error
			calls int
		}{
			{"unavailable", rpc.Unavailable(errors.New("down")), rpc.RetryAttempts},
			{"deadline", context.DeadlineExceeded, rpc.RetryAttempts},
			{"exhausted", rpc.ResourceExhausted(errors.New("full"), 0), 1},
			{"invalid", rpc.InvalidArgument(errors.New("bad")), 1},
			{"success", nil, 1},
		} {
			calls, start := 0, time.Now()
			err := client.Retry(t.Context(), c.name, func(context.Context) error { calls++; return c.err })
			if calls != c.calls || !errors.Is(err, c.err) {
				t.Errorf("%s: called %d times, want %d; got %v", c.name, calls, c.calls, err)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%s took %v", c.name, d)
			}
		}
		// The budget: 20 retries, ten were used.
		calls := 0
		for range 10 {
			_ = client.Retry(t.Context(), "storm", func(context.Context) error { calls++; return rpc.Unavailable(errors.New("down")) })
		}
		if want := 10 + rpc.DefaultRetryBudget - 10; calls != want {
			t.Errorf("with a used budget 10 calls became %d, want %d", calls, want)
		}
		client.Close()
	})
}

func TestACallToNobodyIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := rpc.NewClient(rpc.Target{Address: "nobody:1"}, rpc.ClientSettings{Dial: memnet.New().Dialer("c")})
		must(t, err)
		w := &world{client: client}
		if _, err := w.echo(t.Context(), "x"); !rpc.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
		client.Close()
	})
}

func TestOnlyLoopbackIsServedUnlessInsecure(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:0": false, "localhost:7001": false, "[::1]:0": false, "127.8.8.8:1": false,
		"0.0.0.0:7001": true, ":7001": true, "192.168.1.1:7001": true, "[::]:1": true, "example.org:1": true,
	} {
		err := rpc.Config{Address: address}.Validate()
		if refused != (err != nil) {
			t.Errorf("%s: got %v", address, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "--insecure") || !strings.Contains(err.Error(), address)) {
			t.Errorf("%s: the error does not help: %v", address, err)
		}
		if err := (rpc.Config{Address: address, Insecure: true}).Validate(); err != nil {
			t.Errorf("%s is refused although insecure: %v", address, err)
		}
	}
}

func TestBoundsOfCallsAreChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  rpc.Config
		flag string
	}{
		{rpc.Config{}, ""},
		{rpc.Config{Calls: 8, CallsWaiting: 32}, ""},
		{rpc.Config{Calls: -1}, "--calls=-1"},
		{rpc.Config{Calls: 1 << 20}, "--calls=1048576"},
		{rpc.Config{CallsWaiting: -1}, "--calls-waiting=-1"},
		{rpc.Config{CallsWaiting: 1 << 20}, "--calls-waiting=1048576"},
	} {
		if err := c.cfg.Validate(); (err != nil) != (c.flag != "") || err != nil && !strings.Contains(err.Error(), c.flag) {
			t.Errorf("%+v: %v, want it to name %q", c.cfg, err, c.flag)
		}
	}
}

func TestTargetsAreCheckedWhenTyped(t *testing.T) {
	for target, base := range map[string]string{
		"localhost:7001": "http://localhost:7001", "http://h:1/": "http://h:1", "https://h": "https://h", "unix:/run/vow.sock": "http://localhost",
	} {
		c, err := rpc.NewClient(rpc.Target{Address: target}, rpc.ClientSettings{})
		if err != nil || c.BaseURL() != base {
			t.Errorf("%s: %v", target, err)
			continue
		}
		c.Close()
	}
	for _, target := range []string{"", "localhost", "ftp://x", "unix:", "http://"} {
		if _, err := rpc.NewClient(rpc.Target{Address: target}, rpc.ClientSettings{}); err == nil || !strings.Contains(err.Error(), "cannot use address") {
			t.Errorf("%q: got %v", target, err)
		}
	}
}

func TestARealSocketServesAllProtocols(t *testing.T) {
	server, err := rpc.NewServer(rpc.Config{Address: "127.0.0.1:0", AdminAddress: "127.0.0.1:0"}, rpc.Settings{Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, server.Start(t.Context()))
	defer server.Stop(t.Context())
	client, err := rpc.NewClient(rpc.Target{Address: server.Addr().String()}, rpc.ClientSettings{})
	must(t, err)
	defer client.Close()
	for name, httpClient := range map[string]connect.HTTPClient{"h2c": client.HTTP(), "http/1.1": &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true}}} {
		c := connect.NewClient[request, response](httpClient, client.BaseURL()+"/grpc.health.v1.Health/Check")
		if _, err := c.CallUnary(t.Context(), connect.NewRequest(&request{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
