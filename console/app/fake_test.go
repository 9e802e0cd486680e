package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// hello is the tree of the small fleet; big is one with as many instances as the fleet has partitions.
const (
	hello = "t0123456789ab"
	big   = "t0123456789ac"
)

// hostile is a title, a message and a reason that a page must show as it is.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{.}}`

// fleet answers as the services do.
type fleet struct {
	masterv1connect.UnimplementedComputerServiceHandler
	masterv1connect.UnimplementedSoftwareServiceHandler
	masterv1connect.UnimplementedInstanceServiceHandler
	masterv1connect.UnimplementedTreeServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedConvergenceServiceHandler
	masterv1connect.UnimplementedFeedServiceHandler
	masterv1connect.UnimplementedAuditServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	schedulerv1connect.UnimplementedAgendaServiceHandler
	promisev1connect.UnimplementedPromiseServiceHandler

	trees, computers int  // beside hello and laptop
	cut              bool // the node does not answer

	mu      sync.Mutex
	red     bool
	changed chan struct{} // closed at each change
	acts    []string
	keys    []string
}

func (f *fleet) turn(red bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.red = red
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) did(key, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acts, f.keys = append(f.acts, fmt.Sprintf(format, args...)), append(f.keys, key)
}

func (f *fleet) colour() *typev1.ColourStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.red {
		return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: "web: run failed: " + hostile, Since: timestamppb.New(time.Now().Add(-3 * time.Minute))}
	}
	return green()
}

func green() *typev1.ColourStatus {
	return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN, Since: timestamppb.New(time.Now().Add(-time.Hour))}
}

func (f *fleet) hello() *masterv1.Tree {
	colour := f.colour()
	latest := &masterv1.RunSummary{RunId: "r1", Cause: typev1.Cause_CAUSE_BANG, Result: typev1.RunResult_RUN_RESULT_SUCCESS, ReportedAt: timestamppb.New(time.Now().Add(-time.Minute)), Attempt: 1}
	if colour.GetColour() == typev1.Colour_COLOUR_RED {
		latest.Result, latest.ErrorType, latest.Error, latest.Attempt = typev1.RunResult_RUN_RESULT_FAILURE, "promise", "web-listens failed:\nconnection refused", 2
	}
	instance := func(n int, title string) *masterv1.Instance {
		return &masterv1.Instance{
			InstanceId: fmt.Sprintf("%s.i%d", hello, n), AllocationId: fmt.Sprintf("%s.a%d", hello, n), TreeId: hello, Title: title, Computer: "laptop", Partition: fmt.Sprintf("slappart%d", n),
			State: typev1.RequestedState_REQUESTED_STATE_STARTED, SoftwareRelease: "https://user:secret@example.net/hello", Parameters: map[string]string{"port": "80", "peer-password": "hunter3"},
			ConnectionParameters: map[string]string{"password": "hunter2"}, Status: &masterv1.PartitionStatus{Colour: green(), Latest: latest, LastSuccessRunId: "r0"},
		}
	}
	root, web := instance(1, hostile), instance(2, "web")
	web.RequesterId, web.Status.Colour = root.GetInstanceId(), colour
	return &masterv1.Tree{
		TreeId: hello, Title: hostile, Colour: colour, Generation: &typev1.Generation{Number: 7}, BangQuota: 1440, BangsToday: 1,
		Instances: []*masterv1.Instance{root, web}, ConvergenceId: hello + ".c1", Conditions: []string{hostile},
	}
}

