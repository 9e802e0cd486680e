package rpc

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// contactListener accepts connections that remember when bytes were last read on them.
type contactListener struct {
	net.Listener
}

func (l *contactListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &contactConn{Conn: conn}
	c.lastRead.Store(time.Now().UnixNano())
	return c, nil
}

type contactConn struct {
	net.Conn
	lastRead atomic.Int64 // Unix nanoseconds
}

func (c *contactConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.lastRead.Store(time.Now().UnixNano())
	}
	return n, err
}

type contactKey struct{}

// withContact is http.Server.ConnContext.
func withContact(ctx context.Context, conn net.Conn) context.Context {
	// Under TLS the connection of ours is below.
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if c, ok := conn.(*contactConn); ok {
		return context.WithValue(ctx, contactKey{}, c)
	}
	return ctx
}

// ConnLastRead is when bytes were last read on the connection that carries the request of ctx, answers to our pings
// among them: with Settings.PingIdle of silence between them at most while the peer lives. It may be asked for as long
// as the request runs. False outside of a request of a Server.
func ConnLastRead(ctx context.Context) (time.Time, bool) {
	c, ok := ctx.Value(contactKey{}).(*contactConn)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, c.lastRead.Load()), true
}
