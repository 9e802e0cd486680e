package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/vow-os/vow/gen/examination"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-master/internal/api"
	"github.com/vow-os/vow/svc-master/internal/census"
	"github.com/vow-os/vow/svc-master/internal/parameter"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// Service is the name of this service.
const Service = "svc-master"

// Config is what a user sets.
type Config struct {
	rpc.Config `embed:""`
	Store      store.Config     `embed:""`
	Telemetry  telemetry.Config `embed:""`

	Advertise       string        `help:"Address under which other replicas of svc-master reach this one, host:port; empty for the one that it listens on."`
	ReconnectWindow time.Duration `help:"Nodes that lost their stream come back after a random time within this window, or within 12 ms for each registered computer if that is longer (3 min at most)." default:"5s"`
}

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	if c.ReconnectWindow < 0 {
		return errors.New("cannot use --reconnect-window: it is negative")
	}
	return errors.Join(c.Config.Validate(), c.Store.Validate())
}

// Settings is what a developer passes. Zero values mean the defaults.
type Settings struct {
	// Server has listeners and intervals; its Telemetry and Log are those below.
	Server rpc.Settings
	// Store is an open store to use instead of opening Config.Store; its owner stops it, after this service.
	Store *store.Store
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// ContactsEvery is how often last contacts are written; 30 s if zero, a tenth of what turns a computer Orange.
	ContactsEvery time.Duration
	// Recheck is how often an open watch looks again although nothing hinted at a change; 60 s if zero.
	Recheck time.Duration
	// Dial is how other replicas are reached; nil means the network.
	Dial rpc.Dial
	// Random is where the ids of trees come from: the system's source if nil. A simulator's gives the same in every telling.
	Random io.Reader
}

// App is a running svc-master.
type App struct {
	*app.Sequence
	server *rpc.Server
}

var _ app.Service = (*App)(nil)

// parts are what exists from Start on only: they need the store.
type parts struct {
	redis      *store.Store
	store      *redisstore.Store
	parameters *parameter.Checker
	placer     *placement.Placer
	api        *api.API
	census     *census.Census
	gauges     []metric.Registration
}

// New checks the configuration and wires what needs no store; the rest is made by Start.
func New(cfg Config, s Settings) (*App, error) {
	if err := cfg.Validate(); err != nil && s.Store == nil {
		return nil, err
	}
	if s.ContactsEvery == 0 {
		s.ContactsEvery = 30 * time.Second
	}
	if s.Recheck == 0 {
		s.Recheck = time.Minute
	}
	if s.Random == nil {
		s.Random = rand.Reader
	}
	t := telemetry.OrDisabled(s.Telemetry)
	group := app.NewGroup(context.Background(), t.Log)
	announced := app.NewGroup(context.Background(), t.Log)
	var p parts
	var ready atomic.Pointer[store.Store] // the admin port may be asked while Start is under way
	s.Server.Telemetry = t
	s.Server.Ready = func(ctx context.Context) error {
		if redis := ready.Load(); redis != nil {
			return redis.Ready(ctx)
		}
		return errors.New("cannot serve yet: the store is not open")
	}
	// What keeps promises goes before what people look at and change.
	s.Server.Admission.First = []string{
		masterv1connect.BangServiceBangProcedure, masterv1connect.RunServiceBeginRunProcedure, masterv1connect.RunServiceReportRunProcedure,
		masterv1connect.InstanceServiceSetConnectionParametersProcedure, masterv1connect.SoftwareServiceReportSoftwareStateProcedure,
		masterv1connect.LinkServiceReportContactsProcedure, masterv1connect.DesiredServiceGetDesiredProcedure, masterv1connect.FeedServiceListAllocationsProcedure,
	}
	server, err := rpc.NewServer(cfg.Config, s.Server)
	if err != nil {
		return nil, err
	}
	a := &App{server: server}
	a.Sequence = app.NewSequence(
		t.Log,
		app.Part{Name: "connection to the store", Start: func(ctx context.Context) (err error) {
			if p.redis = s.Store; p.redis != nil {
				return p.redis.Use(ctx, redisstore.Schema())
			}
			p.redis, err = store.Open(ctx, cfg.Store, store.Settings{Telemetry: t, Schema: redisstore.Schema()})
			return err
		}, Stop: func(ctx context.Context) error {
			if s.Store != nil {
				return nil
			}
			return p.redis.Stop(ctx)
		}},
		app.Part{Name: "store", Start: func(ctx context.Context) error {
			p.wire(cfg, s, t)
			p.api.Register(server)
			server.Handle(examinev1connect.NewExamineServiceHandler(examination.New(t.Service, t.Version, p.redis.Examine), server.HandlerOptions()...))
			return p.store.Start(ctx)
		}, Stop: func(ctx context.Context) error { return p.store.Stop(ctx) }},
		app.Part{Name: "keepers", Start: func(context.Context) error {
			p.gauges = p.census.Observe()
			group.Go("watchers", p.api.Keep)
			group.Go("placement", p.placer.Reconcile)
			group.Go("hosting", p.placer.KeepHosted)
			group.Go("census", p.census.Keep)
			group.Go("schemas", p.parameters.Keep)
			group.Go("contacts", func(ctx context.Context) error { return flush(ctx, p.store, s.ContactsEvery, t) })
			ready.Store(p.redis)
			return nil
		}, Stop: func(ctx context.Context) error {
			for _, gauge := range p.gauges {
				_ = gauge.Unregister() // its only error is a foreign registration
			}
			return group.Stop(ctx)
		}},
		app.PartOf("server", server),
		app.Part{Name: "replica", Start: func(context.Context) error {
			announced.Go("announcing", func(ctx context.Context) error { return p.api.KeepAnnounced(ctx, advertised(cfg, server.Addr())) })
			return nil
		}, Stop: announced.Stop},
	)
	a.Watch(group)
	a.Watch(announced)
	return a, nil
}

