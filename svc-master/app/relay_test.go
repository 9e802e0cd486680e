package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/svc-master/app"
)

// linked is a node's end of a Link; answer says what becomes of a call.
type linked struct {
	t      *testing.T
	got    chan *masterv1.LinkResponse
	up     chan *masterv1.LinkRequest
	cancel context.CancelFunc
	ended  chan struct{}
}

func linkTo(t *testing.T, links masterv1connect.LinkServiceClient, computer string) *linked {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := links.Link(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l := &linked{t: t, got: make(chan *masterv1.LinkResponse, 1000), up: make(chan *masterv1.LinkRequest), cancel: cancel, ended: make(chan struct{})}
	if err := stream.Send(&masterv1.LinkRequest{Message: &masterv1.LinkRequest_Hello{Hello: &masterv1.LinkHello{Computer: computer}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.CloseRequest() })
	t.Cleanup(func() {
		cancel()
		<-l.ended
		stop()
	})
	go func() {
		for {
			select {
			case r := <-l.up:
				if stream.Send(r) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		defer close(l.ended)
		for {
			r, err := stream.Receive()
			if err != nil {
				return
			}
			l.got <- r
		}
	}()
	synctest.Wait()
	return l
}

// call is the next call that came.
func (l *linked) call() *masterv1.NodeCall {
	l.t.Helper()
	synctest.Wait()
	select {
	case r := <-l.got:
		if r.GetCall() == nil {
			l.t.Fatalf("%v came, want a call", r)
		}
		return r.GetCall()
	default:
		l.t.Fatal("no call came")
		return nil
	}
}

func (l *linked) answer(a *masterv1.NodeAnswer) {
	l.up <- &masterv1.LinkRequest{Message: &masterv1.LinkRequest_Answer{Answer: a}}
}

// asked is what became of a CallNode.
type asked struct {
	response *masterv1.CallNodeResponse
	err      error
}

func ask(ctx context.Context, links masterv1connect.LinkServiceClient, computer, method string, request proto.Message) <-chan asked {
	encoded, err := proto.Marshal(request)
	done := make(chan asked, 1)
	go func() {
		res, callErr := links.CallNode(ctx, &masterv1.CallNodeRequest{Computer: computer, Method: method, Request: encoded})
		done <- asked{res, errors.Join(err, callErr)}
	}()
	return done
}

// A call goes down the node's link, and its answer, or its error, is the caller's.
func TestACallReachesTheNodeThroughItsLink(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		node := linkTo(t, m.links, "one")
		got := ask(t.Context(), m.links, "one", nodev1connect.NodeServiceListProcessesProcedure, &nodev1.ListProcessesRequest{Partition: "slappart0"})
		call := node.call()
		request := new(nodev1.ListProcessesRequest)
		if err := proto.Unmarshal(call.GetRequest(), request); err != nil || request.GetPartition() != "slappart0" || call.GetTimeout().AsDuration() <= 0 || call.GetTimeout().AsDuration() > time.Minute {
			t.Fatalf("the node was asked %v, %v: %v", call, request, err)
		}
		answer, _ := proto.Marshal(&nodev1.ListProcessesResponse{Processes: []*nodev1.Process{{Name: "web"}}})
		node.answer(&masterv1.NodeAnswer{Call: call.GetCall(), Response: answer})
		if a := <-got; a.err != nil || string(a.response.GetResponse()) != string(answer) {
			t.Fatalf("the caller got %v", a)
		}
		got = ask(t.Context(), m.links, "one", nodev1connect.NodeServicePlanProcedure, &nodev1.PlanRequest{Partition: "slappart9"})
		node.answer(&masterv1.NodeAnswer{Call: node.call().GetCall(), ErrorCode: "not_found", Error: `cannot find partition "slappart9"`})
		if a := <-got; !rpc.IsNotFound(a.err) || rpc.Message(a.err) == "" {
			t.Fatalf("the node's error is %v", a.err)
		}
		synctest.Wait()
		if n := len(node.got); n != 0 {
			t.Errorf("after its answers the node was told %d more things", n)
		}
	})
}

// openLogs opens a stream of a node's: a client has it with its first message.
func openLogs(ctx context.Context, links masterv1connect.LinkServiceClient) <-chan *connect.ServerStreamForClient[masterv1.StreamNodeResponse] {
	opened := make(chan *connect.ServerStreamForClient[masterv1.StreamNodeResponse], 1)
	go func() {
		stream, err := links.StreamNode(ctx, &masterv1.StreamNodeRequest{Computer: "one", Method: nodev1connect.NodeServiceLogsProcedure})
		if err == nil {
			opened <- stream
		}
		close(opened)
	}()
	return opened
}

// What is no procedure for operators, an unknown computer, one without a link, and a link that breaks are told apart.
func TestACallThatCannotBeRelayedSaysWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		status := nodev1connect.NodeServiceGetStatusProcedure
		for method, code := range map[string]rpc.Code{"/vow.master.v1.BangService/Bang": rpc.CodeInvalidArgument, nodev1connect.NodeServiceLogsProcedure: rpc.CodeInvalidArgument, status: rpc.CodeUnavailable} {
			a := <-ask(t.Context(), m.links, "one", method, &nodev1.GetStatusRequest{})
			if rpc.CodeOf(a.err) != code {
				t.Errorf("%s is answered %v", method, a.err)
			}
			if after, ok := rpc.RetryAfter(a.err); code == rpc.CodeUnavailable && (!ok || after <= 0 || !strings.Contains(a.err.Error(), "it was last heard of ")) {
				t.Errorf("without a link the answer is %v, again after %v", a.err, after)
			}
		}
		if a := <-ask(t.Context(), m.links, "nobody", status, &nodev1.GetStatusRequest{}); !rpc.IsNotFound(a.err) {
			t.Errorf("an unknown computer is answered %v", a.err)
		}
		node := linkTo(t, m.links, "one")
		got := ask(t.Context(), m.links, "one", status, &nodev1.GetStatusRequest{})
		node.call()
		node.cancel()
		if a := <-got; !rpc.IsUnavailable(a.err) || !strings.Contains(a.err.Error(), "unknown whether") {
			t.Errorf("when its link breaks a call ends with %v", a.err)
		}
	})
}

