package main

import (
	"context"

	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-scheduler/app"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	kit.Main(kit.Program{
		Name: app.Service, Summary: "The agenda: when each partition runs next and why, and the orders that say so to the nodes.", Version: version,
		EnvPrefix: "VOW_SCHEDULER", Vars: map[string]string{"address": "127.0.0.1:7712", "admin_address": "127.0.0.1:7722"},
	}, func(ctx context.Context, cfg app.Config) (kit.Service, error) {
		t, err := telemetry.Setup(ctx, cfg.Telemetry, telemetry.Settings{Service: app.Service, Version: version})
		if err != nil {
			return nil, err
		}
		service, err := app.New(cfg, app.Settings{Telemetry: t})
		if err != nil {
			return nil, err
		}
		all := kit.NewSequence(t.Log, kit.Part{Name: "telemetry", Stop: t.Stop}, kit.PartOf(app.Service, service))
		all.Watch(service)
		return all, nil
	})
}
