package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry"
	node "github.com/vow-os/vow/svc-node/app"
)

// RunAgent is svc-node for a data directory until it is told to stop; it returns the exit code.
func RunAgent(dir, version string, out, errOut io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	program := kit.Program{Name: "vow agent", Summary: "svc-node for a data directory of vow up.", Version: version}
	return kit.Run(program, nil, out, errOut, signals, func(ctx context.Context, _ struct{}) (kit.Service, error) {
		return newAgent(ctx, dir, version, errOut)
	})
}

// minFree is what installations leave free on a person's machine, in MiB: enough for the services, less than what a server keeps.
const minFree = 200

// newAgent makes svc-node as `vow up` wants it.
func newAgent(ctx context.Context, dir, version string, log io.Writer) (kit.Service, error) {
	agent, err := ReadAgent(dir)
	if err != nil {
		return nil, err
	}
	if err := NotePID(dir); err != nil {
		return nil, fmt.Errorf("cannot say which process the agent is: %w", err)
	}
	t, err := telemetry.Setup(ctx, telemetry.Config{LogLevel: "info", LogFormat: "json"}, telemetry.Settings{Service: node.Service, Version: version, LogWriter: log})
	if err != nil {
		return nil, err
	}
	buildout, _ := exec.LookPath("buildout") // without one, releases and profiles that need it say so
	service, err := node.New(node.Config{
		Computer: agent.Computer, Partitions: agent.Partitions, PartitionAddress: []string{"127.0.0.1"}, Periodicity: 24 * time.Hour, Register: true,
		InstanceRoot: filepath.Join(dir, "instance"), SoftwareRoot: filepath.Join(dir, "software"), StateDir: filepath.Join(dir, "node"), SupervisorDir: filepath.Join(dir, "supervisor"),
		Socket: nodeSocket(dir), AdminAddress: agent.Admin, Master: agent.Master, Scheduler: agent.Scheduler, Promise: agent.Promise, Executable: filepath.Join(dir, "bin", "vow"),
		Buildout: buildout, SoftwareMinFreeSpace: minFree,
	}, node.Settings{Telemetry: t, Version: version})
	if err != nil {
		return nil, err
	}
	all := kit.NewSequence(t.Log, kit.Part{Name: "telemetry", Stop: t.Stop}, kit.PartOf(node.Service, service))
	all.Watch(service)
	return all, nil
}
