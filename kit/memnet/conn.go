package memnet

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one end of a connection.
type conn struct {
	in, out       *half
	local, remote net.Addr
	onClose       func()

	mu            sync.Mutex
	writeDeadline time.Time
	closeOnce     sync.Once
}

var _ net.Conn = (*conn)(nil)

// Pipe is two ends of a buffered connection that is on no network.
func Pipe() (net.Conn, net.Conn) {
	a, b := pipe(Addr("pipe:0"), Addr("pipe:1"))
	return a, b
}

func pipe(from, to net.Addr) (a, b *conn) {
	there, back := newHalf(), newHalf()
	return &conn{in: back, out: there, local: from, remote: to}, &conn{in: there, out: back, local: to, remote: from}
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.opError("read", err)
}

// Write never blocks. Its deadline counts all the same, for those who set one in the past to stop a writer.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	deadline := c.writeDeadline
	c.mu.Unlock()
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return 0, c.opError("write", os.ErrDeadlineExceeded)
	}
	n, err := c.out.write(b)
	return n, c.opError("write", err)
}

// Close ends both directions: the peer reads what was written, then io.EOF.
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		c.out.finish()
		c.in.abandon()
		if c.onClose != nil {
			c.onClose()
		}
	})
	return nil
}

// reset breaks the connection for both ends.
func (c *conn) reset(err error) {
	c.in.fail(err)
	c.out.fail(err)
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return nil
}

// opError dresses errors as the net package does: callers look for net.Error, net.ErrClosed and io.EOF.
func (c *conn) opError(op string, err error) error {
	if err == nil || isEOF(err) {
		return err
	}
	if isClosed(err) {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: err}
}
