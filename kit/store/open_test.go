package store_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
)

// breaking is a network over which so many writes get through; the next one breaks its connection, and then all is well.
type breaking struct {
	mu     sync.Mutex // never held while anything waits
	left   int
	broken bool
}

func (b *breaking) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	return breakingConn{conn, b}, err
}

type breakingConn struct {
	net.Conn
	of *breaking
}

func (c breakingConn) Write(p []byte) (int, error) {
	c.of.mu.Lock()
	c.of.left--
	breaks := c.of.left == 0
	c.of.broken = c.of.broken || breaks
	c.of.mu.Unlock()
	if breaks {
		_ = c.Close() // who reads the answer finds it closed
	}
	return c.Conn.Write(p)
}

// A store that goes away while it is opened, whatever it is asked at that moment, is waited for: a service that starts while Redis is restarted does not end.
func TestAStoreThatGoesAwayWhileItIsOpenedIsWaitedFor(t *testing.T) {
	server := storetest.StartRedis(t)
	for n := 1; ; n++ {
		network := &breaking{left: n}
		storetest.Open(t, store.Config{URL: server.URL()}, store.Settings{Dialer: network.dial, Schema: store.Schema{Service: "test"}})
		if !network.broken {
			if n < 5 {
				t.Errorf("to open the store %d writes were made: the test says nothing", n-1)
			}
			return
		}
	}
}
