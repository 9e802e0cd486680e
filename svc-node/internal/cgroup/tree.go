package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/svc-node/supervise"
)

// The controllers that hold limits.
const (
	memory = "memory"
	cpu    = "cpu"
	pids   = "pids"
)

// ownLeaf is the cgroup into which a supervisor moves itself in version 2, where a cgroup with limited children may have
// no process of its own.
const ownLeaf = "vow-supervisor"

// Tree is where groups may be made. Its methods may be called by several goroutines.
type Tree struct {
	root  string // before every path; not empty in tests only
	hash  string
	given string // the cgroup of version 2 that was given to groups; empty = our own

	mu sync.Mutex
	// dirs are the parents of groups by controller, found when the first group is made; unified says which are of
	// version 2.
	found   bool
	dirs    map[string]string
	unified map[string]bool
	why     map[string]string // why there is none
}

// NewTree returns the tree of the supervisor whose folder has the hash. Nothing is looked at before the first Make. given
// is the cgroup of version 2 below which groups are made, such as "system.slice/vow-limits.service": one in which no
// process is. Empty = our own cgroup, in which we are. root is put before every path; empty = the machine.
func NewTree(root, hash, given string) *Tree { return &Tree{root: root, hash: hash, given: given} }

// Make makes the group of a process with its limits, or finds it again. nil = none of them can be held by a group. The
// problems say in words which limits are not held, and why.
func (t *Tree) Make(key supervise.Key, limits supervise.Limits) (*Group, []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.find()
	g := &Group{limit: limits.Memory}
	var problems []string
	for _, l := range []struct {
		controller string
		set        bool
		word       string
	}{{memory, limits.Memory > 0, "memory"}, {cpu, limits.CPU > 0, "CPU"}, {pids, limits.Processes > 0, "processes"}} {
		if !l.set {
			continue
		}
		err := errors.New(t.why[l.controller])
		if parent := t.dirs[l.controller]; parent != "" {
			err = g.join(l.controller, filepath.Join(parent, t.name(key)), t.unified[l.controller], limits)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("its limit of %s is not held: %v", l.word, err))
		}
	}
	if len(g.dirs) == 0 {
		return nil, problems
	}
	g.kills = g.outOfMemory()
	return g, problems
}

// Holds reports whether groups can limit the number of processes.
func (t *Tree) Holds(limits supervise.Limits) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.find()
	return limits.Processes == 0 || t.dirs[pids] != ""
}

// Clean removes the groups that an earlier supervisor left and that have no process any more.
func (t *Tree) Clean() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, dir := range t.parents() {
		left, _ := filepath.Glob(filepath.Join(dir, "vow-"+t.hash+".*"))
		for _, group := range left {
			_ = os.Remove(group) // rmdir; refused while something is in it
		}
	}
}

// name is a group's folder: readable, and different for different keys.
func (t *Tree) name(key supervise.Key) string {
	short := func(s string) string { return s[:min(len(s), 80)] }
	return fmt.Sprintf("vow-%s.%s.%s.%08x", t.hash, short(key.Partition), short(key.Name), uint32(backoff.Hash(key.String())))
}

// parents are the folders in which groups may be, whether or not limits can be held.
func (t *Tree) parents() []string {
	var all []string
	for _, h := range t.hierarchies() {
		if !slices.Contains(all, h.dir) {
			all = append(all, h.dir)
		}
	}
	return all
}

// find looks for each controller: in version 1 its own hierarchy has it, in version 2 it must be passed on to children.
func (t *Tree) find() {
	if t.found {
		return
	}
	t.found, t.dirs, t.unified, t.why = true, map[string]string{}, map[string]bool{}, map[string]string{}
	hierarchies := t.hierarchies()
	for _, controller := range []string{memory, cpu, pids} {
		t.why[controller] = "this machine has no cgroup controller " + controller
		for _, h := range hierarchies {
			var err error
			switch {
			case h.missing:
				t.why[controller] = fmt.Sprintf("there is no cgroup %s, which --cgroup names (systemctl start vow-limits makes it)", t.given)
				continue
			case h.unified && !slices.Contains(words(filepath.Join(h.dir, "cgroup.controllers")), controller):
				continue
			case h.unified:
				err = t.passOn(h.dir, controller)
			case !slices.Contains(h.controllers, controller):
				continue
			default:
				err = unix.Access(h.dir, unix.W_OK)
			}
			if err != nil {
				t.why[controller] = fmt.Sprintf("no group can be made in %s (%v): give the supervisor a cgroup of its own (systemd: Delegate=yes)", h.dir, err)
				continue
			}
			t.dirs[controller], t.unified[controller] = h.dir, h.unified
			break
		}
	}
}

