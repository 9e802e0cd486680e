package run

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/disk"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Supervisor keeps the processes of partitions.
type Supervisor interface {
	// Apply replaces the wanted processes of a partition; none stops all. It returns when that is recorded.
	Apply(ctx context.Context, partition string, processes []supervise.Process) error
	// Settle waits until no process of the partition is being started or stopped, and returns its units.
	Settle(ctx context.Context, partition string) ([]supervise.Unit, error)
	// List returns the units of a partition.
	List(ctx context.Context, partition string) ([]supervise.Unit, error)
}

// Installer carries instance profiles out.
type Installer interface {
	// Install brings a partition's directory to what its profile says. An error that wraps recipe.ErrNotAvailable means
	// "not yet". changed tells whether anything was written, removed, requested or published anew.
	Install(ctx context.Context, i Installation) (changed bool, err error)
}

// Installation is one partition to install.
type Installation struct {
	// Environment has the partition's directory, parameters and names.
	Environment profile.Environment
	// User is the partition's, as whom everything in the directory is read and written.
	User privilege.User
	// Release is the directory of the installed software release.
	Release string
	World   recipe.World
	// Part is told of each part that is about to be installed, updated or removed, and calls the result with how that
	// ended.
	Part func(ctx context.Context, name string) (context.Context, func(error))
}

// Releases are the installed software releases.
type Releases interface {
	// Ensure returns the directory of a release. While it is being installed, or not known yet, the error wraps
	// recipe.ErrNotAvailable; otherwise the error is why its installation failed.
	Ensure(releaseURL string) (directory string, err error)
}

// Senses are the promises of partitions.
type Senses interface {
	// Watch senses the promises of a partition by their own periodicity from now on.
	Watch(directory partition.Directory, allocationID string) error
	// Unwatch ends that.
	Unwatch(partition string)
	// Test senses all promises of a partition for a run and evaluates them.
	Test(ctx context.Context, t Test) (Tested, error)
}

// Test is the promises step of a run.
type Test struct {
	Directory    partition.Directory
	AllocationID string
	RunID        string
	// Started is when the newest service of the partition started; zero = none.
	Started time.Time
	// Span is that of the run: evaluation is a child of it, beside the steps (docs/telemetry.md).
	Span trace.SpanContext
}

// Tested is what the promises say.
type Tested struct {
	Verdicts []*typev1.Verdict
	// Locally says that svc-promise did not answer in time.
	Locally bool
}

// Settings is what an Engine works with.
type Settings struct {
	Computer string
	BootID   string
	// Root is where the partitions are and whose; Locks is a folder outside of it.
	Root  *partition.Root
	Locks string
	// Executable is ${vow:executable}; ServerURL is where svc-master is, for profiles.
	Executable, ServerURL string
	// Timeout bounds a run.
	Timeout time.Duration
	// Disk tells whether there is a disk to write to: a run refuses to begin what it has no room for.
	Disk       *disk.Watch
	Master     peer.Master
	Supervisor Supervisor
	Installer  Installer
	Releases   Releases
	Senses     Senses
	Revisions  *partition.Revisions
	Policy     partition.Policy
	Telemetry  *telemetry.Telemetry
	// Problems are what is wrong with a partition though no run fails of it.
	Problems func(partition string) []string
	// Learned is told what BeginRun returned.
	Learned func(desired *masterv1.DesiredPartition)
	// Spool keeps a report that could not be sent.
	Spool func(report *storev1.NodeReport) error
}
