package app

import (
	"time"

	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/internal/release"
	"github.com/vow-os/vow/svc-node/internal/run"
	"github.com/vow-os/vow/svc-node/internal/sense"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/usage"
)

// What a simulator or a test puts in the place of the machine.
type (
	// Supervisor keeps processes.
	Supervisor = agent.Supervisor
	// Installer carries instance profiles out; Installation is one partition to install.
	Installer    = run.Installer
	Installation = run.Installation
	// World is what an Installation sees of svc-master; Request and Instance are its words, ErrNotAvailable its "not yet".
	World    = recipe.World
	Request  = recipe.Request
	Instance = recipe.Instance
	Port     = recipe.Port
	// Sensor executes sensors; Sensing is one execution, Promise the promise it is of.
	Sensor  = sense.Sensor
	Sensing = sensor.Request
	Promise = sensor.Promise
	// Releases keeps software releases on disk; ReleaseOptions is what they say of their instances, InstallObserver is told
	// of the InstallSteps.
	Releases        = agent.Releases
	ReleaseOptions  = release.Options
	InstallObserver = release.Observer
	InstallStep     = release.Step
	// UsageReader reads what partitions use; UsageTenant is one to read, UsageReading what it uses.
	UsageReader  = agent.UsageReader
	UsageTenant  = usage.Tenant
	UsageReading = usage.Reading
)

// ErrNotAvailable is what an Installer's error wraps when something requested is not ready yet.
var ErrNotAvailable = recipe.ErrNotAvailable

// Settings is what a developer passes. Zero values mean the real machine and the defaults.
type Settings struct {
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Version is told to svc-master.
	Version string
	// Dial replaces the network.
	Dial rpc.Dial
	// PingIdle is as in rpc.ClientSettings.
	PingIdle time.Duration

	Supervisor Supervisor
	Installer  Installer
	Sensor     Sensor
	Releases   Releases
	// Usage reads what partitions use.
	Usage UsageReader
	// BootID replaces the machine's.
	BootID string
	// Unsynced says that nothing has to survive a crash of the machine: simulators spare the writes of the disk.
	Unsynced bool
	// User is who the partitions' processes run as; empty = the agent's own user.
	User string

	// RunTimeout bounds a run: DefaultRunTimeout if zero.
	RunTimeout time.Duration
	// SenseDelay is how long the group of a passing promise may wait for others: DefaultSenseDelay if zero. A failed one
	// is sent at once.
	SenseDelay time.Duration
	// RegisterEvery is how often the agent looks whether what it registered has changed: DefaultRegisterEvery if zero on a real
	// machine, never under a simulated one.
	RegisterEvery time.Duration
	// DiskEvery is how often the disks are looked at, besides when a write failed: every 10 s if zero.
	DiskEvery time.Duration
	// ReconnectWindow is the window of reconnects until svc-master advises one: DefaultReconnectWindow if zero.
	ReconnectWindow time.Duration
}

// Defaults.
const (
	// DefaultRunTimeout is ten times what the rule of monitoring crimes allows a run to take.
	DefaultRunTimeout = 10 * time.Minute
	// DefaultSenseDelay and SenseBatch bound a batch of groups on the Sense stream.
	DefaultSenseDelay = 50 * time.Millisecond
	SenseBatch        = 500
	// DefaultRegisterEvery costs a read of a small file.
	DefaultRegisterEvery = time.Minute
	// DefaultReconnectWindow suits a few nodes; a fleet is told a longer one.
	DefaultReconnectWindow = 500 * time.Millisecond
)

func (s Settings) withDefaults() Settings {
	s.Telemetry = telemetry.OrDisabled(s.Telemetry)
	if s.Version == "" {
		s.Version = "0.1.0-dev"
	}
	if s.Usage == nil {
		s.Usage = usage.NewMachine()
	}
	if s.RunTimeout == 0 {
		s.RunTimeout = DefaultRunTimeout
	}
	if s.SenseDelay == 0 {
		s.SenseDelay = DefaultSenseDelay
	}
	if s.ReconnectWindow == 0 {
		s.ReconnectWindow = DefaultReconnectWindow
	}
	return s
}
