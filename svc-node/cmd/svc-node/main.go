// Command svc-node is the agent of a computer: it runs partitions, senses promises, watches over processes.
package main

import (
	"context"

	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/app"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	kit.Main(kit.Program{
		Name: app.Service, Summary: "Instantiates partitions, keeps their promises sensed and their processes watched.",
		Version: version, EnvPrefix: "VOW_NODE", Vars: app.Vars(),
	}, func(ctx context.Context, cfg app.Config) (kit.Service, error) {
		t, err := telemetry.Setup(ctx, cfg.Telemetry, telemetry.Settings{Service: app.Service, Version: version})
		if err != nil {
			return nil, err
		}
		service, err := app.New(cfg, app.Settings{Telemetry: t, Version: version})
		if err != nil {
			return nil, err
		}
		all := kit.NewSequence(t.Log, kit.Part{Name: "telemetry", Stop: t.Stop}, kit.PartOf(app.Service, service))
		all.Watch(service)
		return all, nil
	})
}
