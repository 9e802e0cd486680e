// Command grpc calls vow with grpc-go and the generated clients alone: round robin over the replicas of svc-master, retries by the service configuration, a deadline
// for the whole, and OpenTelemetry by its standard environment variables (OTEL_TRACES_EXPORTER=console shows the spans).
//
//	go run ./grpc --master 10.0.0.1:7711,10.0.0.2:7711 shop file:///opt/releases/shop web-port=8080
//
// With vowclient.NewGRPC(conn) most of deploy would be one line; here is what it stands for.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// serviceConfig is the load balancing and the retries.
//
//go:embed service.json
var serviceConfig string

func main() {
	masters := flag.String("master", "127.0.0.1:7711", "`addresses` of the replicas of svc-master, host:port, separated by commas")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "cannot deploy: want TITLE RELEASE [PARAMETER=VALUE …]")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // told to the server with each call
	defer cancel()
	if err := run(ctx, strings.Split(*masters, ","), flag.Arg(0), flag.Arg(1), flag.Args()[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, masters []string, title, release string, parameters []string) (err error) {
	exporter, err := autoexport.NewSpanExporter(ctx, autoexport.WithFallbackSpanExporter(func(context.Context) (sdktrace.SpanExporter, error) { return none{}, nil }))
	if err != nil {
		return err
	}
	tracing := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	defer func() { err = errors.Join(err, tracing.Shutdown(context.WithoutCancel(ctx))) }()
	otel.SetTracerProvider(tracing)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))

	// Where a DNS name has an address for each replica, "dns:///svc-master:7711" replaces this resolver.
	replicas := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, address := range masters {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	replicas.InitialState(state)
	conn, err := grpc.NewClient("replicas:///svc-master", grpc.WithResolvers(replicas), grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	if err != nil {
		return err
	}
	defer conn.Close()
	return deploy(ctx, conn, title, release, parameters)
}

// none is where spans go when no exporter is configured.
type none struct{}

func (none) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (none) Shutdown(context.Context) error                             { return nil }

func deploy(ctx context.Context, conn grpc.ClientConnInterface, title, release string, parameters []string) error {
	ctx, span := otel.Tracer("example").Start(ctx, "deploy site")
	defer span.End()

	// The key makes every repetition of the call the same one; gRPC sends the very same message again.
	request := &masterv1.RequestInstanceRequest{RequestId: rand.Text(), Title: title, SoftwareRelease: release, Parameters: map[string]string{}}
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		request.Parameters[name] = value
	}
	requested, err := masterv1.NewInstanceServiceClient(conn).RequestInstance(ctx, request)
	if err != nil {
		return err
	}
	trees := masterv1.NewTreeServiceClient(conn)
	treeID := requested.GetInstance().GetTreeId()
	err = resume(ctx, func() error { return waitGreen(ctx, trees, treeID) })
	if err != nil {
		return err
	}
	read, err := trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: treeID}})
	if err != nil {
		return err
	}
	fmt.Printf("%s is Green\n", title)
	for name, value := range read.GetTree().GetInstances()[0].GetConnectionParameters() {
		if strings.HasSuffix(name, "-url") { // others may be secrets
			fmt.Printf("%s=%s\n", name, value)
		}
	}

	banged, err := masterv1.NewBangServiceClient(conn).Bang(ctx, &masterv1.BangRequest{
		RequestId: rand.Text(), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "grpc example", Target: &masterv1.BangRequest_TreeId{TreeId: treeID},
	})
	if err != nil {
		return err
	}
	convergences := masterv1.NewConvergenceServiceClient(conn)
	return resume(ctx, func() error { return follow(ctx, convergences, banged.GetResults()[0].GetConvergenceId()) })
}

// errCut is a stream that ended before what it follows did.
var errCut = status.Error(codes.Unavailable, "the stream ended too early")

// waitGreen returns when the tree is Green, and each instance of it has run since the last change: Green alone may be that of before it.
func waitGreen(ctx context.Context, trees masterv1.TreeServiceClient, treeID string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := trees.WatchTreeColours(ctx, &masterv1.WatchTreeColoursRequest{TreeId: treeID})
	if err != nil {
		return err
	}
	for {
		colours, err := watch.Recv()
		if err != nil {
			return err
		}
		settled := true
		for _, i := range colours.GetInstances() {
			settled = settled && i.GetSettled()
		}
		if settled && colours.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN {
			return nil
		}
	}
}

// follow tells each state of a convergence, to its end.
func follow(ctx context.Context, convergences masterv1.ConvergenceServiceClient, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := convergences.WatchConvergence(ctx, &masterv1.WatchConvergenceRequest{Id: id})
	if err != nil {
		return err
	}
	for {
		told, err := watch.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return err
		}
		c := told.GetConvergence()
		fmt.Printf("%s %s, trace %s\n", c.GetConvergenceId(), c.GetState(), c.GetTraceId())
		switch {
		case c.GetState() == masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED:
			return nil
		case c.GetClosedAt() != nil:
			return fmt.Errorf("convergence %s ended %s: %s", id, c.GetState(), c.GetReason())
		}
	}
}

// resume opens a stream again while it only breaks: retries of a service configuration end with a stream's first message. Each begins with the whole state, so nothing is missed.
func resume(ctx context.Context, open func() error) error {
	for {
		err := open()
		if status.Code(err) != codes.Unavailable {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}
