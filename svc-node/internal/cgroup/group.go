package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/supervise"
)

// period is that of the CPU limit, in microseconds: the kernel's default.
const period = 100_000

// Group is the cgroup of one service: a folder in version 2, one per controller in version 1.
type Group struct {
	limit int64 // of memory
	dirs  []string
	// unified is the folder of version 2, if the group has one; oom the file that counts kills for want of memory.
	unified string
	oom     string
	kills   uint64
}

// join makes the group's folder for a controller and writes its limit.
func (g *Group) join(controller, dir string, unified bool, limits supervise.Limits) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("no group can be made: %w", err)
	}
	type setting struct {
		file, value string
		may         bool // it may fail
	}
	quota := strconv.Itoa(limits.CPU * period / 1000)
	var settings []setting
	switch {
	case controller == memory && unified:
		settings = []setting{
			{"memory.max", strconv.FormatInt(limits.Memory, 10), false},
			{"memory.swap.max", "0", true},  // beyond its memory it ends, instead of making everybody slow
			{"memory.oom.group", "1", true}, // a service without one of its processes is no service
		}
	case controller == memory:
		settings = []setting{{"memory.limit_in_bytes", strconv.FormatInt(limits.Memory, 10), false}}
	case controller == cpu && unified:
		settings = []setting{{"cpu.max", quota + " " + strconv.Itoa(period), false}}
	case controller == cpu:
		settings = []setting{{"cpu.cfs_period_us", strconv.Itoa(period), false}, {"cpu.cfs_quota_us", quota, false}}
	default:
		settings = []setting{{"pids.max", strconv.Itoa(limits.Processes), false}}
	}
	for _, s := range settings {
		if err := write(filepath.Join(dir, s.file), s.value); err != nil && !s.may {
			_ = os.Remove(dir)
			return fmt.Errorf("%s: %w", s.file, err)
		}
	}
	if controller == memory {
		g.oom = filepath.Join(dir, "memory.oom_control")
		if unified {
			g.oom = filepath.Join(dir, "memory.events")
		}
	}
	if unified {
		g.unified = dir
	}
	if !slices.Contains(g.dirs, dir) {
		g.dirs = append(g.dirs, dir)
	}
	return nil
}

// Descriptor opens the group so that a process can be created in it; nil = Add must move it, which waits some
// milliseconds for the kernel.
func (g *Group) Descriptor() *os.File {
	if g.unified == "" || len(g.dirs) > 1 {
		return nil
	}
	dir, err := os.OpenFile(g.unified, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return dir
}

// Add moves a process into the group.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs {
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("process %d cannot be moved into %s: %w", pid, dir, err)
		}
	}
	return nil
}

// Members are the processes in the group.
func (g *Group) Members() []int {
	var members []int
	for _, word := range words(filepath.Join(g.dirs[0], "cgroup.procs")) {
		if pid, err := strconv.Atoi(word); err == nil {
			members = append(members, pid)
		}
	}
	return members
}

// Kill ends every process in the group, those too that are being forked: by rounds, in version 2 of a group that is
// frozen and so forks no more; in version 1 a limit of processes keeps a fork bomb from being faster. Not by cgroup.kill:
// Linux 6.1.176 then kills whatever is created in the group ever after, so that the service never ran again.
func (g *Group) Kill() {
	if g.unified != "" {
		freeze := filepath.Join(g.unified, "cgroup.freeze")
		if write(freeze, "1") == nil {
			defer func() { _ = write(freeze, "0") }()
		}
	}
	const rounds = 20
	for range rounds {
		members := g.Members()
		if len(members) == 0 {
			return
		}
		for _, pid := range members {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// OutOfMemory returns the limit in bytes if the kernel killed a member for want of memory since the last Begin, or 0.
func (g *Group) OutOfMemory() int64 {
	if g.outOfMemory() > g.kills {
		return g.limit
	}
	return 0
}

// Begin starts to count for another process.
func (g *Group) Begin() { g.kills = g.outOfMemory() }

// outOfMemory reads how often the kernel has killed a member for want of memory, ever.
func (g *Group) outOfMemory() uint64 {
	if g.oom == "" {
		return 0
	}
	for _, line := range lines(g.oom) {
		if number, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseUint(number, 10, 64)
			return n
		}
	}
	return 0
}

// Remove removes the group; false = something is still in it.
func (g *Group) Remove() bool {
	all := true
	for _, dir := range g.dirs {
		err := os.Remove(dir)
		all = all && (err == nil || errors.Is(err, fs.ErrNotExist))
	}
	return all
}
