package rpc_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
)

// A client of several replicas finds one that is there, leaves one whose connection broke for the next, and comes back when the others are gone; where it begins is its own, so that clients are spread.
func TestAClientOfSeveralReplicasFindsOneThatServes(t *testing.T) {
	synctest.Test(t, findsOneThatServes)
}

func findsOneThatServes(t *testing.T) {
	network := memnet.New()
	var servers []*rpc.Server
	target := ""
	for _, address := range []string{"a:1", "b:1", "c:1"} {
		listener, err := network.Listen(address)
		must(t, err)
		server, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: listener})
		must(t, err)
		must(t, server.Start(t.Context()))
		defer server.Stop(t.Context())
		servers = append(servers, server)
		target += "," + server.Addr().String()
	}
	target = target[1:]
	starts := map[string]bool{}
	for _, caller := range []string{"one", "two", "three", "four", "five", "six"} {
		var dialled []string
		var conns []net.Conn
		gone := map[string]bool{}
		client, err := rpc.NewClient(rpc.Target{Address: target}, rpc.ClientSettings{Caller: caller, Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			if gone[address] {
				return nil, errors.New("refused")
			}
			conn, err := network.Dial(ctx, "client", address)
			conns = append(conns, conn)
			return conn, err
		}})
		must(t, err)
		defer client.Close()
		health := connect.NewClient[request, response](client.HTTP(), client.BaseURL()+"/grpc.health.v1.Health/Check", client.Options()...)
		call := func() error {
			synctest.Wait() // a connection that was closed is known to be; net/http keeps one only after who asked for it was given it
			_, err := health.CallUnary(t.Context(), connect.NewRequest(&request{}))
			synctest.Wait()
			return err
		}
		must(t, call())
		must(t, call())
		if len(dialled) != 1 {
			t.Fatalf("%s dialled %v for two calls", caller, dialled)
		}
		starts[dialled[0]] = true
		first := dialled[0]
		_ = conns[0].Close()
		for call() != nil { // the first one may find out only that the connection is gone
		}
		if len(dialled) != 2 || dialled[1] == first {
			t.Fatalf("%s dialled %v: it came back to what had broken", caller, dialled)
		}
		gone[dialled[1]], gone[third(servers, dialled)] = true, true
		_ = conns[1].Close()
		for call() != nil {
		}
		if last := dialled[len(dialled)-1]; last != first {
			t.Fatalf("%s dialled %v, and only the first one is there", caller, dialled)
		}
		gone[first] = true
		_ = conns[len(conns)-1].Close()
		if err := call(); err == nil {
			err = call()
			if !rpc.IsRetryable(err) {
				t.Errorf("%s: without any replica: %v", caller, err)
			}
		}
	}
	if len(starts) < 2 {
		t.Errorf("all callers begin at %v", starts)
	}
}

// third is the server that was not dialled.
func third(servers []*rpc.Server, dialled []string) string {
	for _, s := range servers {
		if address := s.Addr().String(); !slices.Contains(dialled, address) {
			return address
		}
	}
	return ""
}

func TestAddressesOfReplicasAreCheckedWhenTyped(t *testing.T) {
	for target, good := range map[string]bool{"a:1,b:2": true, "a:1,b": false, "a:1,": false, "http://a:1,b:2": false, "unix:/a,b:1": false} {
		client, err := rpc.NewClient(rpc.Target{Address: target}, rpc.ClientSettings{})
		if (err == nil) != good {
			t.Errorf("%s: %v", target, err)
		}
		if client != nil {
			client.Close()
		}
	}
}
