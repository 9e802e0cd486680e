package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/wait"
	master "github.com/vow-os/vow/svc-master/app"
	node "github.com/vow-os/vow/svc-node/app"
	promise "github.com/vow-os/vow/svc-promise/app"
	scheduler "github.com/vow-os/vow/svc-scheduler/app"
)

// Hosts of the control plane; a node's host is the name of its computer.
const (
	Master    = "master"
	Scheduler = "scheduler"
	Promise   = "promise"
	operator  = "operator"
)

// Settings say what a fleet is like.
type Settings struct {
	// Latency is about what one message takes from a host to another, one way. Each host has its own, within ten percent, so
	// that what is independent does not happen at the same instant, where the order is the Go scheduler's.
	Latency time.Duration
	// Work is about what carrying out a profile takes; each partition has its own.
	Work time.Duration
	// Spans keeps every span and reads metrics; without, spans have ids and do not record.
	Spans bool
	// PingIdle is as in rpc.Settings; the default if zero.
	PingIdle time.Duration
	// SenseDelay is as in svc-node's Settings; the default if zero.
	SenseDelay time.Duration
	// ContactsEvery is as in the services' Settings; the defaults if zero.
	ContactsEvery time.Duration
	// UnsettledEvery is as in svc-scheduler's Settings; the default if zero.
	UnsettledEvery time.Duration
	// Recheck is as in svc-master's Settings; the default if zero.
	Recheck time.Duration
}

// Fleet is a control plane and its computers. Its methods are called by one goroutine, the story's.
type Fleet struct {
	Recorder *Recorder
	Operator *Operator
	Network  *memnet.Network

	settings Settings
	dir      string
	redis    *store.Store
	services map[string]*process
	machines map[string]*Machine
	releases *releases
	random   *random
	// titles and runs are the names of ids so far.
	titles, runs map[string]string
}

// New starts a control plane without computers. Call it inside of the bubble, and Stop before the bubble ends.
func New(ctx context.Context, s Settings) (*Fleet, error) {
	dir, err := os.MkdirTemp(fastDirectory(), "vow-fleet-")
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		Recorder: newRecorder(s.Spans), Network: memnet.New(), settings: s, dir: dir,
		services: map[string]*process{}, machines: map[string]*Machine{}, releases: newReleases(dir), random: newRandom(),
		titles: map[string]string{}, runs: map[string]string{},
	}
	if f.redis, err = store.Open(ctx, store.Config{Embedded: true}, store.Settings{SaveInterval: time.Minute}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f.control(Master, master.Service, 7711, func(at place) (service, error) {
		return master.New(master.Config{ReconnectWindow: 5 * time.Second}, master.Settings{
			Server: at.server, Store: f.redis, Telemetry: at.telemetry, Random: f.random, ContactsEvery: s.ContactsEvery, Recheck: s.Recheck,
		})
	})
	f.control(Scheduler, scheduler.Service, 7712, func(at place) (service, error) {
		return scheduler.New(scheduler.Config{Master: address(Master, 7711)}, scheduler.Settings{
			Server: at.server, Store: f.redis, Telemetry: at.telemetry, Dial: at.dial, ContactsEvery: s.ContactsEvery, UnsettledEvery: s.UnsettledEvery,
		})
	})
	f.control(Promise, promise.Service, 7713, func(at place) (service, error) {
		return promise.New(promise.Config{Master: address(Master, 7711)}, promise.Settings{Server: at.server, Store: f.redis, Telemetry: at.telemetry, Dial: at.dial})
	})
	for _, name := range []string{Master, Scheduler, Promise} {
		f.Network.SetLatency(name, about(s.Latency/2, name))
		if err := f.Start(ctx, name); err != nil {
			return nil, errors.Join(err, f.Stop(ctx))
		}
	}
	f.Operator, err = newOperator(f.Network.Dialer(operator))
	if err != nil {
		return nil, errors.Join(err, f.Stop(ctx))
	}
	return f, nil
}

// fastDirectory is where machines keep their files: in memory if there is such a place, since a sync of a disk takes
// real time of which virtual time knows nothing.
func fastDirectory() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return ""
}

// Computer describes a computer.
type Computer struct {
	Name        string
	Partitions  int
	Slots       int
	Periodicity time.Duration
}