// A stream waits for its caller: the node is granted what was taken; a caller that leaves ends the call on the node, and so does svc-master when it stops.
func TestAStreamIsGrantedWhatItsCallerTookAndCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		node := linkTo(t, m.links, "one")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		opened := openLogs(ctx, m.links)
		call := node.call()
		if call.GetWindow() != 256<<10 {
			t.Fatalf("the node may send %d bytes", call.GetWindow())
		}
		var stream *connect.ServerStreamForClient[masterv1.StreamNodeResponse]
		for i := range 3 {
			node.answer(&masterv1.NodeAnswer{Call: call.GetCall(), More: true, Response: fmt.Appendf(nil, "part %d", i)})
			if i == 0 {
				stream = <-opened
			}
			if !stream.Receive() || string(stream.Msg().GetResponse()) != fmt.Sprintf("part %d", i) {
				t.Fatalf("message %d is %v: %v", i, stream.Msg(), stream.Err())
			}
			synctest.Wait()
			if r := <-node.got; r.GetGrant().GetBytes() != 6 || r.GetGrant().GetCall() != call.GetCall() {
				t.Fatalf("the node was told %v", r)
			}
		}
		cancel()
		synctest.Wait()
		if r := <-node.got; r.GetCancel().GetCall() != call.GetCall() {
			t.Fatalf("when the caller left the node was told %v", r)
		}
		_ = stream.Close() // it is over
	})
}