func (f *fleet) GetTree(_ context.Context, r *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
	switch {
	case strings.HasPrefix(r.GetId(), hello), r.GetTitle() == "hello":
		return &masterv1.GetTreeResponse{Tree: f.hello()}, nil
	case strings.HasPrefix(r.GetId(), big):
		tree := f.plain(big, "big")
		for i := range f.computers * 10 {
			tree.Instances = append(tree.Instances, &masterv1.Instance{
				InstanceId: fmt.Sprintf("%s.i%d", big, i+1), AllocationId: fmt.Sprintf("%s.a%d", big, i+1), Title: fmt.Sprintf("member %d", i), State: typev1.RequestedState_REQUESTED_STATE_STARTED,
				Computer: fmt.Sprintf("computer%d", i/10), Partition: fmt.Sprintf("slappart%d", i%10), Status: &masterv1.PartitionStatus{Colour: green()},
			})
		}
		return &masterv1.GetTreeResponse{Tree: tree}, nil
	}
	return nil, rpc.Errorf(rpc.CodeNotFound, "cannot find tree %q", r.GetTitle()+r.GetId())
}

func (f *fleet) plain(id, title string) *masterv1.Tree {
	return &masterv1.Tree{TreeId: id, Title: title, Colour: green(), Generation: &typev1.Generation{Number: 1}}
}

func (f *fleet) ListTrees(_ context.Context, r *masterv1.ListTreesRequest) (*masterv1.ListTreesResponse, error) {
	from, _ := strconv.Atoi(r.GetPageToken())
	answer := &masterv1.ListTreesResponse{}
	if from == 0 {
		answer.Trees = append(answer.Trees, f.hello())
	}
	for i := from; i < min(from+999, f.trees); i++ {
		answer.Trees = append(answer.Trees, f.plain(fmt.Sprintf("t%012d", i), fmt.Sprintf("tree %05d", i)))
	}
	if from+999 < f.trees {
		answer.NextPageToken = strconv.Itoa(from + 999)
	}
	return answer, nil
}

func (f *fleet) computer(name string, of string) *masterv1.Computer {
	c := &masterv1.Computer{
		Name: name, Colour: green(), LastContact: timestamppb.Now(), Cpus: 4, Capacity: &masterv1.Capacity{MemoryBytes: 8 << 30, DiskBytes: 100 << 30},
		Reserved: &masterv1.Needs{MilliCpus: 1000, MemoryBytes: 6 << 30},
	}
	for i := range 10 {
		c.Partitions = append(c.Partitions, &masterv1.Partition{Name: fmt.Sprintf("slappart%d", i), InstanceId: fmt.Sprintf("%s.i%d", of, i), InstanceTitle: "member", Colour: green()})
	}
	return c
}

func (f *fleet) ListComputers(_ context.Context, r *masterv1.ListComputersRequest) (*masterv1.ListComputersResponse, error) {
	from, _ := strconv.Atoi(r.GetPageToken())
	answer := &masterv1.ListComputersResponse{}
	if from == 0 {
		answer.Computers = append(answer.Computers, f.computer("laptop", hello))
	}
	for i := from; i < min(from+999, f.computers); i++ {
		answer.Computers = append(answer.Computers, f.computer(fmt.Sprintf("computer%d", i), big))
	}
	if from+999 < f.computers {
		answer.NextPageToken = strconv.Itoa(from + 999)
	}
	return answer, nil
}

func (f *fleet) GetComputer(_ context.Context, r *masterv1.GetComputerRequest) (*masterv1.GetComputerResponse, error) {
	return &masterv1.GetComputerResponse{Computer: f.computer(r.GetComputer(), hello)}, nil
}

func (f *fleet) ListSoftware(_ context.Context, r *masterv1.ListSoftwareRequest) (*masterv1.ListSoftwareResponse, error) {
	return &masterv1.ListSoftwareResponse{Software: []*masterv1.Software{{SoftwareRelease: "https://user:secret@example.net/hello", Computer: r.GetComputer(), Reported: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}}}, nil
}

func (f *fleet) ListRunCrimes(context.Context, *masterv1.ListRunCrimesRequest) (*masterv1.ListRunCrimesResponse, error) {
	return &masterv1.ListRunCrimesResponse{Crimes: []*masterv1.RunCrime{{Crime: typev1.MonitoringCrime_MONITORING_CRIME_LONG_RUN, TreeId: hello, Title: "web", AllocationId: hello + ".a2", Evidence: hostile}}}, nil
}

