package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/kit/telemetry"
)

// Target is what a user sets of a client.
type Target struct {
	// Address is host:port, http://host:port, https://host:port or unix:/path of a socket. Without a scheme it is
	// clear text, HTTP/2 with prior knowledge. Replicas that no balancer stands before are host:port,host:port,….
	Address string
	// Name is what errors call it, for whoever calls several; empty = they do not name it.
	Name string
}

// Dial opens a connection; network is "tcp" or "unix".
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// ClientSettings is what a developer passes to a client. Zero values mean the defaults.
type ClientSettings struct {
	// Dial replaces the network.
	Dial Dial
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Log gets what Retry does; nil means the telemetry's.
	Log *slog.Logger
	// Timeout is the deadline of unary calls whose context has none; DefaultTimeout if zero.
	Timeout time.Duration
	// ReadMaxBytes bounds a message; DefaultReadMaxBytes if zero.
	ReadMaxBytes int
	// PingIdle is as in Settings.
	PingIdle time.Duration
	// TLS is used for https targets; nil means the system's roots.
	TLS *tls.Config
	// Caller is who calls, as servers write it down; empty = it is not said.
	Caller string
	// RetryBudget bounds the retries of Client.Retry, and as many of refusals by admission; DefaultRetryBudget if zero.
	RetryBudget int
}

const (
	// DefaultTimeout is above every unary call's duration under load and below what people wait.
	DefaultTimeout = 10 * time.Second
	// dialTimeout bounds one connection attempt.
	dialTimeout = 5 * time.Second
)

// Client is the way to one target; generated clients are made from its parts:
//
//	masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
//
// All of them share one connection, which is opened when first needed and again after it broke.
type Client struct {
	baseURL   string
	transport *http.Transport
	options   []connect.ClientOption
	budget    *budget
	log       *slog.Logger

	mu     sync.Mutex // never held while anything waits
	conns  map[net.Conn]struct{}
	closed bool
}

// NewClient checks the target; it does not connect.
func NewClient(t Target, s ClientSettings) (*Client, error) {
	several, err := parseReplicas(t.Address)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(t.Address, ",")
	network, address, baseURL, err := parseTarget(first)
	if err != nil {
		return nil, err
	}
	s = s.withDefaults()
	if several != nil {
		s.Dial = startAt(several, s.Caller).dial(s.Dial)
	}
	tracing, err := newTracing(s.Telemetry, true)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of %q: %w", t.Address, err)
	}
	c := &Client{
		baseURL: baseURL,
		budget:  newBudget(s.RetryBudget),
		log:     s.Log,
		conns:   map[net.Conn]struct{}{},
		options: []connect.ClientOption{
			connect.WithReadMaxBytes(s.ReadMaxBytes),
			connect.WithInterceptors(deadline{s.Timeout}, patience{newBudget(s.RetryBudget)}, lost{t}, saying{s.Caller}, tracing),
		},
	}
	protocols := new(http.Protocols)
	if strings.HasPrefix(baseURL, "https:") {
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	c.transport = &http.Transport{
		Protocols:          protocols,
		TLSClientConfig:    s.TLS,
		DisableCompression: true, // Connect compresses by itself
		HTTP2:              &http.HTTP2Config{SendPingTimeout: s.PingIdle, PingTimeout: s.PingIdle},
		DialContext: func(ctx context.Context, tcp, hostPort string) (net.Conn, error) {
			if network == "unix" {
				return c.dial(ctx, s.Dial, network, address)
			}
			return c.dial(ctx, s.Dial, tcp, hostPort)
		},
	}
	return c, nil
}

func (s ClientSettings) withDefaults() ClientSettings {
	s.Telemetry = telemetry.OrDisabled(s.Telemetry)
	if s.Log == nil {
		s.Log = s.Telemetry.Log
	}
	if s.Dial == nil {
		s.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.ReadMaxBytes == 0 {
		s.ReadMaxBytes = DefaultReadMaxBytes
	}
	if s.PingIdle == 0 {
		s.PingIdle = DefaultPing
	}
	if s.RetryBudget == 0 {
		s.RetryBudget = DefaultRetryBudget
	}
	return s
}

// parseTarget splits what the user typed into what to dial and the URL of requests.
func parseTarget(target string) (network, address, baseURL string, err error) {
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return "", "", "", fmt.Errorf("cannot use address %q: want unix:/path", target)
		}
		return "unix", path, "http://localhost", nil
	}
	if !strings.Contains(target, "://") {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return "", "", "", fmt.Errorf("cannot use address %q: want host:port, http://…, https://… or unix:/path", target)
		}
		return "tcp", target, "http://" + target, nil
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", "", "", fmt.Errorf("cannot use address %q: want host:port, http://…, https://… or unix:/path", target)
	}
	return "tcp", u.Host, strings.TrimSuffix(target, "/"), nil
}

// HTTP is the first argument of generated constructors.
func (c *Client) HTTP() connect.HTTPClient { return &http.Client{Transport: c.transport} }

// BaseURL is the second argument of generated constructors.
func (c *Client) BaseURL() string { return c.baseURL }

// Options are the last arguments of generated constructors.
func (c *Client) Options() []connect.ClientOption { return c.options }

// Close ends the connection; calls and streams under way fail. The client cannot be used again.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = map[net.Conn]struct{}{}
	c.mu.Unlock()
	c.transport.CloseIdleConnections()
	for conn := range conns {
		_ = conn.Close()
	}
}

// errClosed is what calls on a closed client fail with.
var errClosed = errors.New("the client is closed")

func (c *Client) dial(ctx context.Context, dial Dial, network, address string) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tracked := &clientConn{Conn: conn, client: c}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.conns[tracked] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = conn.Close()
		return nil, errClosed
	}
	return tracked, nil
}

// clientConn lets Close find it.
type clientConn struct {
	net.Conn
	client *Client
}

func (c *clientConn) Close() error {
	c.client.mu.Lock()
	delete(c.client.conns, c)
	c.client.mu.Unlock()
	return c.Conn.Close()
}

// deadline gives unary calls one if their context has none. It is also told to the server.
type deadline struct{ timeout time.Duration }

func (i deadline) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, i.timeout)
			defer cancel()
		}
		return next(ctx, req)
	}
}

func (i deadline) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i deadline) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