// A node that is asked too much of says so, and one caller does not take all the room.
func TestCallsOfANodeAndOfACallerAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		status := nodev1connect.NodeServiceGetStatusProcedure
		var nodes []*linked
		var waiting []<-chan asked
		for n := range 4 {
			name := fmt.Sprintf("c%d", n)
			m.register(name, 1)
			nodes = append(nodes, linkTo(t, m.links, name))
			for range 8 {
				waiting = append(waiting, ask(t.Context(), m.links, name, status, &nodev1.GetStatusRequest{}))
			}
			synctest.Wait()
			if n == 0 {
				if a := <-ask(t.Context(), m.links, name, status, &nodev1.GetStatusRequest{}); !rpc.IsResourceExhausted(a.err) || !strings.Contains(a.err.Error(), `"c0"`) {
					t.Errorf("the ninth call of a node is answered %v", a.err)
				}
			}
		}
		m.register("c4", 1)
		linkTo(t, m.links, "c4")
		if a := <-ask(t.Context(), m.links, "c4", status, &nodev1.GetStatusRequest{}); !rpc.IsResourceExhausted(a.err) {
			t.Errorf("call 33 of one caller is answered %v", a.err)
		}
		for n, got := range waiting {
			node := nodes[n/8]
			node.answer(&masterv1.NodeAnswer{Call: node.call().GetCall()})
			_ = got
		}
		for _, got := range waiting {
			if a := <-got; a.err != nil {
				t.Error(a.err)
			}
		}
		got := ask(t.Context(), m.links, "c4", status, &nodev1.GetStatusRequest{})
		synctest.Wait()
		select {
		case a := <-got:
			t.Errorf("with room again a call is answered %v at once", a.err)
		default:
		}
	})
}

// With several replicas a call reaches the one that holds the youngest link, and none is told when a link is nowhere.
func TestACallAtAnyReplicaFindsTheYoungestLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, err := store.Open(t.Context(), store.Config{Embedded: true}, store.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		network := memnet.New()
		var clients []masterv1connect.LinkServiceClient
		var replicas []*app.App
		for n := range 2 {
			address := fmt.Sprintf("master-%d:7711", n)
			listener, err := network.Listen(address)
			if err != nil {
				t.Fatal(err)
			}
			a, err := app.New(app.Config{}, app.Settings{Server: rpc.Settings{Listener: listener}, Store: redis, Dial: network.Dialer(address)})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			client, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{Dial: network.Dialer("laptop")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			clients = append(clients, masterv1connect.NewLinkServiceClient(client.HTTP(), client.BaseURL(), client.Options()...))
			replicas = append(replicas, a)
			if n == 0 {
				computers := masterv1connect.NewComputerServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
				if _, err := computers.RegisterComputer(t.Context(), &masterv1.RegisterComputerRequest{Computer: "one", Cpus: 1}); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Cleanup(func() {
			for _, a := range replicas {
				if err := a.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			}
			if err := redis.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		reaches := func(want *linked, at int) {
			t.Helper()
			got := ask(t.Context(), clients[at], "one", nodev1connect.NodeServiceGetStatusProcedure, &nodev1.GetStatusRequest{})
			want.answer(&masterv1.NodeAnswer{Call: want.call().GetCall(), Response: []byte("here")})
			if a := <-got; a.err != nil || string(a.response.GetResponse()) != "here" {
				t.Errorf("replica %d answers %v", at, a)
			}
		}
		old := linkTo(t, clients[0], "one")
		reaches(old, 0)
		reaches(old, 1)
		time.Sleep(time.Second)
		// The node links anew at the other replica; the first one still believes in the old connection.
		young := linkTo(t, clients[1], "one")
		reaches(young, 0)
		reaches(young, 1)
		// A stream is forwarded, too, and the node hears when its caller leaves.
		ctx, cancel := context.WithCancel(t.Context())
		opened := openLogs(ctx, clients[0])
		call := young.call()
		young.answer(&masterv1.NodeAnswer{Call: call.GetCall(), More: true, Response: []byte("log")})
		stream := <-opened
		if !stream.Receive() || string(stream.Msg().GetResponse()) != "log" {
			t.Fatalf("the stream ends with %v", stream.Err())
		}
		cancel()
		_ = stream.Close() // it is over
		synctest.Wait()
		<-young.got // the grant
		if r := <-young.got; r.GetCancel() == nil {
			t.Errorf("when the caller left the node was told %v", r)
		}
		young.cancel()
		old.cancel()
		synctest.Wait()
		for _, c := range clients {
			if a := <-ask(t.Context(), c, "one", nodev1connect.NodeServiceGetStatusProcedure, &nodev1.GetStatusRequest{}); !rpc.IsUnavailable(a.err) {
				t.Errorf("with no link it is answered %v", a.err)
			}
		}
	})
}