func (f *fleet) WatchTreeColours(ctx context.Context, _ *masterv1.WatchTreeColoursRequest, stream *connect.ServerStream[masterv1.WatchTreeColoursResponse]) error {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if err := stream.Send(&masterv1.WatchTreeColoursResponse{TreeId: hello, Title: "hello", Colour: f.colour()}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fleet) WatchComputerColours(ctx context.Context, _ *masterv1.WatchComputerColoursRequest, _ *connect.ServerStream[masterv1.WatchComputerColoursResponse]) error {
	<-ctx.Done()
	return ctx.Err()
}

// Follow tells of one bang that was withheld.
func (f *fleet) Follow(ctx context.Context, _ *masterv1.FollowRequest, stream *connect.ServerStream[masterv1.FollowResponse]) error {
	err := stream.Send(&masterv1.FollowResponse{Entries: []*masterv1.FeedEntry{{Kind: masterv1.FeedEntryKind_FEED_ENTRY_KIND_WITHHELD, TreeId: hello, At: timestamppb.Now()}}})
	<-ctx.Done()
	return err
}

func (f *fleet) ListBangs(context.Context, *masterv1.ListBangsRequest) (*masterv1.ListBangsResponse, error) {
	return &masterv1.ListBangsResponse{Bangs: []*masterv1.Bang{
		{BangId: hello + ".b2", Outcome: masterv1.BangOutcome_BANG_OUTCOME_REFUSED, Reason: "quota", Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE, Source: hostile, Message: hostile, At: timestamppb.Now()},
		{BangId: hello + ".b1", Outcome: masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED, ConvergenceId: hello + ".c1", Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS, Source: "web", At: timestamppb.Now(), SatisfiedAt: timestamppb.Now()},
	}}, nil
}

func (f *fleet) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	f.did(r.GetRequestId(), "bang %s by %s: %s", r.GetTreeId(), r.GetSource(), r.GetMessage())
	return &masterv1.BangResponse{Results: []*masterv1.BangResult{{BangId: hello + ".b3", ConvergenceId: hello + ".c1", TraceId: strings.Repeat("a", 32)}}}, nil
}

func (f *fleet) SetInstanceState(_ context.Context, r *masterv1.SetInstanceStateRequest) (*masterv1.SetInstanceStateResponse, error) {
	f.did(r.GetRequestId(), "set %s %s", r.GetInstanceId(), r.GetState())
	return &masterv1.SetInstanceStateResponse{}, nil
}

func (f *fleet) convergence(id string) *masterv1.Convergence {
	at := func(ms int) *timestamppb.Timestamp {
		return timestamppb.New(time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond))
	}
	tree := strings.Split(id, ".")[0]
	c := &masterv1.Convergence{
		ConvergenceId: tree + ".c1", TreeId: tree, Title: hostile, BangId: tree + ".b1", State: masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, OpenedAt: at(4), ClosedAt: at(100),
		DurationSeconds: 0.096, TraceId: strings.Repeat("a", 32), NotWaitedFor: []string{hostile},
		Timeline: []*masterv1.TimelineEntry{
			{At: at(0), Moment: masterv1.Moment_MOMENT_NOTICED, Name: hostile, Text: hostile},
			{At: at(4), Moment: masterv1.Moment_MOMENT_BANGED},
			{At: at(6), Moment: masterv1.Moment_MOMENT_DUE, InstanceId: tree + ".i1", Title: "web"},
			{At: at(8), Moment: masterv1.Moment_MOMENT_ORDERED, InstanceId: tree + ".i1"},
			{At: at(10), Moment: masterv1.Moment_MOMENT_BEGUN, InstanceId: tree + ".i1"},
			{At: at(90), Moment: masterv1.Moment_MOMENT_STEP, InstanceId: tree + ".i1", Name: "promises", DurationSeconds: 0.08},
			{At: at(98), Moment: masterv1.Moment_MOMENT_REPORTED, InstanceId: tree + ".i1", Result: typev1.RunResult_RUN_RESULT_SUCCESS},
		},
	}
	members := 1
	if tree == big {
		members = f.computers * 10
		c.State, c.ClosedAt = masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, nil
	}
	for i := range members {
		c.Members = append(c.Members, &masterv1.ConvergenceMember{InstanceId: fmt.Sprintf("%s.i%d", tree, i+1), Title: fmt.Sprintf("member %d", i), Partition: "slappart0", Settled: i%2 == 0})
	}
	return c
}