// gathering bounds the rounds in which the processes of our cgroup are moved: what one of them forks meanwhile is moved
// in the next.
const gathering = 20

// passOn enables a controller for the children of a cgroup of version 2, which the kernel does only where no process is:
// those in a cgroup that is ours alone are moved into a leaf of it, where their children stay.
func (t *Tree) passOn(dir, controller string) error {
	control := filepath.Join(dir, "cgroup.subtree_control")
	if slices.Contains(words(control), controller) {
		return unix.Access(dir, unix.W_OK)
	}
	err := write(control, "+"+controller)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	if !t.ours(dir) {
		return err
	}
	own := filepath.Join(dir, ownLeaf)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for range gathering {
		for _, pid := range words(filepath.Join(dir, "cgroup.procs")) {
			if err := write(filepath.Join(own, "cgroup.procs"), pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		if err = write(control, "+"+controller); !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return err
}

// ours reports whether a cgroup has nobody's processes but ours: a container's first, or one that systemd has delegated.
// In a login session it would be the user's shell that we moved.
func (t *Tree) ours(dir string) bool {
	if slices.Contains(lines(t.root+"/proc/self/cgroup"), "0::/") {
		return true
	}
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 1)
		if n, err := unix.Getxattr(dir, name, value); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}

// hierarchy is one mounted tree of cgroups, and the folder of our own cgroup there.
type hierarchy struct {
	dir         string
	controllers []string
	unified     bool
	missing     bool // what was given is not there
}

// hierarchies reads proc_pid_mountinfo(5) and cgroups(7).
func (t *Tree) hierarchies() []hierarchy {
	own := map[string]string{} // by controller; "" = version 2
	for _, line := range lines(t.root + "/proc/self/cgroup") {
		if fields := strings.SplitN(line, ":", 3); len(fields) == 3 {
			for _, controller := range strings.Split(fields[1], ",") {
				own[controller] = fields[2]
			}
		}
	}
	var all []hierarchy
	for _, line := range lines(t.root + "/proc/self/mountinfo") {
		mount, system, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(mount), strings.Fields(system)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		h := hierarchy{unified: kind[0] == "cgroup2"}
		path, known := own[""], true
		if kind[0] == "cgroup" {
			h.controllers = strings.Split(kind[2], ",")
			i := slices.IndexFunc(h.controllers, func(c string) bool { return own[c] != "" })
			if known = i >= 0; known {
				path = own[h.controllers[i]]
			}
		} else if !h.unified {
			continue
		}
		if h.unified && t.given != "" {
			h.dir = filepath.Join(t.root+fields[4], t.given)
			_, err := os.Stat(h.dir)
			h.missing = err != nil
			all = append(all, h)
			continue
		}
		if !known || path == "" {
			continue
		}
		if fields[3] != "/" { // a container sees the part below fields[3] only
			path = strings.TrimPrefix(path, fields[3])
		}
		if h.unified && filepath.Base(path) == ownLeaf {
			path = filepath.Dir(path)
		}
		h.dir = filepath.Join(t.root+fields[4], path)
		if _, err := os.Stat(h.dir); err != nil {
			h.dir = t.root + fields[4]
		}
		all = append(all, h)
	}
	return all
}

func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func words(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// write gives a value to a file of a cgroup. The error is the kernel's word alone: the path says nothing to a user.
func write(path, value string) error {
	err := os.WriteFile(path, []byte(value), 0o644)
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
