package app_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
)

// Config is what a user sets of the service: kit's parts and its own.
type Config struct {
	RPC       rpc.Config       `embed:""`
	Store     store.Config     `embed:""`
	Telemetry telemetry.Config `embed:""`
	Master    string           `help:"Address of svc-master." default:"127.0.0.1:7001"`
}

// Validate checks all parts; the errors name the flags.
func (c Config) Validate() error { return errors.Join(c.RPC.Validate(), c.Store.Validate()) }

// A service's main: telemetry, store, client and server, started in this order and stopped in reverse.
func Example() {
	program := app.Program{
		Name: "svc-example", Summary: "Shows how a service is wired.", Version: "1.0", EnvPrefix: "VOW_EXAMPLE",
		Vars: map[string]string{"address": "127.0.0.1:0", "admin_address": "127.0.0.1:0"},
	}
	serving := func() {}
	build := func(ctx context.Context, cfg Config) (app.Service, error) {
		tel, err := telemetry.Setup(ctx, cfg.Telemetry, telemetry.Settings{Service: program.Name, Version: program.Version, LogWriter: os.Stderr})
		if err != nil {
			return nil, err
		}
		var data *store.Store
		master, err := rpc.NewClient(rpc.Target{Address: cfg.Master}, rpc.ClientSettings{Telemetry: tel})
		if err != nil {
			return nil, err
		}
		server, err := rpc.NewServer(cfg.RPC, rpc.Settings{Telemetry: tel, Ready: func(ctx context.Context) error { return data.Ready(ctx) }})
		if err != nil {
			return nil, err
		}
		// server.Handle(examplev1connect.NewExampleServiceHandler(api.New(data, master), server.HandlerOptions()...))
		return app.NewSequence(tel.Log,
			app.Part{Name: "telemetry", Stop: tel.Stop},
			app.Part{
				Name: "store",
				Start: func(ctx context.Context) (err error) {
					data, err = store.Open(ctx, cfg.Store, store.Settings{Telemetry: tel})
					return err
				},
				Stop: func(ctx context.Context) error { return data.Stop(ctx) },
			},
			app.Part{Name: "client of svc-master", Stop: func(context.Context) error { master.Close(); return nil }},
			app.PartOf("server", server),
			app.Part{Name: "example", Start: func(context.Context) error { fmt.Println("serving"); serving(); return nil }},
		), nil
	}
	// Main(program, build) does this with the process's arguments, environment and signals.
	signals := make(chan os.Signal, 1)
	args := []string{"--store-embedded", "--log-level=error"}
	serving = func() { signals <- syscall.SIGTERM }
	fmt.Println("code", app.Run(program, args, os.Stdout, os.Stderr, signals, build))
	// Output:
	// serving
	// code 0
}

func ExampleRun_refused() {
	program := app.Program{Name: "svc-example", Summary: "Shows how a service is wired.", EnvPrefix: "VOW_EXAMPLE"}
	code := app.Run(program, []string{"--address=0.0.0.0:1"}, os.Stdout, os.Stdout, nil, func(context.Context, Config) (app.Service, error) {
		return nil, errors.New("not reached")
	})
	fmt.Println("code", code)
	// Output:
	// svc-example: cannot use --address="0.0.0.0:1": callers are not authenticated yet, so only loopback addresses are allowed; --insecure allows others
	// code 2
}