func (f *fleet) GetConvergence(_ context.Context, r *masterv1.GetConvergenceRequest) (*masterv1.GetConvergenceResponse, error) {
	return &masterv1.GetConvergenceResponse{Convergence: f.convergence(r.GetId())}, nil
}

func (f *fleet) ListConvergences(_ context.Context, r *masterv1.ListConvergencesRequest) (*masterv1.ListConvergencesResponse, error) {
	return &masterv1.ListConvergencesResponse{Convergences: []*masterv1.Convergence{f.convergence(r.GetTreeId())}}, nil
}

func (f *fleet) ListAgenda(_ context.Context, r *schedulerv1.ListAgendaRequest) (*schedulerv1.ListAgendaResponse, error) {
	answer := &schedulerv1.ListAgendaResponse{Entries: []*schedulerv1.AgendaEntry{
		{Computer: "laptop", Partition: "slappart2", AllocationId: hello + ".a2", Title: hostile, DueAt: timestamppb.New(time.Now().Add(-time.Hour)), Reason: hostile, Connected: true},
	}}
	if r.GetComputer() != "" {
		return answer, nil
	}
	for i := range f.computers * 10 {
		answer.Entries = append(answer.Entries, &schedulerv1.AgendaEntry{
			Computer: fmt.Sprintf("computer%d", i/10), Partition: fmt.Sprintf("slappart%d", i%10), AllocationId: fmt.Sprintf("%s.a%d", big, i+1), Title: "member", Connected: true, DueAt: timestamppb.New(time.Now().Add(time.Hour)),
		})
	}
	return answer, nil
}

func (f *fleet) GetAgenda(context.Context, *schedulerv1.GetAgendaRequest) (*schedulerv1.GetAgendaResponse, error) {
	return &schedulerv1.GetAgendaResponse{Entry: &schedulerv1.AgendaEntry{DueAt: timestamppb.New(time.Now().Add(90 * time.Second)), Cause: typev1.Cause_CAUSE_RETRY, Reason: "growing delay, attempt 2", Connected: true}}, nil
}

func (f *fleet) Pause(_ context.Context, r *schedulerv1.PauseRequest) (*schedulerv1.PauseResponse, error) {
	f.did("", "pause %s%s by %s: %s, %.0f h", r.GetTreeId(), r.GetComputer(), r.GetBy(), r.GetReason(), r.GetDuration().AsDuration().Hours())
	return &schedulerv1.PauseResponse{}, nil
}

func (f *fleet) Resume(_ context.Context, r *schedulerv1.ResumeRequest) (*schedulerv1.ResumeResponse, error) {
	f.did("", "resume %s%s", r.GetTreeId(), r.GetComputer())
	return &schedulerv1.ResumeResponse{}, nil
}

func (f *fleet) RunNow(_ context.Context, r *schedulerv1.RunNowRequest) (*schedulerv1.RunNowResponse, error) {
	f.did(r.GetRequestId(), "run %s/%s", r.GetComputer(), r.GetPartition())
	return &schedulerv1.RunNowResponse{}, nil
}

