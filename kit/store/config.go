package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/vow-os/vow/kit/telemetry"
)

// Config is what a user sets.
type Config struct {
	URL string `name:"redis-url" help:"Redis: redis[s]://[user:password@]host:port[/db], unix:///path, redis-sentinel[s]://host:port,…/master[/db] or redis-cluster[s]://host:port,…" default:"redis://127.0.0.1:6379"`
	// Embedded replaces Redis by the store in this process.
	Embedded bool   `name:"store-embedded" help:"Keep the data in this process instead of in Redis; one process only."`
	Dir      string `name:"store-dir" help:"Directory of the embedded store's snapshot; empty keeps nothing." type:"path"`
}

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	if c.Embedded {
		return nil
	}
	if c.Dir != "" {
		return errors.New("cannot use --store-dir without --store-embedded: Redis keeps its own data")
	}
	if _, _, err := parseURL(c.URL); err != nil {
		return fmt.Errorf("cannot use --redis-url: %w", err)
	}
	return nil
}

// Settings is what a developer passes.
type Settings struct {
	// Log may be nil; then the telemetry's is used.
	Log *slog.Logger
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Dialer replaces the network; not used by the embedded store.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// Schema of who opens the store, which Open brings it to (see Use); one without a Service is nobody's.
	Schema Schema
	// SaveInterval is how often the embedded store saves what changed; DefaultSaveInterval if zero.
	SaveInterval time.Duration
	// PoolSize bounds the connections per server; DefaultPoolSize if zero.
	PoolSize int
}

// Defaults.
const (
	// DefaultSaveInterval is how much the embedded store may lose in a crash.
	DefaultSaveInterval = time.Second
	// DefaultPoolSize serves 64 concurrent callers, which already saturate one Redis (27,000 scripts a second).
	DefaultPoolSize = 64
)

func (s Settings) withDefaults() Settings {
	s.Telemetry = telemetry.OrDisabled(s.Telemetry)
	if s.Log == nil {
		s.Log = s.Telemetry.Log
	}
	if s.SaveInterval == 0 {
		s.SaveInterval = DefaultSaveInterval
	}
	if s.PoolSize == 0 {
		s.PoolSize = DefaultPoolSize
	}
	return s
}
