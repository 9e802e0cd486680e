// Command svc-master keeps computers, releases, instance trees, bangs and convergences, and tells who follows what changed.
package main

import (
	"context"

	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/app"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	kit.Main(kit.Program{
		Name: app.Service, Summary: "Computers, releases, instance trees, bangs and convergences.", Version: version, EnvPrefix: "VOW_MASTER",
		Vars: map[string]string{"address": "127.0.0.1:7711", "admin_address": "127.0.0.1:7721"},
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
