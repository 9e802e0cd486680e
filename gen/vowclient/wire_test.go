package vowclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	validate "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/gen/vowclient"
)

// server is a svc-master of one tree that is Green at once, over both stacks. The first bang's answer is lost.
type server struct {
	masterv1connect.UnimplementedInstanceServiceHandler
	masterv1connect.UnimplementedTreeServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedConvergenceServiceHandler
	masterv1connect.UnimplementedComputerServiceHandler

	mu    sync.Mutex
	bangs map[string]int
}

// serve runs it in clear text, HTTP/1.1 and 2.
func serve() *httptest.Server {
	s := &server{bangs: map[string]int{}}
	mux := http.NewServeMux()
	mux.Handle(masterv1connect.NewInstanceServiceHandler(s))
	mux.Handle(masterv1connect.NewTreeServiceHandler(s))
	mux.Handle(masterv1connect.NewBangServiceHandler(s))
	mux.Handle(masterv1connect.NewConvergenceServiceHandler(s))
	mux.Handle(masterv1connect.NewComputerServiceHandler(s))
	unstarted := httptest.NewUnstartedServer(mux)
	unstarted.Config.Protocols = new(http.Protocols)
	unstarted.Config.Protocols.SetHTTP1(true)
	unstarted.Config.Protocols.SetUnencryptedHTTP2(true)
	unstarted.Start()
	return unstarted
}

func with(code connect.Code, text string, detail proto.Message) error {
	e := connect.NewError(code, errors.New(text))
	if d, err := connect.NewErrorDetail(detail); err == nil {
		e.AddDetail(d)
	}
	return e
}

func (*server) RequestInstance(_ context.Context, r *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	if r.GetTitle() == "" {
		return nil, with(connect.CodeInvalidArgument, "title: value length must be at least 1 bytes", &validate.Violations{Violations: []*validate.Violation{{
			Field:  &validate.FieldPath{Elements: []*validate.FieldPathElement{{FieldName: proto.String("sla")}, {FieldName: proto.String("labels"), Subscript: &validate.FieldPathElement_StringKey{StringKey: "rack"}}}},
			RuleId: proto.String("string.min_bytes"), Message: proto.String("value length must be at least 1 bytes"),
		}}})
	}
	return &masterv1.RequestInstanceResponse{Instance: tree().GetInstances()[0]}, nil
}

func tree() *masterv1.Tree {
	now := &typev1.Generation{Epoch: 1, Number: 1}
	return &masterv1.Tree{TreeId: "t1", Title: "shop", Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}, Instances: []*masterv1.Instance{{
		InstanceId: "t1.i1", TreeId: "t1", Title: "shop", State: typev1.RequestedState_REQUESTED_STATE_STARTED, AllocationId: "t1.a1",
		ConnectionParameters: map[string]string{"url": "http://127.0.0.1:8080/"}, Status: &masterv1.PartitionStatus{Wanted: now, Settled: now},
	}}}
}

func (*server) GetTree(_ context.Context, r *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
	if r.GetTitle() == "nothing" {
		return nil, connect.NewError(connect.CodeNotFound, errors.New(`cannot find tree "nothing"`))
	}
	return &masterv1.GetTreeResponse{Tree: tree()}, nil
}

func (*server) ListTrees(_ context.Context, r *masterv1.ListTreesRequest) (*masterv1.ListTreesResponse, error) {
	if r.GetPageToken() == "" {
		return &masterv1.ListTreesResponse{Trees: []*masterv1.Tree{{Title: "shop"}}, NextPageToken: "t1"}, nil
	}
	return &masterv1.ListTreesResponse{Trees: []*masterv1.Tree{{Title: "site"}}}, nil
}

func (s *server) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bangs[r.GetRequestId()]++
	switch {
	case r.GetTreeId() == "tired":
		return nil, with(connect.CodeResourceExhausted, "cannot bang tree tired: its quota of 1440 bangs is used up", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Hour)})
	case s.bangs[r.GetRequestId()] == 1 && r.GetTreeId() == "lost":
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("it restarts"))
	}
	return &masterv1.BangResponse{Results: []*masterv1.BangResult{{BangId: "t1.b1", ConvergenceId: "t1.c1"}}}, nil
}

