package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// clearText accepts connections without TLS, serves by itself those that begin with HTTP/2, and leaves the others to the http.Server that accepts from it.
//
// The http.Server would know HTTP/2 in clear text too, but keeps HTTP/1.1's two buffers of 4 kB and its stack under such a connection for as long as that lives, which is as long as a node is connected
// (docs/decisions/0082-http2-in-clear-text-without-buffers-of-http1.md).
type clearText struct {
	net.Listener // of *contactConn
	server       *http.Server
	handler      http.Handler

	accepting sync.Once
	others    chan accepted // what Accept returns
	closing   chan struct{}

	mu     sync.Mutex // guards what follows; never held while anything waits
	closed bool
	open   map[net.Conn]bool // those that are here; true = served, false = it is not known yet what they are
	here   sync.WaitGroup    // for each of open
}

type accepted struct {
	conn net.Conn
	err  error
}

func newClearText(l *contactListener, server *http.Server) *clearText {
	return &clearText{Listener: l, server: server, handler: server.Handler, others: make(chan accepted), closing: make(chan struct{}), open: map[net.Conn]bool{}}
}

func (c *clearText) accept() {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			// The http.Server waits a little after an error that passes, and ends after another; we wait for it.
			if !c.pass(accepted{err: err}) {
				return
			}
			continue
		}
		if contact, ok := conn.(*contactConn); ok && c.begin(contact) {
			go c.look(contact)
		} else {
			_ = conn.Close() // we stop
		}
	}
}

// Accept returns the next connection that does not begin with HTTP/2.
func (c *clearText) Accept() (net.Conn, error) {
	c.accepting.Do(func() { go c.accept() }) // not before: the http.Server has filled TLSNextProto now
	select {
	case next := <-c.others:
		return next.conn, next.err
	case <-c.closing:
		return nil, net.ErrClosed
	}
}

// pass hands over what Accept returns; false when nobody accepts any more.
func (c *clearText) pass(a accepted) bool {
	select {
	case c.others <- a:
		return true
	case <-c.closing:
		return false
	}
}

// Close ends accepting, and the connections of which it is not known yet what they are.
func (c *clearText) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	close(c.closing)
	for conn, served := range c.open {
		if !served {
			_ = conn.Close()
		}
	}
	return c.Listener.Close()
}

// wait returns when all that is served here has ended, which http.Server.Shutdown asks it to; past the end of ctx it closes the rest.
func (c *clearText) wait(ctx context.Context) error {
	over := make(chan struct{})
	go func() { c.here.Wait(); close(over) }()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	for conn := range c.open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	return ctx.Err()
}

func (c *clearText) begin(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.open[conn] = false
	c.here.Add(1)
	return true
}

// serve notes that a connection is served here from now on, unless the server stops.
func (c *clearText) serve(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.open[conn] = true
	}
	return !c.closed
}

func (c *clearText) end(conn net.Conn) {
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	c.here.Done()
}

// look finds out what a connection is, and serves it if it is HTTP/2. It lies beneath all that the connection does, so that it keeps little on its stack.
func (c *clearText) look(conn *contactConn) {
	defer c.end(conn)
	defer func() {
		if r := recover(); r != nil { // as http.Server does
			c.server.ErrorLog.Printf("cannot go on serving %v: panic: %v\n%s", conn.RemoteAddr(), r, debug.Stack())
			_ = conn.Close()
		}
	}()
	http2, err := c.begins(conn)
	serve := c.server.TLSNextProto[unencryptedHTTP2]
	switch {
	case err != nil: // it is gone, or silent for too long
		_ = conn.Close()
	case http2 && serve != nil:
		if !c.serve(conn) {
			_ = conn.Close()
			return
		}
		serve(c.server, tls.Client(unencrypted{conn}, nil), onConnection{c.handler, withContact(context.Background(), conn)})
	default:
		if http2 {
			conn.unread = []byte(preface)
		}
		if !c.pass(accepted{conn: conn}) {
			_ = conn.Close()
		}
	}
}

// preface is what HTTP/2 begins with (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// begins tells whether a connection begins with HTTP/2. It has read the preface then, and otherwise nothing that would not be read again.
func (c *clearText) begins(conn *contactConn) (http2 bool, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(readHeaderTimeout)); err != nil {
		return false, err
	}
	got, n := make([]byte, len(preface)), 0
	for n < len(preface) {
		read, err := conn.Read(got[n:])
		n += read
		if string(got[:n]) != preface[:n] {
			conn.unread = got[:n]
			return false, conn.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return false, err
		}
	}
	return true, conn.SetReadDeadline(time.Time{})
}

// unencryptedHTTP2 is the protocol, in http.Server.TLSNextProto, of connections in clear text whose preface was read. That entry, and the two types below, are what net/http and golang.org/x/net/http2 have agreed on
// between themselves since Go 1.24, and not documented. Where it is missing the http.Server serves as it does by itself; that a quiet peer is in contact shows that the context arrives.
const unencryptedHTTP2 = "unencrypted_http2"

// unencrypted is what the connection in clear text is wrapped into to be passed as a tls.Conn.
type unencrypted struct{ net.Conn }

// UnencryptedNetConn returns it.
func (u unencrypted) UnencryptedNetConn() net.Conn { return u.Conn }

// onConnection is the handler of one connection, and tells the context that its requests have.
type onConnection struct {
	http.Handler
	ctx context.Context //nolint:containedctx // it is how net/http passes it on
}

// BaseContext returns it.
func (h onConnection) BaseContext() context.Context { return h.ctx }
