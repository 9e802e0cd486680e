package app

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/gen/examination"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-scheduler/internal/api"
	"github.com/vow-os/vow/svc-scheduler/internal/follow"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// Service is the name of this service.
const Service = "svc-scheduler"

// maxReading bounds what svc-master answers at once: a thousand bytes for each of 100,000 unsettled allocations, or 500 entries of the feed that name 10,000
// instances each. What is larger than its bound is never read, however often it is asked for.
const maxReading = 128 << 20

// Config is what a user sets.
type Config struct {
	rpc.Config `embed:""`
	Store      store.Config     `embed:""`
	Telemetry  telemetry.Config `embed:""`

	Master string `help:"Address of svc-master; of several replicas host:port,host:port,…" default:"127.0.0.1:7711"`
}

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	return c.Store.Validate()
}

// Settings is what a developer passes. Zero values mean the defaults.
type Settings struct {
	// Server has listeners and intervals; its Telemetry and Log are those below.
	Server rpc.Settings
	// Store is an open store to use instead of opening Config.Store; its owner stops it, after this service.
	Store *store.Store
	// Dial replaces the network to svc-master.
	Dial rpc.Dial
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// UnsettledEvery and ContactsEvery replace the intervals of the follower (30 s, 5 s).
	UnsettledEvery, ContactsEvery time.Duration
}

// App is a running svc-scheduler.
type App struct {
	*app.Sequence
	server *rpc.Server
}

var _ app.Service = (*App)(nil)

// parts are what exists from Start on only: they need the store.
type parts struct {
	store    *store.Store
	owners   *owner.Owners
	follower *follow.Follower
}

// New checks the configuration and wires what needs no store; the rest is made by Start.
func New(cfg Config, s Settings) (*App, error) {
	if err := cfg.Validate(); err != nil && s.Store == nil {
		return nil, err
	}
	t := telemetry.OrDisabled(s.Telemetry)
	connection, err := rpc.NewClient(rpc.Target{Address: cfg.Master}, rpc.ClientSettings{Dial: s.Dial, Telemetry: t, PingIdle: s.Server.PingIdle, ReadMaxBytes: maxReading, Caller: "svc-scheduler"})
	if err != nil {
		return nil, fmt.Errorf("cannot use --master: %w", err)
	}
	group := app.NewGroup(context.Background(), t.Log)
	var p parts
	var ready atomic.Pointer[func(context.Context) error] // the admin port may be asked while Start is under way
	s.Server.Telemetry = t
	s.Server.Ready = func(ctx context.Context) error {
		if check := ready.Load(); check != nil {
			return (*check)(ctx)
		}
		return fmt.Errorf("cannot serve yet: the store is not open")
	}
	server, err := rpc.NewServer(cfg.Config, s.Server)
	if err != nil {
		return nil, err
	}
	a := &App{server: server}
	a.Sequence = app.NewSequence(
		t.Log,
		app.Part{Name: "connection to svc-master", Stop: func(context.Context) error { connection.Close(); return nil }},
		app.Part{Name: "store", Start: func(ctx context.Context) (err error) {
			if p.store = s.Store; p.store != nil {
				return p.store.Use(ctx, redisstore.Schema())
			}
			p.store, err = store.Open(ctx, cfg.Store, store.Settings{Telemetry: t, Schema: redisstore.Schema()})
			return err
		}, Stop: func(ctx context.Context) error {
			if s.Store != nil {
				return nil
			}
			return p.store.Stop(ctx)
		}},
		app.Part{Name: "owners", Start: func(context.Context) error {
			master := api.NewMaster(connection)
			p.owners = owner.New(redisstore.New(p.store), master, t)
			p.follower = follow.New(master, p.owners, follow.Settings{
				UnsettledEvery: s.UnsettledEvery, ContactsEvery: s.ContactsEvery, Telemetry: t,
			})
			api.Register(server, p.owners, master, t.Log)
			server.Handle(examinev1connect.NewExamineServiceHandler(examination.New(t.Service, t.Version, p.store.Examine), server.HandlerOptions()...))
			check := func(ctx context.Context) error { return able(ctx, p) }
			ready.Store(&check)
			return nil
		}, Stop: func(ctx context.Context) error { return p.owners.Stop(ctx) }},
		app.Part{Name: "follower", Start: func(context.Context) error {
			group.Go("feed", p.follower.Run)
			group.Go("unsettled", p.follower.RunUnsettled)
			group.Go("contacts", p.follower.RunContacts)
			return nil
		}, Stop: func(ctx context.Context) error {
			defer p.follower.Close()
			return group.Stop(ctx)
		}},
		app.PartOf("server", server),
	)
	a.Watch(group)
	return a, nil
}

// able says why this replica cannot serve.
func able(ctx context.Context, p parts) error {
	if err := p.store.Ready(ctx); err != nil {
		return fmt.Errorf("cannot reach the store: %w", err)
	}
	if !p.follower.Following() {
		return fmt.Errorf("cannot follow svc-master's feed")
	}
	return nil
}

// Addr is where the RPCs are; nil before Start.
func (a *App) Addr() net.Addr { return a.server.Addr() }
