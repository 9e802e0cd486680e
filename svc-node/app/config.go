package app

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/format"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/release"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Config is what a user sets.
type Config struct {
	Telemetry telemetry.Config `embed:""`

	Computer             string        `help:"Name of this computer: 1 to 63 characters of a-z, 0-9 and -." default:"${computer}"`
	InstanceRoot         string        `help:"Folder of the partitions." type:"path" default:"${state}/instance"`
	SoftwareRoot         string        `help:"Folder of the installed software releases." type:"path" default:"${state}/software"`
	StateDir             string        `help:"Folder of what the agent itself keeps." type:"path" default:"${state}/node"`
	SupervisorDir        string        `help:"Folder of the supervisor, in which its socket is." type:"path" default:"${state}/supervisor"`
	Socket               string        `help:"Unix socket on which vow.node.v1 is served; empty for none." type:"path" default:"${state}/node/node.sock"`
	AdminAddress         string        `help:"Address of metrics, pprof and readiness, host:port; empty for none." default:"${admin_address}"`
	Insecure             bool          `help:"Serve metrics, pprof and readiness on addresses other than loopback although callers are not authenticated."`
	Partitions           int           `help:"Number of partitions, slappart0 and on, when the computer is not formatted (vow node format)." default:"10"`
	PartitionAddress     []string      `help:"IP addresses that services of the partitions may listen on, when the computer is not formatted." default:"127.0.0.1"`
	Formatted            bool          `help:"Refuse to start unless the computer is formatted: as root, everything would run as root."`
	Periodicity          time.Duration `help:"Longest time between two runs of a partition, 1m to 24h." default:"24h"`
	PartitionTimeout     time.Duration `help:"Longest time of one run of a partition: beyond it what it executes is killed and it ends as timeout." default:"10m"`
	InstanceMinFreeSpace int64         `help:"MiB that the disk of the partitions must have free before a profile is carried out; 0 for any." default:"1000"`
	UsageInterval        time.Duration `help:"How often what partitions consumed is reported, 1m to 24h." default:"15m"`
	Slots                int           `help:"How many partitions run at once; 0 = the number of CPUs." default:"0"`
	Register             bool          `help:"Register the computer at start." default:"true" negatable:""`
	Master               string        `help:"Address of svc-master; of several replicas host:port,host:port,…" default:"127.0.0.1:7711"`
	Scheduler            string        `help:"Address of svc-scheduler; of several replicas host:port,host:port,…" default:"127.0.0.1:7712"`
	Promise              string        `help:"Address of svc-promise; of several replicas host:port,host:port,…" default:"127.0.0.1:7713"`
	Executable           string        `help:"Path of the vow executable for instance profiles; empty = this program." type:"path"`
	Buildout             string        `help:"Path of a buildout executable: it builds software releases whose URL ends in .cfg, and runs instance profiles with recipes that are not built in, where a release has no bin/buildout; empty for none." type:"path"`

	SoftwareMinFreeSpace   int64 `help:"Space that an installation leaves free on the file system of the software root, in MiB." default:"1000"`
	SoftwareMaxSize        int64 `help:"Limit of an archive of a software release, and of what it unpacks to, in MiB; 0 = the default." default:"20480"`
	SoftwareGarbageCollect bool  `help:"Remove installed software releases that no supply names and no partition uses."`

	ProcessMemory    int64    `help:"Limit of memory of each service, with its descendants, in MiB; 0 for none. Needs cgroups; where they are not permitted, 'vow node ps' says so." default:"0"`
	ProcessCPU       int      `help:"Limit of CPU of each service in thousandths of a processor; 0 for none. Needs cgroups." default:"0"`
	ProcessCount     int      `help:"Limit of processes and threads of each service; 0 for none. Needs cgroups, or counts all processes of the service's user." default:"0"`
	ProcessOpenFiles int      `help:"Limit of open files of each process; 0 for none." default:"0"`
	StopLast         []string `help:"Partitions that a shutdown stops after all others, one after the other in this order, for example those of databases."`
}

// MaxPartitions is how many partitions a computer may have.
const MaxPartitions = format.MaxPartitions

