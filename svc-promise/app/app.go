package app

import (
	"context"
	"net"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/vow-os/vow/gen/examination"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-promise/internal/alarm"
	"github.com/vow-os/vow/svc-promise/internal/api"
	"github.com/vow-os/vow/svc-promise/internal/mute"
	"github.com/vow-os/vow/svc-promise/internal/recorder"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/internal/window"
)

// Service is the name of this service.
const Service = "svc-promise"

// sweepEvery is how often silent allocations are forgotten; they were silent for a day.
const sweepEvery = time.Hour

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

// Settings is what a developer passes.
type Settings struct {
	// Server has listeners and intervals; its Telemetry and Log are those below.
	Server rpc.Settings
	// Store is an open store to use instead of opening Config.Store; its owner stops it, after this service.
	Store *store.Store
	// StoreSettings are used when Store is nil.
	StoreSettings store.Settings
	// Dial replaces the network.
	Dial rpc.Dial
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
}

// App is a running svc-promise.
type App struct {
	*app.Sequence
	server *rpc.Server
}

var _ app.Service = (*App)(nil)

// New checks the configuration and wires what needs no store; the rest is made by Start.
func New(cfg Config, s Settings) (*App, error) {
	if err := cfg.Validate(); err != nil && s.Store == nil {
		return nil, err
	}
	t := telemetry.OrDisabled(s.Telemetry)
	connection, err := rpc.NewClient(rpc.Target{Address: cfg.Master}, rpc.ClientSettings{Dial: s.Dial, Telemetry: t, PingIdle: s.Server.PingIdle, Caller: "svc-promise"})
	if err != nil {
		return nil, err
	}
	s.Server.Telemetry = t
	s.Server.Admission.First = []string{promisev1connect.PromiseServiceEvaluateProcedure} // a run waits for it
	server, err := rpc.NewServer(cfg.Config, s.Server)
	if err != nil {
		return nil, err
	}
	group := app.NewGroup(context.Background(), t.Log)
	master, windows, contacts := api.NewMaster(connection), window.New(), api.NewContacts()
	alarms := alarm.New(alarm.Settings{Teller: master, Telemetry: t, Group: group, GaveUp: func(b alarm.Bang) { windows.Unsent(b.Allocation, b.Promise) }})

	var opened *store.Store
	var gauges []metric.Registration
	a := &App{server: server}
	a.Sequence = app.NewSequence(
		t.Log,
		app.Part{Name: "connection to svc-master", Stop: func(context.Context) error { connection.Close(); return nil }},
		app.Part{Name: "store", Start: func(ctx context.Context) (err error) {
			if opened = s.Store; opened != nil {
				return opened.Use(ctx, redisstore.Schema())
			}
			s.StoreSettings.Telemetry, s.StoreSettings.Schema = t, redisstore.Schema()
			opened, err = store.Open(ctx, cfg.Store, s.StoreSettings)
			return err
		}, Stop: func(ctx context.Context) error {
			if s.Store != nil {
				return nil
			}
			return opened.Stop(ctx)
		}},
		app.Part{Name: "windows", Start: func(context.Context) error {
			kept := redisstore.New(opened)
			mutes := mute.New(kept)
			server.Handle(promisev1connect.NewSenseServiceHandler(api.NewSense(windows, mutes, alarms, contacts, t), server.HandlerOptions()...))
			server.Handle(examinev1connect.NewExamineServiceHandler(examination.New(t.Service, t.Version, opened.Examine), server.HandlerOptions()...))
			server.Handle(promisev1connect.NewPromiseServiceHandler(api.NewPromise(windows, kept, mutes, contacts, master, t), server.HandlerOptions()...))
			gauges = append(gauges, conv.PromiseCount.Observe(t.Meter("svc-promise/app"), func(_ context.Context, observe conv.Observer) {
				for tally, n := range windows.Count() {
					observe(n, conv.PromiseKind.String(string(tally.Kind)), conv.Verdict.String(value(tally.Failed)))
				}
			}))
			group.Go("sweep", func(ctx context.Context) error { return sweep(ctx, windows) })
			group.Go("contacts", func(ctx context.Context) error { return contacts.Report(ctx, master, t) })
			group.Go("history", recorder.New(windows, kept, t).Run)
			crimes := recorder.NewCrimes(kept)
			gauges = append(gauges, crimes.Observe(t.Meter("svc-promise/app"))...)
			group.Go("crimes", crimes.Run)
			group.Go("mutes", func(ctx context.Context) error { return mutes.Run(ctx, t) })
			return nil
		}, Stop: func(ctx context.Context) error {
			for _, gauge := range gauges {
				_ = gauge.Unregister() // the only error is a foreign registration
			}
			return group.Stop(ctx)
		}},
		app.PartOf("server", server),
	)
	a.Watch(group)
	return a, nil
}

// Addr is where the RPCs are; nil before Start.
func (a *App) Addr() net.Addr { return a.server.Addr() }

func value(failed bool) string {
	if failed {
		return conv.VerdictFailed
	}
	return conv.VerdictPassed
}

// sweep forgets silent allocations until ctx ends.
func sweep(ctx context.Context, w *window.Windows) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			w.Sweep(now)
		case <-ctx.Done():
			return nil
		}
	}
}
