package memnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// network is what Addr.Network says.
const network = "mem"

// Any stands for every host in Cut, Heal and Reset.
const Any = "*"

// maxBacklog bounds the connections that wait for Accept, as the kernel does (net.core.somaxconn).
const maxBacklog = 4096

// Addr is host:port.
type Addr string

// Network is "mem".
func (a Addr) Network() string { return network }

func (a Addr) String() string { return string(a) }

func (a Addr) host() string {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return string(a)
	}
	return host
}

// Cut is what happens to bytes on a link that is cut.
type Cut int

const (
	// Hold keeps the bytes; they arrive when the link heals.
	Hold Cut = iota
	// Drop loses them; when the link heals, the connections that lost some are reset.
	Drop
)

// ErrRefused is what dialling an address fails with where nobody listens.
var ErrRefused = errors.New("connection refused")

// Network is a set of hosts, known by name, and the links between them.
type Network struct {
	mu        sync.Mutex
	listeners map[Addr]*listener
	conns     map[*link]struct{}
	cuts      []cutLink
	latency   map[string]time.Duration
	nextPort  int
	healed    chan struct{} // closed at the next change of cuts, if somebody waits
}

type cutLink struct {
	a, b string
	cut  Cut
}

// link is a connection on the network.
type link struct {
	from, to string
	a, b     *conn // a dialled, b accepted
	open     int   // ends not closed
}

// New makes a network without hosts; they exist by being named.
func New() *Network {
	return &Network{
		listeners: map[Addr]*listener{}, conns: map[*link]struct{}{}, latency: map[string]time.Duration{}, nextPort: 49152,
	}
}

// Listen listens on host:port; port 0 takes a free one. Listening twice on one address is an error.
func (n *Network) Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", address, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		port = n.port()
	}
	addr := Addr(net.JoinHostPort(host, port))
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("cannot listen on %q: address already in use", addr)
	}
	l := &listener{network: n, addr: addr, backlog: make(chan *conn, maxBacklog), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

func (n *Network) port() string {
	n.nextPort++
	return strconv.Itoa(n.nextPort)
}

// Dial connects the host named from to an address. While the link is cut it waits, as a lost SYN does, until the link
// heals or ctx ends.
func (n *Network) Dial(ctx context.Context, from, address string) (net.Conn, error) {
	to := Addr(address)
	for {
		c, wait, err := n.tryDial(from, to)
		if wait == nil {
			if err != nil {
				return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: err}
			}
			return c, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: ctx.Err()}
		}
	}
}

// Dialer is Dial as clients want it: bound to the host that dials. The name of the network is ignored.
func (n *Network) Dialer(from string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) { return n.Dial(ctx, from, address) }
}

func (n *Network) tryDial(from string, to Addr) (*conn, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cutOf(from, to.host()) != nil {
		if n.healed == nil {
			n.healed = make(chan struct{})
		}
		return nil, n.healed, nil
	}
	l := n.listeners[to]
	if l == nil {
		return nil, nil, ErrRefused
	}
	k := &link{from: from, to: to.host(), open: 2}
	k.a, k.b = pipe(Addr(net.JoinHostPort(from, n.port())), to)
	k.a.onClose = func() { n.closed(k) }
	k.b.onClose = k.a.onClose
	select {
	case l.backlog <- k.b:
	default:
		return nil, nil, ErrRefused
	}
	n.conns[k] = struct{}{}
	n.apply(k)
	return k.a, nil, nil
}

func (n *Network) closed(k *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k.open--; k.open == 0 {
		delete(n.conns, k)
	}
}

// SetLatency makes everything sent from or to the host take that much longer, one way, from now on.
func (n *Network) SetLatency(host string, oneWay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency[host] = oneWay
	n.applyAll()
}

// Cut cuts the link between two hosts, both ways; Any stands for all hosts.
func (n *Network) Cut(a, b string, how Cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, cutLink{a, b, how})
	n.applyAll()
}

// Heal undoes every Cut with the same two names.
func (n *Network) Heal(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = slices.DeleteFunc(n.cuts, func(c cutLink) bool { return (c.a == a && c.b == b) || (c.a == b && c.b == a) })
	n.applyAll()
	if n.healed != nil {
		close(n.healed)
		n.healed = nil
	}
}

// Reset breaks the connections between two hosts, as the kernel does for a killed process; Any stands for all hosts.
// Listeners stay.
func (n *Network) Reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.conns {
		if matches(a, b, k.from, k.to) {
			k.a.reset(ErrReset)
		}
	}
}

// Connections counts the connections with an open end between two hosts; Any stands for all hosts.
func (n *Network) Connections(a, b string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for k := range n.conns {
		if matches(a, b, k.from, k.to) {
			count++
		}
	}
	return count
}

func matches(a, b, from, to string) bool {
	is := func(pattern, host string) bool { return pattern == Any || pattern == host }
	return (is(a, from) && is(b, to)) || (is(a, to) && is(b, from))
}

// cutOf is the latest cut between two hosts; n.mu is held.
func (n *Network) cutOf(from, to string) *Cut {
	for i := len(n.cuts) - 1; i >= 0; i-- {
		if matches(n.cuts[i].a, n.cuts[i].b, from, to) {
			return &n.cuts[i].cut
		}
	}
	return nil
}

func (n *Network) applyAll() {
	for k := range n.conns {
		n.apply(k)
	}
}

func (n *Network) apply(k *link) {
	cut, latency := n.cutOf(k.from, k.to), n.latency[k.from]+n.latency[k.to]
	lostThere, lostBack := k.a.out.link(cut, latency), k.a.in.link(cut, latency)
	if lostThere || lostBack {
		k.a.reset(ErrReset)
	}
}

// listener accepts what was dialled.
type listener struct {
	network *Network
	addr    Addr
	backlog chan *conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, l.closedError()
	default:
	}
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, l.closedError()
	}
}

func (l *listener) closedError() error {
	return &net.OpError{Op: "accept", Net: network, Addr: l.addr, Err: net.ErrClosed}
}

// Close frees the address and resets the connections that nobody accepted.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, l.addr)
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.backlog:
				c.reset(ErrReset)
				_ = c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func isClosed(err error) bool { return errors.Is(err, io.ErrClosedPipe) }
