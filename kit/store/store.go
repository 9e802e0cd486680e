package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/wait"
)

// Store is an open connection.
type Store struct {
	kind     Kind
	name     string // for people: the URL without credentials
	settings Settings
	client   redis.UniversalClient
	options  func() *redis.UniversalOptions
	embedded *embedded
	metrics  metric.Registration
	joiner   joiner
	// admit is what OnConnect set; life what RunID saw last.
	admit atomic.Pointer[func(context.Context, *redis.Conn) error]
	life  atomic.Pointer[string]

	stopOnce sync.Once
	stopErr  error
}

// Open connects, waiting for the server until ctx ends, checks that it keeps what it is given, and brings it to the schema of the settings.
func Open(ctx context.Context, cfg Config, settings Settings) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	// The client's own log is global and unstructured, and repeats the errors that commands return.
	redis.SetLogger(silent{})
	s := &Store{settings: settings.withDefaults()}
	if cfg.Embedded {
		if err := s.openEmbedded(ctx, cfg.Dir); err != nil {
			return nil, err
		}
	} else {
		_, kind, err := parseURL(cfg.URL)
		if err != nil {
			return nil, fmt.Errorf("cannot use --redis-url: %w", err)
		}
		s.kind = kind
		s.options = func() *redis.UniversalOptions {
			o, _, _ := parseURL(cfg.URL) // was good above
			o.OnConnect = s.connected
			return harden(o, s.settings)
		}
	}
	o := s.options()
	s.name = fmt.Sprintf("%s %v", s.kind, o.Addrs)
	s.client = connect(o)
	if err := s.ready(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stopCtx))
	}
	return s, nil
}

func (s *Store) openEmbedded(ctx context.Context, dir string) error {
	e, err := openEmbedded(ctx, dir, s.settings)
	if err != nil {
		return err
	}
	s.kind, s.embedded = Embedded, e
	s.options = func() *redis.UniversalOptions { return e.options(s.settings) }
	return nil
}

func (s *Store) ready(ctx context.Context) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	if err := s.instrument(); err != nil {
		return fmt.Errorf("cannot measure the store: %w", err)
	}
	d, err := s.Durability(ctx)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if !d.Durable {
		level = slog.LevelWarn
	}
	s.settings.Log.Log(ctx, level, "the store is open", "store", s.name, "durable", d.Durable, "durability", d.Words)
	return nil
}

// wait asks until the store answers, and has answered all that it must be asked before it is used: it may be gone again in between.
func (s *Store) wait(ctx context.Context) error {
	// Of a server that was never heard of, no error says that waiting is in vain.
	if err := s.await(ctx, s.Ready, func(error) bool { return true }); err != nil {
		return err
	}
	return s.Await(ctx, func(ctx context.Context) error {
		if err := s.checkPolicy(ctx); err != nil || s.settings.Schema.Service == "" {
			return err
		}
		return s.Use(ctx, s.settings.Schema)
	})
}

// Await asks until the answer is not that the store is unavailable, and returns that answer; or that the store cannot be reached, when ctx ends. For what a service must have before it can start: a store that goes away at that moment is waited for.
func (s *Store) Await(ctx context.Context, ask func(ctx context.Context) error) error {
	return s.await(ctx, ask, IsUnavailable)
}

// await asks again as long as the error is one that passes. It logs the first one at once and then every tenth.
func (s *Store) await(ctx context.Context, ask func(ctx context.Context) error, passes func(error) bool) error {
	for attempt := 1; ; attempt++ {
		err := ask(ctx)
		if err == nil || !passes(err) {
			return err
		}
		if attempt%10 == 1 {
			s.settings.Log.WarnContext(ctx, "waiting for the store", "store", s.name, "attempt", attempt, "error", err)
		}
		if wait.For(ctx, backoff.Delay(attempt, s.name, 50*time.Millisecond, 2*time.Second)) != nil {
			return fmt.Errorf("cannot reach the store %s: %w", s.name, err)
		}
	}
}

// instrument adds spans, if anybody sees them, without commands, which would hold parameters, and metrics by the conventions.
func (s *Store) instrument() error {
	t := s.settings.Telemetry
	var traced error
	if t.Recording() {
		traced = traceCommands(s.client, t.Tracer("kit/store"))
	}
	registration, measured := measureCommands(s.client, string(s.kind), t.Meter("kit/store"))
	s.metrics = registration
	return errors.Join(traced, measured)
}

// Redis is the client, for everything but scripts (Run) and blocking reads (Blocking).
func (s *Store) Redis() redis.UniversalClient { return s.client }

// Blocking makes a client of its own for a blocking read, which the caller closes: closing it is what ends the read,
// since a context does not.
func (s *Store) Blocking() redis.UniversalClient {
	o := s.options()
	o.PoolSize = 2
	return connect(o)
}

// Kind tells what is behind the connection.
func (s *Store) Kind() Kind { return s.kind }

// Name describes the store to people, without credentials.
func (s *Store) Name() string { return s.name }

// CleanStop tells whether the last end of the embedded store was orderly, or there was none; always true of Redis,
// whose RunID tells.
func (s *Store) CleanStop() bool { return s.embedded == nil || s.embedded.clean }

// Ready is nil when the store answers, for readiness.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if c, ok := s.client.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
	}
	return s.client.Ping(ctx).Err()
}

// OnConnect calls admit over each connection that is opened from now on, before anything else goes over it; its error refuses the connection. The embedded store, which is never another one, does not call it.
func (s *Store) OnConnect(admit func(ctx context.Context, conn *redis.Conn) error) {
	s.admit.Store(&admit)
}

func (s *Store) connected(ctx context.Context, conn *redis.Conn) error {
	admit := s.admit.Load()
	if admit == nil {
		return nil
	}
	if s.kind == Sentinel { // its client asks Sentinels over connections that are opened in the same way
		if mode, err := infoOf(ctx, conn, "server", "redis_mode"); err != nil || mode == "sentinel" {
			return err
		}
	}
	return (*admit)(ctx, conn)
}

// Stop closes the connection; the embedded store saves a last snapshot. Further calls return the first result.
func (s *Store) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		if s.metrics != nil {
			_ = s.metrics.Unregister() // it has no error
		}
		if s.client != nil {
			s.stopErr = s.client.Close()
		}
		if s.embedded != nil {
			s.stopErr = errors.Join(s.stopErr, s.embedded.stop(ctx))
		}
	})
	return s.stopErr
}

// silent is a log of go-redis.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// IsUnavailable tells whether err says that the store cannot serve now, rather than that a command was wrong: the
// command may or may not have had its effect.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, net.ErrClosed) || errors.Is(err, redis.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) || isEOF(err) {
		return true
	}
	for _, prefix := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "TRYAGAIN", "NOREPLICAS", "BUSY", "MISCONF"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}
