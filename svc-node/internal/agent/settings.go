package agent

import (
	"context"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/release"
	"github.com/vow-os/vow/svc-node/internal/run"
	"github.com/vow-os/vow/svc-node/internal/sense"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Supervisor keeps processes and tells of their ends.
type Supervisor interface {
	run.Supervisor
	// Subscribe delivers each exit after number seq that is not acknowledged, in order, then every further one as it
	// happens. The channel is closed when ctx ends or the supervisor is lost.
	Subscribe(ctx context.Context, seq uint64) (<-chan supervise.Exit, error)
	// Ack acknowledges all exits up to and including seq. Idempotent.
	Ack(ctx context.Context, seq uint64) error
}

// Releases keeps software releases on disk. Its methods are called by one goroutine at a time but for Directory and
// Installed, which are called by any.
type Releases interface {
	Directory(releaseURL string) string
	Installed(releaseURL string) bool
	Install(ctx context.Context, releaseURL string, o release.Observer) error
	Remove(ctx context.Context, releaseURL string) error
	// Collect removes what is left of releases that are not among keep, with installed also those releases themselves.
	Collect(ctx context.Context, keep []string, installed bool) (removed []string, err error)
	Options(releaseURL string) release.Options
}

// Planner is the optional behaviour of an Installer that can tell what a run would change.
type Planner interface {
	Plan(ctx context.Context, i run.Installation) (*nodev1.PlanResponse, error)
}

// Settings is what an Agent works with.
type Settings struct {
	Computer, BootID, Version string
	// Root holds the partitions.
	Root *partition.Root
	// StateDir holds what the agent itself keeps.
	StateDir string
	// Executable and ServerURL are as in run.Settings.
	Executable, ServerURL string
	// Unsynced says that nothing has to survive a crash of the machine: the simulator's state is thrown away.
	Unsynced bool
	// Slots is how many partitions run and how many sensors are executed at once.
	Slots int
	// Register is what svc-master is to know of the computer, asked at start and, if RegisterEvery is not 0, that often: what
	// changed is registered again. nil = the computer is registered by somebody else.
	Register      func() (*masterv1.RegisterComputerRequest, error)
	RegisterEvery time.Duration

	Master    peer.Master
	Scheduler peer.Scheduler
	Promise   peer.Promise

	Supervisor Supervisor
	Installer  run.Installer
	Releases   Releases
	// CollectReleases has installed releases removed that no supply names and no partition uses.
	CollectReleases bool
	Sensor          sense.Sensor
	Evaluator       sense.Evaluator
	Telemetry       *telemetry.Telemetry
	// Usage reads what partitions use; UsageEvery is how often it is reported.
	Usage      UsageReader
	UsageEvery time.Duration
	// Policy is the operator's for all processes.
	Policy partition.Policy
	// Call answers an operator's call of vow.node.v1 that came through the Link; a stream passes its messages to more, which waits until there is room.
	Call func(ctx context.Context, method string, request []byte, more func([]byte) error) (response []byte, code, message string)

	// RunTimeout bounds a run; SenseDelay and SenseBatch are as in sense.Settings; ReconnectWindow is used until
	// svc-master advises one.
	RunTimeout time.Duration
	// MinFree is how many bytes the disk of the partitions must have free before a profile is carried out; 0 = any.
	MinFree int64
	// DiskEvery is how often the disks are looked at; 0 = disk.Every.
	DiskEvery       time.Duration
	SenseDelay      time.Duration
	SenseBatch      int
	ReconnectWindow time.Duration
}

// Limits of what waits on the disk for svc-master, each with the name that telemetry shows.
const (
	// MaxReports is a day of periodic runs of 100 partitions that fail ten times each.
	MaxReports = 1000
	// MaxBangs is the largest number of partitions of a computer: one waiting bang each.
	MaxBangs = 1000

	// MaxUsages is ten days of reports every 15 min.
	MaxUsages = 1000

	limitUsages  = "spooled usage"
	limitReports = "spooled reports"
	limitBangs   = "spooled bangs"
)
