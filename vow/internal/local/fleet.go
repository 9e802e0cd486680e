package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	console "github.com/vow-os/vow/console/app"
	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
	master "github.com/vow-os/vow/svc-master/app"
	"github.com/vow-os/vow/svc-node/app/supervisor"
	promise "github.com/vow-os/vow/svc-promise/app"
	scheduler "github.com/vow-os/vow/svc-scheduler/app"
	"github.com/vow-os/vow/vow/internal/endpoint"
)

// Config says what to run.
type Config struct {
	// Directory holds everything.
	Directory string
	// Redis is the URL of a Redis to use; empty = a redis-server of ours when there is one on PATH, else the embedded store.
	Redis string
	// Embedded uses the embedded store whatever is on PATH.
	Embedded bool
	// Endpoints is where to listen; port 0 takes a free one. Without one for the console there is none.
	Endpoints endpoint.Set
	// Admin is where the admin ports are; empty addresses mean none.
	Admin endpoint.Set
	// TraceURL is where the console links a trace to; may be empty.
	TraceURL string
	// Notify is the file with whom the console tells of what is not well; empty = nobody.
	Notify string
	// Computer is the name under which this machine is registered.
	Computer string
	// Partitions is how many it has.
	Partitions int
	// Version is what the services say they are.
	Version string
}

// Fleet is a running fleet of one machine.
type Fleet struct {
	*kit.Sequence
	config     Config
	directory  *directory
	executable string
	changed    bool
	redis      *server
	store      store.Config
	embedded   *store.Store // one for all services: it is in this process; nil with Redis
	endpoints  endpoint.Set
	words      string
	failed     chan error
}

// New checks the configuration; nothing runs before Start.
func New(c Config) (*Fleet, error) {
	if c.Redis != "" && c.Embedded {
		return nil, errors.New("cannot use --redis and --embedded together")
	}
	f := &Fleet{config: c, endpoints: c.Endpoints, failed: make(chan error, 1)}
	parts := []kit.Part{
		{Name: "data directory", Start: f.startDirectory, Stop: func(context.Context) error { return f.directory.close() }},
		{Name: "store", Start: f.startStore, Stop: f.stopStore},
		f.service(master.Service, &f.endpoints.Master, f.newMaster),
		f.service(scheduler.Service, &f.endpoints.Scheduler, f.newScheduler),
		f.service(promise.Service, &f.endpoints.Promise, f.newPromise),
		{Name: "supervisor", Start: f.startSupervisor, Stop: func(ctx context.Context) error {
			return supervisor.Shutdown(ctx, f.directory.supervisorDirectory())
		}},
		{Name: "endpoints", Start: func(context.Context) error { return f.Endpoints().Write(f.directory.path) }, Stop: func(context.Context) error { return endpoint.Remove(f.directory.path) }},
	}
	if c.Endpoints.Console != "" {
		parts = append(parts[:5:5], append([]kit.Part{f.service(console.Service, &f.endpoints.Console, f.newConsole)}, parts[5:]...)...)
	}
	f.Sequence = kit.NewSequence(nil, parts...)
	return f, nil
}

// Endpoints is where the services listen, after Start.
func (f *Fleet) Endpoints() endpoint.Set {
	e := f.endpoints
	e.Node, e.Computer, e.PID = "unix:"+nodeSocket(f.directory.path), f.config.Computer, os.Getpid()
	return e
}

// Failed gets the first error of a service that ended by itself.
func (f *Fleet) Failed() <-chan error { return f.failed }

// Store says which store it is and what a crash can cost.
func (f *Fleet) Store() string { return f.words }

// Directory is the data directory.
func (f *Fleet) Directory() string { return f.directory.path }

// Executable is vow's executable in the data directory.
func (f *Fleet) Executable() string { return f.executable }

func (f *Fleet) startDirectory(context.Context) (err error) {
	if f.directory, err = openDirectory(f.config.Directory); err != nil {
		return err
	}
	f.executable, f.changed, err = f.directory.installExecutable()
	return err
}

// startStore decides which store it is and says so plainly.
func (f *Fleet) startStore(ctx context.Context) error {
	switch _, err := exec.LookPath("redis-server"); {
	case f.config.Redis != "":
		f.store = store.Config{URL: f.config.Redis}
		f.words = "Redis at " + f.config.Redis + ": what a crash can cost is as it is configured (svc-master's log says)"
	case err == nil && !f.config.Embedded:
		if f.redis, err = startRedis(ctx, f.directory); err != nil {
			return err
		}
		f.store = store.Config{URL: f.redis.url}
		f.words = "redis-server with an append-only file, fsync always: a crash loses nothing that was acknowledged"
	default:
		f.store = store.Config{Embedded: true, Dir: f.directory.join("store")}
		if f.embedded, err = store.Open(ctx, f.store, store.Settings{}); err != nil {
			return err
		}
		f.words = "embedded in this process, saved every second: a crash can lose the last second (install redis-server, or use --redis, to lose nothing)"
	}
	return nil
}