// wire makes what needs the store, in the order of dependency.
func (p *parts) wire(cfg Config, s Settings, t *telemetry.Telemetry) {
	started := time.Now()
	told := trail.New(t)
	p.store = redisstore.New(redisstore.Settings{Redis: p.redis, Log: t.Log, Limit: told.Limit})
	p.parameters = parameter.New(p.store, t.Log)
	p.placer = placement.New(p.store, p.parameters, t.Log)
	p.census = census.New(p.store, told, t.Log, started)
	p.api = api.New(api.Settings{
		Store: p.store, Placer: p.placer, Parameters: p.parameters, Trail: told, Log: t.Log, Started: started,
		ReconnectWindow: cfg.ReconnectWindow, ContactEvery: min(s.ContactsEvery, 15*time.Second), Recheck: s.Recheck, Random: s.Random,
		Dial: s.Dial, Telemetry: t,
	})
}

// advertised is where other replicas reach this one.
func advertised(cfg Config, listener net.Addr) string {
	address := cfg.Advertise
	if address == "" {
		address = listener.String()
		// Who listens on all addresses is found by its name.
		if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
			if name, err := os.Hostname(); err == nil {
				address = net.JoinHostPort(name, port)
			}
		}
	}
	if cfg.CertFile != "" && !strings.Contains(address, "://") {
		address = "https://" + address
	}
	return address
}

// gatherContacts is how long the contact of a computer that was not heard of waits for others.
const gatherContacts = 250 * time.Millisecond

// flush writes contacts until ctx ends, and once more at the end. A store that fails over just then is no fault of a replica that was told to go: nodes are heard of by the next one.
func flush(ctx context.Context, s *redisstore.Store, every time.Duration, t *telemetry.Telemetry) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := s.FlushContacts(context.WithoutCancel(ctx)); err != nil {
				t.Log.WarnContext(ctx, "cannot write contacts", "error", err)
			}
			return nil
		case <-s.ContactNews():
			// A fleet that comes back is written in a few rounds, not one by one.
			_ = wait.For(ctx, gatherContacts)
		case <-ticker.C:
		}
		if err := s.FlushContacts(ctx); err != nil && ctx.Err() == nil {
			t.Log.WarnContext(ctx, "cannot write contacts", "error", err)
		}
	}
}

// Addr is where the RPCs are; nil before Start.
func (a *App) Addr() net.Addr { return a.server.Addr() }
