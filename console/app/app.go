package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/vow-os/vow/console/internal/api"
	"github.com/vow-os/vow/console/internal/live"
	"github.com/vow-os/vow/console/internal/notifier"
	"github.com/vow-os/vow/console/internal/page"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

// Service is the name of this service.
const Service = "console"

// DefaultMaxLive is the default of Config.MaxLive.
const DefaultMaxLive = 256

// Config is what a user sets.
type Config struct {
	rpc.Config `embed:""`
	Telemetry  telemetry.Config `embed:""`

	Master    string   `help:"Address of svc-master." default:"127.0.0.1:7711"`
	Scheduler string   `help:"Address of svc-scheduler." default:"127.0.0.1:7712"`
	Promise   string   `help:"Address of svc-promise." default:"127.0.0.1:7713"`
	TraceURL  string   `help:"URL of a trace in your trace backend, with {trace_id} in it; empty for no link." name:"trace-url"`
	Hostname  []string `help:"Host names by which browsers may reach the console, beside addresses and localhost."`
	MaxLive   int      `help:"Most pages that are kept up to date at once." default:"256"`

	Notify      string `help:"File with whom to tell of Red trees, refused bangs and dead computers (docs/notifications.md); empty for nobody. One console of a fleet has it."`
	NotifyState string `help:"File that keeps what was told; needed with --notify."`
}

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.MaxLive < 1 || c.MaxLive > 10000 {
		return fmt.Errorf("cannot use --max-live=%d: want 1 to 10000", c.MaxLive)
	}
	if (c.Notify == "") != (c.NotifyState == "") {
		return fmt.Errorf("cannot use --notify=%q with --notify-state=%q: want both or none", c.Notify, c.NotifyState)
	}
	if c.TraceURL == "" {
		return nil
	}
	if u, err := url.Parse(c.TraceURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || !strings.Contains(c.TraceURL, "{trace_id}") {
		return fmt.Errorf("cannot use --trace-url=%q: want http://… or https://… with {trace_id} in it", c.TraceURL)
	}
	return nil
}

// Settings is what a developer passes.
type Settings struct {
	// Server has listeners and intervals; its Telemetry is the one below.
	Server rpc.Settings
	// Dial replaces the network.
	Dial rpc.Dial
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// App is a running console.
type App struct {
	*app.Sequence
	server *rpc.Server
}

var _ app.Service = (*App)(nil)

// New checks the configuration and wires everything; nothing listens before Start.
func New(cfg Config, s Settings) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := telemetry.OrDisabled(s.Telemetry)
	s.Server.Telemetry = t
	server, err := rpc.NewServer(cfg.Config, s.Server)
	if err != nil {
		return nil, err
	}
	fleet, err := api.New(api.Addresses{Master: cfg.Master, Scheduler: cfg.Scheduler, Promise: cfg.Promise}, s.Dial, t)
	if err != nil {
		return nil, err
	}
	group := app.NewGroup(context.Background(), t.Log)
	site, err := page.New(page.Settings{
		Fleet: fleet, Hub: live.New(fleet, group), TraceURL: cfg.TraceURL, Hostnames: cfg.Hostname, MaxLive: cfg.MaxLive,
		Stopping: server.Stopping(), Telemetry: t, Now: s.Now,
	})
	if err != nil {
		return nil, errors.Join(err, group.Stop(context.Background()))
	}
	server.HandleHTTP("/", site.Handler())
	telling := app.Part{Name: "notifier"}
	if cfg.Notify != "" {
		n, err := notifier.New(fleet, cfg.Notify, cfg.NotifyState, t)
		if err != nil {
			return nil, errors.Join(err, group.Stop(context.Background()))
		}
		telling.Start = func(context.Context) error { n.Start(group); return nil }
		telling.Stop = func(context.Context) error { return n.Close() }
	}
	a := &App{server: server}
	a.Sequence = app.NewSequence(
		t.Log,
		app.Part{Name: "connections", Stop: func(context.Context) error { fleet.Close(); return nil }},
		telling,
		app.Part{Name: "hub", Stop: group.Stop},
		app.PartOf("server", server),
	)
	a.Watch(group)
	return a, nil
}

// Addr is where the pages are; nil before Start.
func (a *App) Addr() net.Addr { return a.server.Addr() }