func (f *Fleet) stopStore(ctx context.Context) error {
	if f.embedded != nil {
		return f.embedded.Stop(ctx)
	}
	if f.redis != nil {
		return f.redis.stop(ctx)
	}
	return nil
}

// service is what every service of the suite exports.
type service interface {
	kit.Service
	kit.Failing
	Addr() net.Addr
}

// service makes the part of one service: with its own telemetry, which logs to a file of its own. Where it listens is put into address.
func (f *Fleet) service(name string, address *string, build func(*telemetry.Telemetry) (service, error)) kit.Part {
	var all *kit.Sequence
	return kit.Part{
		Name: name,
		Start: func(ctx context.Context) error {
			log, err := f.directory.log(name)
			if err != nil {
				return err
			}
			// The Go runtime and the profiler exist once in a process: svc-master has them.
			t, err := telemetry.Setup(ctx, telemetry.Config{LogLevel: "info", LogFormat: "json"}, telemetry.Settings{
				Service: name, Version: f.config.Version, LogWriter: log, Shared: name != master.Service,
			})
			if err != nil {
				return errors.Join(err, log.Close())
			}
			one, err := build(t)
			if err != nil {
				return errors.Join(err, t.Shutdown(ctx), log.Close())
			}
			all = kit.NewSequence(
				t.Log,
				kit.Part{Name: "log", Stop: func(context.Context) error { return log.Close() }},
				kit.Part{Name: "telemetry", Stop: t.Stop},
				kit.PartOf(name, one),
			)
			if err := all.Start(ctx); err != nil {
				return err
			}
			*address = one.Addr().String()
			go f.watch(name, one)
			return nil
		},
		Stop: func(ctx context.Context) error { return all.Stop(ctx) },
	}
}

// watch tells of a service that ends by itself; it ends with the service.
func (f *Fleet) watch(name string, one kit.Failing) {
	<-one.Done()
	if err := one.Err(); err != nil {
		select {
		case f.failed <- fmt.Errorf("%s ended: %w; its log is %s", name, err, f.directory.join("log", name+".log")):
		default: // one is enough to stop all
		}
	}
}

func (f *Fleet) newMaster(t *telemetry.Telemetry) (service, error) {
	return master.New(master.Config{
		Config: rpc.Config{Address: f.config.Endpoints.Master, AdminAddress: f.config.Admin.Master}, Store: f.store,
	}, master.Settings{Telemetry: t, Store: f.embedded})
}

func (f *Fleet) newScheduler(t *telemetry.Telemetry) (service, error) {
	return scheduler.New(scheduler.Config{
		Config: rpc.Config{Address: f.config.Endpoints.Scheduler, AdminAddress: f.config.Admin.Scheduler}, Store: f.store, Master: f.endpoints.Master,
	}, scheduler.Settings{Telemetry: t, Store: f.embedded})
}

func (f *Fleet) newPromise(t *telemetry.Telemetry) (service, error) {
	return promise.New(promise.Config{
		Config: rpc.Config{Address: f.config.Endpoints.Promise, AdminAddress: f.config.Admin.Promise}, Store: f.store, Master: f.endpoints.Master,
	}, promise.Settings{Telemetry: t, Store: f.embedded})
}

func (f *Fleet) newConsole(t *telemetry.Telemetry) (service, error) {
	var told string
	if f.config.Notify != "" {
		told = f.directory.join("notified.json")
	}
	return console.New(console.Config{
		Config: rpc.Config{Address: f.config.Endpoints.Console, AdminAddress: f.config.Admin.Console},
		Master: f.endpoints.Master, Scheduler: f.endpoints.Scheduler, Promise: f.endpoints.Promise, TraceURL: f.config.TraceURL, MaxLive: console.DefaultMaxLive, Notify: f.config.Notify, NotifyState: told,
	}, console.Settings{Telemetry: t})
}

func (f *Fleet) startSupervisor(ctx context.Context) error {
	agent := Agent{
		Computer: f.config.Computer, Partitions: f.config.Partitions,
		Master: f.endpoints.Master, Scheduler: f.endpoints.Scheduler, Promise: f.endpoints.Promise, Admin: f.config.Admin.Node,
	}
	if err := agent.write(f.directory); err != nil {
		return err
	}
	return startSupervisor(ctx, f.directory, f.executable, f.changed)
}
