package real

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay is what is between two processes: a load balancer that sends everybody to one of several replicas, and a cable that can be pulled out.
type relay struct {
	listener net.Listener
	targets  []string

	mu    sync.Mutex // never held while anything waits
	at    int
	conns map[net.Conn]struct{}
	open  chan struct{} // closed while bytes get through
	delay time.Duration // of whatever gets through
}

// relayTo listens for the replicas at targets.
func relayTo(t *testing.T, targets ...string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener, targets: targets, conns: map[net.Conn]struct{}{}, open: make(chan struct{})}
	close(r.open)
	t.Cleanup(func() { listener.Close(); r.heal(); r.turn() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.carry(conn)
		}
	}()
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// carry copies both ways until one side ends.
func (r *relay) carry(from net.Conn) {
	defer from.Close()
	r.wait()
	r.mu.Lock()
	target := r.targets[r.at]
	r.mu.Unlock()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	r.mu.Lock()
	r.conns[from] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, from)
		r.mu.Unlock()
	}()
	go func() { r.copy(to, from); to.Close() }()
	r.copy(from, to)
}

// copy carries bytes one way; while the cable is out they wait, as in the buffers of a kernel that sends them again.
func (r *relay) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		r.wait()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) wait() {
	r.mu.Lock()
	open, delay := r.open, r.delay
	r.mu.Unlock()
	<-open
	if delay > 0 {
		<-time.After(delay)
	}
}

// cut pulls the cable out: nobody is told, no byte gets through.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

// heal puts it in again.
func (r *relay) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.open:
	default:
		close(r.open)
	}
}

// turn sends everybody to the next replica: open connections are cut.
func (r *relay) turn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = (r.at + 1) % len(r.targets)
	for conn := range r.conns {
		_ = conn.Close()
	}
}