// Add starts a computer, which registers itself, and supplies releases to it.
func (f *Fleet) Add(ctx context.Context, c Computer, releases ...string) error {
	m, err := newMachine(f.dir, c.Name, f.releases)
	if err != nil {
		return err
	}
	f.machines[c.Name] = m
	m.work = f.settings.Work
	f.Network.SetLatency(c.Name, about(f.settings.Latency/2, c.Name))
	f.services[c.Name] = &process{fleet: f, host: c.Name, service: node.Service, make: func(at place) (service, error) {
		return node.New(node.Config{
			Computer: c.Name, InstanceRoot: m.join("instance"), SoftwareRoot: m.join("software"), StateDir: m.join("state"),
			Partitions: c.Partitions, PartitionAddress: []string{"127.0.0.1"}, Periodicity: c.Periodicity, Slots: c.Slots, Register: true, UsageInterval: time.Hour,
			Master: address(Master, 7711), Scheduler: address(Scheduler, 7712), Promise: address(Promise, 7713), Executable: "/bin/vow",
		}, node.Settings{
			Telemetry: at.telemetry, Dial: at.dial, PingIdle: f.settings.PingIdle, Supervisor: supervisor{m.Supervisor}, Installer: m, Sensor: m, Releases: software{m}, Usage: m,
			BootID: m.bootID(), User: "vow", SenseDelay: f.settings.SenseDelay, DiskEvery: time.Hour,
		})
	}}
	if err := f.Start(ctx, c.Name); err != nil {
		return err
	}
	if err := f.Until(ctx, time.Minute, func(ctx context.Context) (string, error) {
		_, err := f.Operator.computer(ctx, c.Name)
		return "it is registered", err
	}); err != nil {
		return err
	}
	for _, release := range releases {
		if err := f.Operator.supply(ctx, release, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// Machine is the machine of a computer; nil if there is none.
func (f *Fleet) Machine(computer string) *Machine { return f.machines[computer] }

// Computers are the names of all, sorted.
func (f *Fleet) Computers() []string {
	names := make([]string, 0, len(f.machines))
	for name := range f.machines {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Start starts a service, or the agent of a computer.
func (f *Fleet) Start(ctx context.Context, host string) error {
	p := f.services[host]
	if p == nil {
		return fmt.Errorf("cannot start %s: there is no such host", host)
	}
	return p.start(ctx)
}

// Halt stops one orderly.
func (f *Fleet) Halt(ctx context.Context, host string) error {
	p := f.services[host]
	if p == nil {
		return fmt.Errorf("cannot stop %s: there is no such host", host)
	}
	return p.stop(ctx)
}

// Crash ends one as kill -9 does.
func (f *Fleet) Crash(host string) error {
	p := f.services[host]
	if p == nil {
		return fmt.Errorf("cannot kill %s: there is no such host", host)
	}
	return p.crash()
}

// Reboot ends the agent of a computer as a loss of power does, and starts it in another boot of the machine. Processes are the supervisor's: it starts
// what was recorded at once.
func (f *Fleet) Reboot(ctx context.Context, computer string) error {
	if err := f.Crash(computer); err != nil {
		return err
	}
	f.machines[computer].boot++
	return f.Start(ctx, computer)
}

// Stop stops everything and removes what the machines kept.
func (f *Fleet) Stop(ctx context.Context) error {
	var errs []error
	if f.Operator != nil {
		f.Operator.close()
	}
	for _, name := range f.Computers() {
		errs = append(errs, f.services[name].stop(ctx))
		f.machines[name].Supervisor.Close()
	}
	for _, name := range []string{Promise, Scheduler, Master} {
		if p := f.services[name]; p != nil {
			errs = append(errs, p.stop(ctx))
		}
	}
	return errors.Join(append(errs, f.redis.Stop(ctx), os.RemoveAll(f.dir))...)
}

// Until lets time pass until the condition has no error; its error says what is missing at the end of patience.
func (f *Fleet) Until(ctx context.Context, patience time.Duration, condition func(context.Context) (string, error)) error {
	const look = 20 * time.Millisecond
	for end := time.Now().Add(patience); ; {
		what, err := condition(ctx)
		if err == nil {
			return nil
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("cannot say after %s that %s: %w", patience, what, err)
		}
		Pass(ctx, look)
	}
}

// Pass lets virtual time pass.
func Pass(ctx context.Context, d time.Duration) {
	_ = wait.For(ctx, d)
}

func (f *Fleet) control(host, name string, port int, build func(place) (service, error)) {
	f.services[host] = &process{fleet: f, host: host, service: name, port: port, make: build}
}

// about is a duration within ten percent, by the hash of a name.
func about(d time.Duration, name string) time.Duration {
	if d == 0 {
		return 0
	}
	return d - d/10 + backoff.Phase(name, d/5)
}

func address(host string, port int) string { return fmt.Sprintf("%s:%d", host, port) }