// computerName is what svc-master takes as a computer's name.
var computerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Validate checks the configuration; its errors name the flag.
func (c Config) Validate() error {
	if !computerName.MatchString(c.Computer) {
		return fmt.Errorf("cannot use --computer=%q: want 1 to 63 characters of a-z, 0-9 and -", c.Computer)
	}
	for _, f := range []struct{ flag, path string }{
		{"--instance-root", c.InstanceRoot}, {"--software-root", c.SoftwareRoot}, {"--state-dir", c.StateDir},
	} {
		if f.path == "" {
			return fmt.Errorf("cannot start: no %s", f.flag)
		}
	}
	if c.Partitions < 0 || c.Partitions > MaxPartitions {
		return fmt.Errorf("cannot use --partitions=%d: want 0 to %d", c.Partitions, MaxPartitions)
	}
	if c.Periodicity < time.Minute || c.Periodicity > 24*time.Hour {
		return fmt.Errorf("cannot use --periodicity=%s: want 1m to 24h", c.Periodicity)
	}
	if c.Slots < 0 || c.Slots > 4096 {
		return fmt.Errorf("cannot use --slots=%d: want 0 to 4096", c.Slots)
	}
	if c.UsageInterval != 0 && (c.UsageInterval < time.Minute || c.UsageInterval > 24*time.Hour) {
		return fmt.Errorf("cannot use --usage-interval=%s: want 1m to 24h", c.UsageInterval)
	}
	if c.PartitionTimeout < 0 || c.PartitionTimeout > 24*time.Hour {
		return fmt.Errorf("cannot use --partition-timeout=%s: want up to 24h", c.PartitionTimeout)
	}
	if c.InstanceMinFreeSpace < 0 || c.InstanceMinFreeSpace > 1<<30 {
		return fmt.Errorf("cannot use --instance-min-free-space=%d: want 0 to 2^30 MiB", c.InstanceMinFreeSpace)
	}
	if err := c.policy().Limits.Validate(); err != nil {
		return fmt.Errorf("cannot use --process-*: %w", err)
	}
	if c.SoftwareMinFreeSpace < 0 || c.SoftwareMinFreeSpace > maxMebibytes {
		return fmt.Errorf("cannot use --software-min-free-space=%d: want 0 to %d MiB", c.SoftwareMinFreeSpace, maxMebibytes)
	}
	if c.SoftwareMaxSize < 0 || c.SoftwareMaxSize > maxMebibytes {
		return fmt.Errorf("cannot use --software-max-size=%d: want 0 to %d MiB", c.SoftwareMaxSize, maxMebibytes)
	}
	if len(c.StopLast) > supervise.MaxRank {
		return fmt.Errorf("cannot use --stop-last: %d partitions, want at most %d", len(c.StopLast), supervise.MaxRank)
	}
	if len(c.PartitionAddress) > 16 {
		return errors.New("cannot use --partition-address: want at most 16 addresses")
	}
	for _, address := range c.PartitionAddress {
		if _, err := netip.ParseAddr(address); err != nil {
			return fmt.Errorf("cannot use --partition-address=%q: want an IP address", address)
		}
	}
	return nil
}

// maxMebibytes bounds sizes of the configuration: 1 EiB.
const maxMebibytes = 1 << 40

// releases is how software releases are installed.
func (c Config) releases() release.Settings {
	return release.Settings{MinFree: c.SoftwareMinFreeSpace << 20, MaxBytes: c.SoftwareMaxSize << 20, Buildout: c.Buildout}
}

// slots is how many partitions run at once.
func (c Config) slots() int {
	if c.Slots > 0 {
		return c.Slots
	}
	return runtime.NumCPU()
}

// usageInterval is how often usage is reported: the default where a Config was made by hand.
func (c Config) usageInterval() time.Duration {
	if c.UsageInterval == 0 {
		return 15 * time.Minute
	}
	return c.UsageInterval
}

// policy is what the operator wants of all processes.
func (c Config) policy() partition.Policy {
	return partition.Policy{StopLast: c.StopLast, Limits: supervise.Limits{
		Memory: c.ProcessMemory << 20, CPU: c.ProcessCPU, Processes: c.ProcessCount, OpenFiles: c.ProcessOpenFiles,
	}}
}

// Vars are the defaults of Config that depend on the machine: the folder $XDG_STATE_HOME/vow of an unprivileged user, and
// the computer's name.
func Vars() map[string]string {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		state = filepath.Join(os.Getenv("HOME"), ".local", "state")
	}
	name, err := os.Hostname()
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	if err != nil || !computerName.MatchString(name) {
		name = "localhost"
	}
	return map[string]string{"state": filepath.Join(state, "vow"), "computer": name, "admin_address": "127.0.0.1:7725"}
}
