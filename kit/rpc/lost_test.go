package rpc_test

import (
	"context"
	"net"
	"testing"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/kit/rpc"
)

// TestAConnectionThatIsResetDuringACallMakesItUnavailable uses a real socket: a killed server resets its connections, and net/http tells that in words of its own.
func TestAConnectionThatIsResetDuringACallMakesItUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	accepted := make(chan *net.TCPConn, 10)
	held := &holding{Listener: listener, accepted: accepted}
	inside := make(chan struct{}, 10)
	server, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: held})
	must(t, err)
	server.Handle(echoUnary, connect.NewUnaryHandler(echoUnary, func(ctx context.Context, _ *connect.Request[request]) (*connect.Response[response], error) {
		inside <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}, server.HandlerOptions()...))
	must(t, server.Start(t.Context()))
	defer func() { _ = server.Stop(context.Background()) }()

	client, err := rpc.NewClient(rpc.Target{Address: listener.Addr().String()}, rpc.ClientSettings{})
	must(t, err)
	defer client.Close()
	call := connect.NewClient[request, response](client.HTTP(), client.BaseURL()+echoUnary, client.Options()...)
	for range 5 {
		failed := make(chan error, 1)
		go func() {
			_, err := call.CallUnary(t.Context(), connect.NewRequest(&request{}))
			failed <- err
		}()
		<-inside
		conn := <-accepted
		must(t, conn.SetLinger(0)) // close with a reset
		must(t, conn.Close())
		if err := <-failed; !rpc.IsUnavailable(err) {
			t.Errorf("got %v, want unavailable", err)
		}
	}
}

// holding keeps what it accepts at hand.
type holding struct {
	net.Listener
	accepted chan *net.TCPConn
}

func (h *holding) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err == nil {
		h.accepted <- conn.(*net.TCPConn)
	}
	return conn, err
}
