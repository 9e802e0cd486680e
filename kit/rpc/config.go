package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/vow-os/vow/kit/telemetry"
)

// Config is what a user sets of a server. The defaults of the addresses come from the service (app.Program.Vars).
type Config struct {
	Address      string `help:"Address to serve on, host:port." default:"${address}"`
	AdminAddress string `help:"Address of metrics, pprof and readiness, host:port; empty for none." default:"${admin_address}"`
	Insecure     bool   `help:"Serve on addresses other than loopback although callers are not authenticated."`
	CertFile     string `help:"PEM file of the TLS certificate; without it, HTTP/2 and HTTP/1.1 in clear text." type:"path"`
	KeyFile      string `help:"PEM file of the TLS key." type:"path"`
	Calls        int    `help:"Unary calls that are worked on at once; 0 = 1024. More wait for their turn, and beyond --calls-waiting are refused." default:"0"`
	CallsWaiting int    `help:"Unary calls of a class that wait for their turn, a second at most; 0 = 4096." default:"0"`
}

// maxCalls bounds --calls and --calls-waiting: a call in hand takes some 10 kB.
const maxCalls = 1 << 17

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	for _, a := range []struct{ flag, address string }{{"--address", c.Address}, {"--admin-address", c.AdminAddress}} {
		if a.address == "" {
			continue
		}
		if err := validateAddress(a.flag, a.address, c.Insecure); err != nil {
			return err
		}
	}
	if c.Calls < 0 || c.Calls > maxCalls {
		return fmt.Errorf("cannot work on --calls=%d at once: want 1 to %d, or 0 for the default", c.Calls, maxCalls)
	}
	if c.CallsWaiting < 0 || c.CallsWaiting > maxCalls {
		return fmt.Errorf("cannot let --calls-waiting=%d wait: want 1 to %d, or 0 for the default", c.CallsWaiting, maxCalls)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("cannot serve TLS: --cert-file and --key-file are given together or not at all")
	}
	return nil
}

// validateAddress refuses what is reachable from elsewhere: until identity exists, who can connect may do anything.
func validateAddress(flag, address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("cannot use %s=%q: want host:port: %w", flag, address, err)
	}
	if insecure || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("cannot use %s=%q: callers are not authenticated yet, so only loopback addresses are allowed; "+
		"--insecure allows others", flag, address)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Settings is what a developer passes to a server. Zero values mean the defaults.
type Settings struct {
	// Listener and AdminListener replace listening on the configured addresses. A nil AdminListener and an empty
	// AdminAddress mean no admin port.
	Listener, AdminListener net.Listener
	// Log gets errors and panics; nil means the telemetry's.
	Log *slog.Logger
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Ready answers /readyz and the health service: nil means able to serve. A nil func is always ready.
	Ready func(ctx context.Context) error
	// Public makes the server start a new trace with a link, instead of trusting the caller's trace context.
	Public bool
	// ReadMaxBytes bounds a message; DefaultReadMaxBytes if zero.
	ReadMaxBytes int
	// MaxDeadline bounds a unary call whatever its caller asked for; DefaultMaxDeadline if zero.
	MaxDeadline time.Duration
	// PingIdle is how long a connection may be silent before it is pinged, and again how long the answer may take;
	// DefaultPing if zero.
	PingIdle time.Duration
	// Admission bounds the calls that are in hand.
	Admission Admission
}

// Defaults, each a named limit.
const (
	// DefaultReadMaxBytes is 64 times the largest parameters (64 KiB).
	DefaultReadMaxBytes = 4 << 20
	// compressMinBytes is below what a packet holds anyway: compressing a call of a few fields costs more than the call.
	compressMinBytes = 1 << 10
	// DefaultMaxDeadline is above every unary call that waits for something (Evaluate, BeginRun: seconds).
	DefaultMaxDeadline = time.Minute
	// DefaultPing keeps a computer's contact fresh well within the 5 min of docs/rules.md, "computer colour", and
	// tells of a dead peer within 30 s.
	DefaultPing = 15 * time.Second
	// maxConcurrentStreams is per connection: the services have one connection to each other and call concurrently.
	maxConcurrentStreams = 1000
	// maxHeaderBytes bounds the header of a request.
	maxHeaderBytes = 64 << 10
	// readHeaderTimeout bounds how long a new connection may stay silent.
	readHeaderTimeout = 10 * time.Second
)

func (s Settings) withDefaults() Settings {
	s.Telemetry = telemetry.OrDisabled(s.Telemetry)
	if s.Log == nil {
		s.Log = s.Telemetry.Log
	}
	if s.Ready == nil {
		s.Ready = func(context.Context) error { return nil }
	}
	if s.ReadMaxBytes == 0 {
		s.ReadMaxBytes = DefaultReadMaxBytes
	}
	if s.MaxDeadline == 0 {
		s.MaxDeadline = DefaultMaxDeadline
	}
	if s.PingIdle == 0 {
		s.PingIdle = DefaultPing
	}
	return s
}
