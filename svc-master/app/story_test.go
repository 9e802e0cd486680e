package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-master/app"
)

const release = "file:///opt/releases/hello"

// master is a svc-master over the embedded store in a network in memory, with a client of every service.
type master struct {
	t         *testing.T
	app       *app.App
	redis     *store.Store
	client    *rpc.Client
	computers masterv1connect.ComputerServiceClient
	software  masterv1connect.SoftwareServiceClient
	instances masterv1connect.InstanceServiceClient
	trees     masterv1connect.TreeServiceClient
	desired   masterv1connect.DesiredServiceClient
	bangs     masterv1connect.BangServiceClient
	runs      masterv1connect.RunServiceClient
	feed      masterv1connect.FeedServiceClient
	links     masterv1connect.LinkServiceClient
	converge  masterv1connect.ConvergenceServiceClient
	usage     masterv1connect.UsageServiceClient
	audit     masterv1connect.AuditServiceClient
	spans     *tracetest.InMemoryExporter
	count     int
}

// inBubble runs a story in virtual time.
func inBubble(t *testing.T, story func(t *testing.T, m *master)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		redis, err := store.Open(t.Context(), store.Config{Embedded: true}, store.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		story(t, start(t, redis, nil))
	})
}

func start(t *testing.T, redis *store.Store, settings func(*app.Settings)) *master {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("master:7711")
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	told, err := telemetry.Setup(t.Context(), telemetry.Config{}, telemetry.Settings{Service: app.Service, Shared: true, LogWriter: io.Discard, SpanExporter: spans})
	if err != nil {
		t.Fatal(err)
	}
	s := app.Settings{Server: rpc.Settings{Listener: listener}, Store: redis, Telemetry: told}
	if settings != nil {
		settings(&s)
	}
	a, err := app.New(app.Config{}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := rpc.NewClient(rpc.Target{Address: "master:7711"}, rpc.ClientSettings{Dial: network.Dialer("laptop"), Caller: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		ctx := context.Background()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := errors.Join(redis.Stop(ctx), told.Shutdown(ctx)); err != nil {
			t.Error(err)
		}
	})
	h, u, o := client.HTTP(), client.BaseURL(), client.Options()
	return &master{
		t: t, app: a, redis: redis, client: client, spans: spans,
		computers: masterv1connect.NewComputerServiceClient(h, u, o...), software: masterv1connect.NewSoftwareServiceClient(h, u, o...),
		instances: masterv1connect.NewInstanceServiceClient(h, u, o...), trees: masterv1connect.NewTreeServiceClient(h, u, o...),
		desired: masterv1connect.NewDesiredServiceClient(h, u, o...), bangs: masterv1connect.NewBangServiceClient(h, u, o...),
		runs: masterv1connect.NewRunServiceClient(h, u, o...), feed: masterv1connect.NewFeedServiceClient(h, u, o...),
		links: masterv1connect.NewLinkServiceClient(h, u, o...), converge: masterv1connect.NewConvergenceServiceClient(h, u, o...),
		usage: masterv1connect.NewUsageServiceClient(h, u, o...), audit: masterv1connect.NewAuditServiceClient(h, u, o...),
	}
}

// must fails the test on an error of a call.
func must[R any](m *master) func(R, error) R {
	return func(r R, err error) R {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
		return r
	}
}

// register declares a computer with n partitions and supplies the release to it.
func (m *master) register(name string, n int) {
	m.t.Helper()
	req := &masterv1.RegisterComputerRequest{Computer: name, Cpus: 2, Periodicity: durationpb.New(3600e9)}
	for i := range n {
		req.Partitions = append(req.Partitions, &masterv1.Partition{Name: fmt.Sprintf("slappart%d", i), Addresses: []string{"127.0.0.1"}})
	}
	must[*masterv1.RegisterComputerResponse](m)(m.computers.RegisterComputer(m.t.Context(), req))
	must[*masterv1.SupplySoftwareResponse](m)(m.software.SupplySoftware(m.t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: release, Computer: name}))
}

func (m *master) request(requester, title string) *masterv1.RequestInstanceResponse {
	m.t.Helper()
	return must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(m.t.Context(), &masterv1.RequestInstanceRequest{
		RequesterId: requester, Title: title, SoftwareRelease: release, Parameters: map[string]string{"port": "80"},
	}))
}

func (m *master) tree(id string) *masterv1.Tree {
	m.t.Helper()
	return must[*masterv1.GetTreeResponse](m)(m.trees.GetTree(m.t.Context(), &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: id}})).GetTree()
}

