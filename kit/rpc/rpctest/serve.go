package rpctest

import (
	"context"
	"net"
	"testing"

	"github.com/vow-os/vow/kit/rpc"
)

// Serve serves what register puts on the server, on a listener, until the test ends.
func Serve(t testing.TB, on net.Listener, register func(*rpc.Server)) {
	t.Helper()
	server, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: on})
	if err != nil {
		t.Fatal(err)
	}
	register(server)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("the server on %s does not stop: %v", on.Addr(), err)
		}
	})
}

// Loopback is Serve on a free port of loopback; it returns the address.
func Loopback(t testing.TB, register func(*rpc.Server)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, listener, register)
	return listener.Addr().String()
}