func (f *fleet) promise() *promisev1.PromiseStatus {
	red := f.colour().GetColour() == typev1.Colour_COLOUR_RED
	value := 4.5
	return &promisev1.PromiseStatus{
		Verdict: &typev1.Verdict{Promise: "web-listens", TestFailed: red, Message: hostile, Since: timestamppb.New(time.Now().Add(-time.Minute))}, At: timestamppb.Now(), Value: &value, PeriodSeconds: 120, Computer: "laptop", Partition: "slappart2",
	}
}

func (f *fleet) ListPromises(context.Context, *promisev1.ListPromisesRequest) (*promisev1.ListPromisesResponse, error) {
	return &promisev1.ListPromisesResponse{Promises: []*promisev1.PromiseStatus{f.promise()}}, nil
}

func (f *fleet) History(_ context.Context, r *promisev1.HistoryRequest) (*promisev1.HistoryResponse, error) {
	answer := &promisev1.HistoryResponse{Status: f.promise(), Messages: []*promisev1.HistoryMessage{{At: timestamppb.Now(), Failed: true, Message: hostile}}}
	for i := range 50 {
		value := float64(i)
		answer.Points = append(answer.Points, &promisev1.HistoryPoint{At: timestamppb.New(time.Now().Add(time.Duration(i-50) * time.Minute)), Value: &value, Failed: i == 40, Anomaly: i == 41, Count: 1})
	}
	return answer, nil
}

func (f *fleet) MutePromise(_ context.Context, r *promisev1.MutePromiseRequest) (*promisev1.MutePromiseResponse, error) {
	f.did("", "mute %s %s by %s: %s, %.0f h", r.GetAllocationId(), r.GetPromise(), r.GetBy(), r.GetReason(), time.Until(r.GetUntil().AsTime()).Hours())
	return &promisev1.MutePromiseResponse{}, nil
}

func (f *fleet) UnmutePromise(_ context.Context, r *promisev1.UnmutePromiseRequest) (*promisev1.UnmutePromiseResponse, error) {
	f.did("", "unmute %s %s by %s", r.GetAllocationId(), r.GetPromise(), r.GetBy())
	return &promisev1.UnmutePromiseResponse{}, nil
}

func (f *fleet) ListCrimes(context.Context, *promisev1.ListCrimesRequest) (*promisev1.ListCrimesResponse, error) {
	return &promisev1.ListCrimesResponse{Crimes: []*promisev1.PromiseCrime{{Crime: promisev1.Crime_CRIME_NEVER_PASSED, AllocationId: hello + ".a2", Promise: hostile, Evidence: hostile}}}, nil
}

// serve the services that are named on a network of their own.
func (f *fleet) serve(t *testing.T, network *memnet.Network, names ...string) {
	t.Helper()
	f.changed = make(chan struct{})
	for _, name := range names {
		listener, err := network.Listen(name + ":1")
		if err != nil {
			t.Fatal(err)
		}
		rpctest.Serve(t, listener, func(server *rpc.Server) {
			options := server.HandlerOptions()
			switch name {
			case "master":
				server.Handle(masterv1connect.NewComputerServiceHandler(f, options...))
				server.Handle(masterv1connect.NewSoftwareServiceHandler(f, options...))
				server.Handle(masterv1connect.NewInstanceServiceHandler(f, options...))
				server.Handle(masterv1connect.NewTreeServiceHandler(f, options...))
				server.Handle(masterv1connect.NewBangServiceHandler(f, options...))
				server.Handle(masterv1connect.NewConvergenceServiceHandler(f, options...))
				server.Handle(masterv1connect.NewFeedServiceHandler(f, options...))
				server.Handle(masterv1connect.NewAuditServiceHandler(f, options...))
				server.Handle(masterv1connect.NewLinkServiceHandler(f, options...))
			case "scheduler":
				server.Handle(schedulerv1connect.NewAgendaServiceHandler(f, options...))
			case "promise":
				server.Handle(promisev1connect.NewPromiseServiceHandler(f, options...))
			}
		})
	}
}