func (m *master) begin(i *masterv1.Instance, cause typev1.Cause) (runID string, res *masterv1.BeginRunResponse) {
	m.t.Helper()
	m.count++
	runID = fmt.Sprintf("run-%012d", m.count)
	return runID, must[*masterv1.BeginRunResponse](m)(m.runs.BeginRun(m.t.Context(), &masterv1.BeginRunRequest{
		Computer: i.GetComputer(), Partition: i.GetPartition(), AllocationId: i.GetAllocationId(), RunId: runID, Cause: cause, Attempt: 1,
	}))
}

func (m *master) report(i *masterv1.Instance, runID string, token uint64, result typev1.RunResult) *masterv1.ReportRunResponse {
	m.t.Helper()
	return must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(m.t.Context(), report(i, runID, token, result)))
}

func report(i *masterv1.Instance, runID string, token uint64, result typev1.RunResult) *masterv1.ReportRunRequest {
	return &masterv1.ReportRunRequest{
		Computer: i.GetComputer(), Partition: i.GetPartition(), AllocationId: i.GetAllocationId(), RunId: runID, Token: token, Result: result,
		Steps: []*masterv1.StepReport{{Name: "profile", DurationSeconds: 0.01, Result: result}}, DurationSeconds: 0.02,
	}
}

// run begins and reports a success.
func (m *master) run(i *masterv1.Instance) *masterv1.ReportRunResponse {
	m.t.Helper()
	runID, begun := m.begin(i, typev1.Cause_CAUSE_CHANGED)
	return m.report(i, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
}

// family requests a root with two children and lets all of them run.
func (m *master) family() []*masterv1.Instance {
	m.t.Helper()
	m.register("one", 4)
	root := m.request("", "shop")
	if root.GetReady() || root.GetReason() != "has not run yet on partition slappart0 of one" {
		m.t.Fatalf("a new root is %v, %q", root.GetReady(), root.GetReason())
	}
	m.request(root.GetInstance().GetInstanceId(), "db")
	m.request(root.GetInstance().GetInstanceId(), "web")
	instances := m.tree(root.GetInstance().GetTreeId()).GetInstances()
	for _, i := range instances {
		m.run(i)
	}
	return instances
}

// A promise's bang opens a convergence that closes with the report of the last member, and everyone can read why.
func TestBangToConverged(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		instances := m.family()
		treeID := instances[0].GetTreeId()
		if c := m.tree(treeID).GetColour(); c.GetColour() != typev1.Colour_COLOUR_GREEN {
			t.Fatalf("the tree is %v: %s", c.GetColour(), c.GetReason())
		}
		bang := must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			Target: &masterv1.BangRequest_AllocationId{AllocationId: instances[1].GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE,
			Source: "port", Message: "nothing listens",
		})).GetResults()[0]
		if bang.GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED || bang.GetTraceId() == "" {
			t.Fatalf("the bang is %v", bang)
		}
		if c := m.tree(treeID).GetColour(); c.GetColour() != typev1.Colour_COLOUR_RED || c.GetReason() == "" {
			t.Fatalf("after the bang the tree is %v: %s", c.GetColour(), c.GetReason())
		}
		unsettled := must[*masterv1.ListAllocationsResponse](m)(m.feed.ListAllocations(t.Context(), &masterv1.ListAllocationsRequest{Unsettled: true}))
		if n := len(unsettled.GetAllocations()); n != 3 {
			t.Fatalf("%d allocations are unsettled, want 3", n)
		}
		for n, i := range instances {
			closed := m.run(i).GetClosedConvergenceId()
			if last := n == len(instances)-1; (closed == bang.GetConvergenceId()) != last {
				t.Fatalf("report %d closed %q", n, closed)
			}
		}
		got := must[*masterv1.GetConvergenceResponse](m)(m.converge.GetConvergence(t.Context(), &masterv1.GetConvergenceRequest{Id: bang.GetBangId()})).GetConvergence()
		if got.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED || got.GetBangId() != bang.GetBangId() || got.GetTraceId() != bang.GetTraceId() {
			t.Fatalf("the convergence is %v", got)
		}
		if first, last := got.GetTimeline()[0], got.GetTimeline()[len(got.GetTimeline())-1]; first.GetMoment() != masterv1.Moment_MOMENT_NOTICED || last.GetMoment() != masterv1.Moment_MOMENT_CLOSED {
			t.Fatalf("the timeline goes from %v to %v", first, last)
		}
		bangs := must[*masterv1.ListBangsResponse](m)(m.bangs.ListBangs(t.Context(), &masterv1.ListBangsRequest{TreeId: treeID})).GetBangs()
		if len(bangs) != 1 || bangs[0].GetSatisfiedAt() == nil {
			t.Fatalf("the bangs are %v", bangs)
		}
		if c := m.tree(treeID).GetColour(); c.GetColour() != typev1.Colour_COLOUR_GREEN {
			t.Fatalf("at the end the tree is %v: %s", c.GetColour(), c.GetReason())
		}
		m.expectSpans(bang)
	})
}

