package supervise

import (
	"fmt"
	"hash/fnv"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Limits of what one Apply may ask for. They keep a broken agent from filling the supervisor's memory and journal.
const (
	// MaxProcesses is the largest number of processes of one partition; the largest partitions in production have
	// about 60.
	MaxProcesses = 256
	// MaxUnits is the largest number of units of one supervisor.
	MaxUnits = 4096
	// MaxName is the longest partition or process name in bytes: both become parts of file names.
	MaxName = 200
	// MaxDefinition is the largest size in bytes of arguments and environment of one process; the kernel allows 2 MiB.
	MaxDefinition = 256 << 10
	// MaxRank bounds the steps of a Shutdown.
	MaxRank = 1000
)

// DefaultGrace is the time between TERM and KILL of a process that sets none.
const DefaultGrace = 10 * time.Second

// AgentKey names the agent itself. Its partition is empty, which no other process may have.
func AgentKey() Key { return Key{Name: "agent"} }

// Kind says what the end of a process means.
type Kind uint8

const (
	// Service is kept running (etc/service, etc/services).
	Service Kind = iota + 1
	// Run is started once per change or boot and not started again when it ends (etc/run).
	Run
	// Agent is the agent: kept running like a service, stopped before all others, never watched.
	Agent
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Service:
		return "service"
	case Run:
		return "run"
	case Agent:
		return "agent"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText writes the kind as its name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	for kind := Service; kind <= Agent; kind++ {
		if kind.String() == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("cannot read kind %q: want service, run or agent", text)
}

// Key names a process: the partition it belongs to and its name there.
type Key struct {
	Partition string `json:"partition"`
	Name      string `json:"name"`
}

// String returns partition/name, or the bare name of the agent.
func (k Key) String() string {
	if k.Partition == "" {
		return k.Name
	}
	return k.Partition + "/" + k.Name
}

// Less orders keys by partition, then by name.
func (k Key) Less(other Key) bool {
	if k.Partition != other.Partition {
		return k.Partition < other.Partition
	}
	return k.Name < other.Name
}

// Account is the user that a process runs as.
type Account struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"`
}

// Log says where a process's output goes. The file is opened for appending and handed to the process: nothing of ours
// stands between the two, so no output is lost or delayed when the supervisor is away.
type Log struct {
	// Path is absolute. Empty = the output is discarded. The file is made and opened as the process's user, who may own the
	// folder and put anything in its place.
	Path string `json:"path,omitempty"`
	// MaxBytes is the size beyond which the file is rotated; 0 = never.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// Keep is the number of rotated files kept (path.1 is the newest); 0 = the content is dropped.
	Keep int `json:"keep,omitempty"`
}

// Limits bound what one process and its descendants use. 0 = no limit. What the machine does not permit to be limited
// keeps no process down: the supervisor says so and starts it without.
type Limits struct {
	// Memory is in bytes, at least 1 MiB. Beyond it the kernel ends the process: "out of memory".
	Memory int64 `json:"memory,omitempty"`
	// CPU is in thousandths of a processor: 1500 is one and a half.
	CPU int `json:"cpu,omitempty"`
	// Processes is the number of processes and threads at a time.
	Processes int `json:"processes,omitempty"`
	// OpenFiles is the number of files that one process may have open, at least 16.
	OpenFiles int `json:"open_files,omitempty"`
}

// Group reports whether a limit needs a cgroup.
func (l Limits) Group() bool { return l.Memory > 0 || l.CPU > 0 || l.Processes > 0 }

// Validate checks the ranges; its error names the limit.
func (l Limits) Validate() error {
	switch {
	case l.Memory < 0 || l.Memory > 0 && l.Memory < 1<<20:
		return fmt.Errorf("limit of memory is %d bytes, want 0 or at least 1048576", l.Memory)
	case l.CPU < 0 || l.CPU > 0 && l.CPU < 10 || l.CPU > 1_000_000:
		return fmt.Errorf("limit of CPU is %d thousandths, want 0 or 10 to 1000000", l.CPU)
	case l.Processes < 0 || l.Processes > 1<<22:
		return fmt.Errorf("limit of processes is %d, want 0 to 4194304", l.Processes)
	case l.OpenFiles < 0 || l.OpenFiles > 0 && l.OpenFiles < 16 || l.OpenFiles > 1<<20:
		return fmt.Errorf("limit of open files is %d, want 0 or 16 to 1048576", l.OpenFiles)
	}
	return nil
}

// Process is the definition of one process. Two definitions that differ in any field but Rank are a change, which
// restarts the process.
type Process struct {
	Key
	Kind Kind `json:"kind"`
	// Path is the executable, absolute. Argv starts with the name the process is told it has; empty = Path.
	Path string   `json:"path"`
	Argv []string `json:"argv,omitempty"`
	// Env is the whole environment, "NAME=value" each; the supervisor adds its marker only.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory, absolute.
	Dir string `json:"dir"`
	// Account is the user to run as; nil = the supervisor's own.
	Account *Account `json:"account,omitempty"`
	// Watched says that an end which nobody asked for is reported for a bang (docs/rules.md, "watchdog").
	Watched bool `json:"watched,omitempty"`
	// Grace is the time between TERM and KILL; 0 = DefaultGrace.
	Grace time.Duration `json:"grace_ns,omitempty"`
	// Revision stands for all that the other fields do not show, for example a hash of the executable's content.
	Revision string `json:"revision,omitempty"`
	Log      Log    `json:"log,omitzero"`
	Limits   Limits `json:"limits,omitzero"`
	// Rank orders the stops of a Shutdown: a process is stopped when nothing of a lower rank runs any more, those of one
	// rank at once. 0 to MaxRank. It says nothing about the process itself, so a change of it restarts nothing.
	Rank int `json:"rank,omitempty"`
}

// Equal reports whether two definitions say the same of how the process runs.
func (p Process) Equal(other Process) bool {
	return p.Key == other.Key && p.Kind == other.Kind && p.Path == other.Path && slices.Equal(p.Argv, other.Argv) &&
		slices.Equal(p.Env, other.Env) && p.Dir == other.Dir && p.Account.equal(other.Account) && p.Watched == other.Watched &&
		p.Grace == other.Grace && p.Revision == other.Revision && p.Log == other.Log && p.Limits == other.Limits
}

func (a *Account) equal(other *Account) bool {
	if a == nil || other == nil {
		return a == other
	}
	return a.UID == other.UID && a.GID == other.GID && slices.Equal(a.Groups, other.Groups)
}

// Fingerprint is a short hash of the definition. It travels in the marker of the running process, so that a process
// which the journal has forgotten is recognised as the one that is wanted.
func (p Process) Fingerprint() string {
	h := fnv.New64a()
	field := func(parts ...string) {
		for _, part := range parts {
			// The length keeps ("a", "b") and ("ab") apart.
			fmt.Fprintf(h, "%d:", len(part))
			fmt.Fprint(h, part)
		}
		fmt.Fprint(h, ";")
	}
	field(p.Partition, p.Name, p.Kind.String(), p.Path, p.Dir, p.Revision, p.Log.Path)
	field(p.Argv...)
	field(p.Env...)
	fmt.Fprint(h, p.Watched, p.Grace, p.Log.MaxBytes, p.Log.Keep)
	if p.Account != nil {
		fmt.Fprint(h, *p.Account)
	}
	if p.Limits != (Limits{}) {
		fmt.Fprint(h, p.Limits)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

func (p Process) grace() time.Duration {
	if p.Grace > 0 {
		return p.Grace
	}
	return DefaultGrace
}

// rank is the step of a Shutdown in which the process is stopped.
func (p Process) rank() int {
	if p.Kind == Agent {
		return -1
	}
	return p.Rank
}

func (p Process) clone() Process {
	p.Argv, p.Env = slices.Clone(p.Argv), slices.Clone(p.Env)
	if p.Account != nil {
		account := *p.Account
		account.Groups = slices.Clone(account.Groups)
		p.Account = &account
	}
	return p
}

// Validate checks what an agent asked for before it becomes an Apply: the error names the process and the field.
func Validate(partition string, processes []Process) error {
	if err := validName(partition); err != nil {
		return fmt.Errorf("cannot apply partition %q: its name %w", partition, err)
	}
	if len(processes) > MaxProcesses {
		return fmt.Errorf("cannot apply partition %s: %d processes, the limit is %d", partition, len(processes), MaxProcesses)
	}
	seen := make(map[string]bool, len(processes))
	for _, p := range processes {
		if err := p.validate(partition); err != nil {
			return fmt.Errorf("cannot apply %s/%s: %w", partition, p.Name, err)
		}
		if seen[p.Name] {
			return fmt.Errorf("cannot apply %s/%s: two processes have this name", partition, p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

func (p Process) validate(partition string) error {
	if err := validName(p.Name); err != nil {
		return fmt.Errorf("name %w", err)
	}
	size := 0
	for _, text := range slices.Concat(p.Argv, p.Env) {
		size += len(text) + 1
	}
	switch {
	case p.Partition != partition:
		return fmt.Errorf("it says that it belongs to partition %q", p.Partition)
	case p.Kind != Service && p.Kind != Run:
		return fmt.Errorf("kind is %v, want service or run", p.Kind)
	case p.Kind == Run && p.Watched:
		return fmt.Errorf("a process of etc/run is never watched")
	case !path.IsAbs(p.Path) || strings.ContainsRune(p.Path, 0):
		return fmt.Errorf("path %q is not absolute", p.Path)
	case !path.IsAbs(p.Dir) || strings.ContainsRune(p.Dir, 0):
		return fmt.Errorf("dir %q is not absolute", p.Dir)
	case p.Log.Path != "" && !path.IsAbs(p.Log.Path):
		return fmt.Errorf("log path %q is not absolute", p.Log.Path)
	case p.Log.MaxBytes < 0 || p.Log.Keep < 0 || p.Log.Keep > 100:
		return fmt.Errorf("log keeps %d files of %d bytes: want 0 to 100 files, no negative size", p.Log.Keep, p.Log.MaxBytes)
	case p.Grace < 0 || p.Grace > time.Hour:
		return fmt.Errorf("grace %v is not between 0 and 1h", p.Grace)
	case p.Rank < 0 || p.Rank > MaxRank:
		return fmt.Errorf("rank is %d, want 0 to %d", p.Rank, MaxRank)
	case size > MaxDefinition:
		return fmt.Errorf("arguments and environment are %d bytes, the limit is %d", size, MaxDefinition)
	case slices.ContainsFunc(slices.Concat(p.Argv, p.Env), func(s string) bool { return strings.ContainsRune(s, 0) }):
		return fmt.Errorf("an argument or environment variable contains a zero byte")
	case slices.ContainsFunc(p.Env, func(s string) bool { return strings.IndexByte(s, '=') < 1 }):
		return fmt.Errorf("an environment variable is not NAME=value")
	}
	return p.Limits.Validate()
}

// validName allows what may be a part of a file name and of the marker.
func validName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("is empty")
	case len(name) > MaxName:
		return fmt.Errorf("has %d bytes, the limit is %d", len(name), MaxName)
	case name == "." || name == "..":
		return fmt.Errorf("is a folder")
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }):
		return fmt.Errorf("contains a slash or a control character")
	}
	return nil
}

func sortedKeys[V any](m map[Key]V) []Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b Key) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
}
