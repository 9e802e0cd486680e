package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/api"
	"github.com/vow-os/vow/svc-node/internal/format"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sense"
)

// Service is the name of this service.
const Service = "svc-node"

// maxAnswer bounds what one answer may be: the instances of a tree of 1,000 with 64 KiB of parameters each are 64 MiB.
const maxAnswer = 128 << 20

// App is a running agent.
type App struct {
	*app.Sequence
	server *rpc.Server
}

var _ app.Service = (*App)(nil)

// New checks the configuration and wires the parts.
func New(cfg Config, s Settings) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if s.RunTimeout == 0 {
		s.RunTimeout = cfg.PartitionTimeout
	}
	s = s.withDefaults()
	t := s.Telemetry
	bootID, err := bootID(s.BootID)
	if err != nil {
		return nil, err
	}
	if cfg.Executable == "" {
		if cfg.Executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("cannot find --executable: %w", err)
		}
	}
	if s.Installer == nil {
		s.Installer = NewInstaller(cfg.Buildout)
	}
	machine, err := newComputer(cfg, s.User)
	if err != nil {
		return nil, err
	}
	if s.Releases == nil {
		root, err := machine.releases()
		if err != nil {
			return nil, err
		}
		if err := root.Check(); err != nil {
			t.Log.Error("no software release can be installed until this is put right; what is installed goes on", "error", err)
		}
		s.Releases = root
	}
	if !machine.formatted && s.Supervisor == nil && os.Geteuid() == 0 {
		t.Log.Warn("partitions have no users: everything in them runs as root, and so do builds of software releases; `vow node format` gives both users", "instance_root", cfg.InstanceRoot)
	}
	for i := range cfg.Partitions {
		if machine.formatted || !cfg.Register {
			break
		}
		name := fmt.Sprintf("%s%d", format.PartitionPrefix, i)
		if err := os.MkdirAll(filepath.Join(cfg.InstanceRoot, name), partition.Mode); err != nil {
			return nil, fmt.Errorf("cannot make partition %s: %w", name, err)
		}
	}
	var registration func() (*masterv1.RegisterComputerRequest, error)
	if cfg.Register {
		registration = machine.registration
	}
	registerEvery := s.RegisterEvery
	if registerEvery == 0 && s.Supervisor == nil {
		registerEvery = DefaultRegisterEvery
	}
	if s.Supervisor == nil {
		s.Supervisor = newSupervisor(cfg.SupervisorDir)
	}
	masterURL, _, _ := strings.Cut(cfg.Master, ",") // for people and profiles, who want one
	var sensors *Sensors
	if s.Sensor == nil {
		sensors = NewSensors(machine.pythonDirectory(), map[string]any{"computer-id": cfg.Computer, "master-url": masterURL})
		s.Sensor = sensors
	}
	var clients []*rpc.Client
	client := func(flag, address string) *rpc.Client {
		c, clientErr := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{Dial: s.Dial, Telemetry: t, PingIdle: s.PingIdle, ReadMaxBytes: maxAnswer, Caller: "svc-node of " + cfg.Computer})
		if clientErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", flag, clientErr))
			return nil
		}
		clients = append(clients, c)
		return c
	}
	master, scheduler, promise := client("--master", cfg.Master), client("--scheduler", cfg.Scheduler), client("--promise", cfg.Promise)
	if err != nil {
		return nil, err
	}

	var node *api.Node // its calls come through a stream that opens after Start
	a, err := agent.New(agent.Settings{
		Computer: cfg.Computer, BootID: bootID, Version: s.Version, StateDir: cfg.StateDir, Root: machine.root,
		Unsynced: s.Unsynced, Executable: cfg.Executable, ServerURL: masterURL, Slots: cfg.slots(), Register: registration, RegisterEvery: registerEvery,
		Master: api.NewMaster(master), Scheduler: api.NewScheduler(scheduler), Promise: api.NewPromise(promise),
		Supervisor: s.Supervisor, Installer: s.Installer, Releases: s.Releases, CollectReleases: cfg.SoftwareGarbageCollect, Sensor: s.Sensor, Evaluator: sense.Core{},
		Policy: cfg.policy(), Telemetry: t, RunTimeout: s.RunTimeout, MinFree: cfg.InstanceMinFreeSpace << 20, DiskEvery: s.DiskEvery, Usage: s.Usage, UsageEvery: cfg.usageInterval(), SenseDelay: s.SenseDelay, SenseBatch: SenseBatch, ReconnectWindow: s.ReconnectWindow,
		Call: func(ctx context.Context, method string, request []byte, more func([]byte) error) ([]byte, string, string) {
			return node.Call(ctx, method, request, more)
		},
	})
	if err != nil {
		return nil, err
	}
	node = api.NewNode(a, s.Version, t.Log)

	service := &App{}
	parts := []app.Part{{Name: "connections", Stop: func(context.Context) error {
		for _, c := range clients {
			c.Close()
		}
		return nil
	}}}
	if sensors != nil {
		parts = append(parts, app.Part{Name: "sensors", Stop: sensors.Stop})
	}
	parts = append(parts, app.PartOf("agent", a))
	if cfg.Socket != "" {
		parts = append(parts, service.local(cfg, s, node))
	}
	service.Sequence = app.NewSequence(t.Log, parts...)
	service.Watch(a)
	return service, nil
}

// local is the server on the machine's own socket.
func (a *App) local(cfg Config, s Settings, node *api.Node) app.Part {
	return app.Part{Name: "server", Start: func(ctx context.Context) error {
		listener, err := listen(ctx, cfg.Socket)
		if err != nil {
			return err
		}
		server, err := rpc.NewServer(rpc.Config{AdminAddress: cfg.AdminAddress, Insecure: cfg.Insecure}, rpc.Settings{
			Listener: listener, Telemetry: s.Telemetry, PingIdle: s.PingIdle, Ready: node.Connected,
		})
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		server.Handle(examinev1connect.NewExamineServiceHandler(node, server.HandlerOptions()...))
		server.Handle(nodev1connect.NewNodeServiceHandler(node, server.HandlerOptions()...))
		a.server = server
		return server.Start(ctx)
	}, Stop: func(ctx context.Context) error {
		if a.server == nil {
			return nil
		}
		return a.server.Stop(ctx)
	}}
}

// maxSocketPath is how many bytes the kernel takes as the path of a socket.
const maxSocketPath = 107

// listen makes the socket, over one that a dead agent left. Only the user may connect.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("cannot listen on --socket=%q: it has %d bytes, a socket's path at most %d", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot listen on --socket=%q: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen on --socket=%q: %w", path, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on --socket=%q: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Addr is where vow.node.v1 is served; nil before Start and without a socket.
func (a *App) Addr() net.Addr {
	if a.server == nil {
		return nil
	}
	return a.server.Addr()
}

// bootID names this boot of the machine.
func bootID(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot tell this boot of the machine from others: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}