// expectSpans wants the spans of the story: `converge` beneath `bang`, from the bang's record to the end.
func (m *master) expectSpans(bang *masterv1.BangResult) {
	m.t.Helper()
	found := map[string]tracetest.SpanStub{}
	for _, s := range m.spans.GetSpans() {
		found[s.Name] = s
	}
	banged, converged := found[conv.SpanBang], found[conv.SpanConverge]
	if banged.SpanContext.TraceID().String() != bang.GetTraceId() || converged.Parent.SpanID() != banged.SpanContext.SpanID() {
		m.t.Errorf("the bang %s has the span %v, and converge the parent %v", bang.GetTraceId(), banged.SpanContext, converged.Parent)
	}
	if took := converged.EndTime.Sub(converged.StartTime); took < 0 || took > time.Minute || converged.StartTime.Before(banged.StartTime) {
		m.t.Errorf("converge goes from %v to %v, the bang began at %v", converged.StartTime, converged.EndTime, banged.StartTime)
	}
	for _, want := range []attribute.KeyValue{
		conv.BangID.String(bang.GetBangId()), conv.ConvergenceID.String(bang.GetConvergenceId()), conv.ConvergenceResult.String(conv.ConvergenceConverged), conv.BangTargets.Int(3),
	} {
		if !slices.Contains(converged.Attributes, want) {
			m.t.Errorf("converge has no %s=%s: %v", want.Key, want.Value.String(), converged.Attributes)
		}
	}
	for _, name := range []string{conv.SpanBeginRun, conv.SpanReportRun} {
		if _, ok := found[name]; !ok {
			m.t.Errorf("there is no span %q", name)
		}
	}
}

// Bangs of people are kept under their request id: the same id gets the first answer and makes no second bang; a computer
// bang is one bang per tree, and a bang beyond the quota is refused with the time when it opens again.
func TestBangsOfPeople(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		one := m.family()[0].GetTreeId()
		two := m.request("", "other").GetInstance()
		m.run(two)
		ask := func(id string) *masterv1.BangResponse {
			return must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
				Target: &masterv1.BangRequest_Computer{Computer: "one"}, Origin: typev1.BangOrigin_BANG_ORIGIN_COMPUTER, Source: "me", RequestId: id,
			}))
		}
		first := ask("r1")
		if len(first.GetResults()) != 2 {
			t.Fatalf("a computer with two trees answers %v", first)
		}
		if again := ask("r1"); !proto.Equal(first, again) {
			t.Fatalf("a repeated bang answers %v, the first %v", again, first)
		}
		if second := ask("r2"); second.GetResults()[0].GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_JOINED {
			t.Fatalf("a second bang answers %v", second)
		}
		for _, id := range []string{one, two.GetTreeId()} {
			if n := len(must[*masterv1.ListBangsResponse](m)(m.bangs.ListBangs(t.Context(), &masterv1.ListBangsRequest{TreeId: id})).GetBangs()); n != 2 {
				t.Fatalf("%d bangs of %s are recorded, want 2", n, id)
			}
		}
	})
}

// A bang beyond the quota is recorded, turns its partition Red and is refused with the time when the quota opens again.
func TestQuota(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		quota := uint32(1)
		m.register("one", 1)
		root := m.request("", "shop").GetInstance()
		must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(t.Context(), &masterv1.ReportSoftwareStateRequest{
			Computer: "one", SoftwareRelease: release, State: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE, Options: &masterv1.ReleaseOptions{BangQuota: &quota},
		}))
		m.run(root)
		bang := func() error {
			_, err := m.bangs.Bang(t.Context(), &masterv1.BangRequest{
				Target: &masterv1.BangRequest_AllocationId{AllocationId: root.GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS,
				Source: "web", UpSeconds: 60, ExitSequence: uint64(m.count),
			})
			return err
		}
		if err := bang(); err != nil {
			t.Fatal(err)
		}
		m.run(root)
		err := bang()
		after, ok := rpc.RetryAfter(err)
		if !rpc.IsResourceExhausted(err) || !ok || after > 24*time.Hour {
			t.Fatalf("beyond the quota it answers %v, again after %v", err, after)
		}
		bangs := must[*masterv1.ListBangsResponse](m)(m.bangs.ListBangs(t.Context(), &masterv1.ListBangsRequest{TreeId: root.GetTreeId()})).GetBangs()
		if bangs[0].GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_REFUSED {
			t.Fatalf("the newest record is %v", bangs[0])
		}
		if c := m.tree(root.GetTreeId()).GetColour(); c.GetColour() != typev1.Colour_COLOUR_RED {
			t.Fatalf("after a refused bang the tree is %v", c)
		}
	})
}