func (*server) WatchConvergence(_ context.Context, _ *masterv1.WatchConvergenceRequest, stream *connect.ServerStream[masterv1.WatchConvergenceResponse]) error {
	c := &masterv1.Convergence{ConvergenceId: "t1.c1", State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, Members: []*masterv1.ConvergenceMember{{Title: "shop"}}}
	if err := stream.Send(&masterv1.WatchConvergenceResponse{Convergence: c}); err != nil {
		return err
	}
	c = proto.CloneOf(c)
	c.State, c.ClosedAt, c.Members[0].Settled = masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, timestamppb.Now(), true
	return stream.Send(&masterv1.WatchConvergenceResponse{Convergence: c})
}

// overBothStacks runs a test with a client of each.
func overBothStacks(t *testing.T, test func(t *testing.T, c *vowclient.Client)) {
	t.Helper()
	s := serve()
	t.Cleanup(s.Close)
	conn, err := grpc.NewClient(s.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Run("connect", func(t *testing.T) { test(t, vowclient.New(s.Client(), s.URL)) })
	t.Run("grpc", func(t *testing.T) { test(t, vowclient.NewGRPC(conn)) })
}

func TestErrorsAreToldApartOverBothStacks(t *testing.T) {
	overBothStacks(t, func(t *testing.T, c *vowclient.Client) {
		_, err := c.Request(t.Context(), &masterv1.RequestInstanceRequest{})
		var invalid *vowclient.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Violations) != 1 {
			t.Fatalf("invalid: %v", err)
		}
		want := vowclient.Violation{Field: `sla.labels["rack"]`, Rule: "string.min_bytes", Message: "value length must be at least 1 bytes"}
		if invalid.Violations[0] != want {
			t.Errorf("%+v, want %+v", invalid.Violations[0], want)
		}

		_, err = c.BangAndWait(t.Context(), &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "tired"}})
		var refused *vowclient.RefusedError
		if !errors.As(err, &refused) || vowclient.CodeOf(err) != connect.CodeResourceExhausted {
			t.Fatalf("refused: %v", err)
		}
		if in := time.Until(refused.OpensAt); in < 59*time.Minute || in > time.Hour {
			t.Errorf("it opens in %s, want an hour", in)
		}

		if _, err = c.TreeByTitle(t.Context(), "nothing"); !vowclient.IsNotFound(err) {
			t.Errorf("not found: %v", err)
		}
	})
}

func TestAStoryOverBothStacks(t *testing.T) {
	overBothStacks(t, func(t *testing.T, c *vowclient.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		i, err := c.RequestAndWait(ctx, &masterv1.RequestInstanceRequest{Title: "shop"})
		if err != nil || i.GetConnectionParameters()["url"] == "" {
			t.Fatal(i, err)
		}
		// The first answer says that it restarts: the second call has the same key.
		convergence, err := c.BangAndWait(ctx, &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "lost"}})
		if err != nil || !convergence.GetMembers()[0].GetSettled() {
			t.Fatal(convergence, err)
		}
		trees, err := vowclient.Collect(c.Trees(ctx))
		if err != nil || len(trees) != 2 {
			t.Error(trees, err)
		}
	})
}

func TestAServerThatIsGoneIsUnavailableOverBothStacks(t *testing.T) {
	s := serve()
	address := s.Listener.Addr().String()
	s.Close()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, c := range map[string]*vowclient.Client{"connect": vowclient.New(&http.Client{}, "http://"+address), "grpc": vowclient.NewGRPC(conn)} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := c.Tree(ctx, "t1")
		cancel()
		if code := vowclient.CodeOf(err); code != connect.CodeUnavailable && code != connect.CodeDeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// asked keeps the URL of a call, and ends it.
type asked func(url string)

func (a asked) Do(r *http.Request) (*http.Response, error) {
	a(r.URL.String())
	return nil, context.Canceled
}

func TestAnAddressWithoutASchemeIsThatOfHTTP(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1:7711": "http://127.0.0.1:7711/", "https://master.example.net": "https://master.example.net/"} {
		ctx, cancel := context.WithCancel(t.Context())
		got := ""
		_, err := vowclient.New(asked(func(url string) { got = url; cancel() }), address).Tree(ctx, "t1")
		cancel()
		if err == nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: asked %q, %v; want %s", address, got, err, want)
		}
	}
}
