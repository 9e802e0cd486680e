package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/cgroup"
	"github.com/vow-os/vow/svc-node/supervise"
)

// limited is a service with limits: its cgroup, if it could be made, and which limits are not held, in words.
type limited struct {
	limits   supervise.Limits
	group    *cgroup.Group
	problems []string
}

// limit makes sure that the limits of a process can be held when it starts, and tells when one cannot: once, not at every
// restart. nil = it has none.
func (m *machine) limit(p supervise.Process) *limited {
	l := m.limits[p.Key]
	if l != nil && l.limits == p.Limits {
		if l.group != nil {
			l.group.Begin()
		}
		return l
	}
	m.unlimit(p.Key)
	if p.Limits == (supervise.Limits{}) {
		return nil
	}
	l = &limited{limits: p.Limits}
	if p.Limits.Group() {
		l.group, l.problems = m.tree.Make(p.Key, p.Limits)
	}
	if hard, ok := hardLimit(unix.RLIMIT_NOFILE); ok && uint64(p.Limits.OpenFiles) > hard && os.Getuid() != 0 {
		l.problems = append(l.problems, fmt.Sprintf("its limit of open files is %d: the supervisor itself may not have more", hard))
	}
	for _, problem := range l.problems {
		m.log.WarnContext(m.ctx, "a limit is not held", "process", p.Key.String(), "problem", problem)
	}
	m.limits[p.Key] = l
	return l
}

// unlimit removes a service's group, with whatever is left in it.
func (m *machine) unlimit(key supervise.Key) {
	l := m.limits[key]
	if l == nil {
		return
	}
	delete(m.limits, key)
	if l.group != nil && !l.group.Remove() {
		l.group.Kill()
		m.emptied = append(m.emptied, l.group)
	}
}

// removeEmptied removes groups that still had a dying process when they were given up.
func (m *machine) removeEmptied() {
	m.emptied = slices.DeleteFunc(m.emptied, func(g *cgroup.Group) bool { return g.Remove() })
}

// removeGroups removes all groups in the end; what was killed in them takes a moment to go.
func (m *machine) removeGroups() {
	for key := range m.limits {
		m.unlimit(key)
	}
	const patience = 50
	for range patience {
		if m.removeEmptied(); len(m.emptied) == 0 {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// resources are the limits that a stub sets itself before it becomes the process.
func (m *machine) resources(p supervise.Process, switched bool) (files, processes uint64) {
	files = uint64(p.Limits.OpenFiles)
	if hard, ok := hardLimit(unix.RLIMIT_NOFILE); ok && files > hard && os.Getuid() != 0 {
		files = hard
	}
	if switched && p.Limits.Processes > 0 && !m.tree.Holds(p.Limits) { // of all that its user runs: the next best
		processes = uint64(p.Limits.Processes)
	}
	return files, processes
}

func hardLimit(resource int) (uint64, bool) {
	var limit unix.Rlimit
	err := unix.Getrlimit(resource, &limit)
	return limit.Max, err == nil
}

// problem is what does not work, in words; empty = nothing.
func (m *machine) problem() string {
	var all []string
	if m.journal.broken != nil {
		why := m.journal.broken
		for errors.Unwrap(why) != nil { // the kernel's word
			why = errors.Unwrap(why)
		}
		all = append(all, "cannot write the journal: "+why.Error())
	}
	for key, l := range m.limits {
		for _, problem := range l.problems {
			all = append(all, key.String()+": "+problem)
		}
	}
	slices.Sort(all)
	const most = 20 // one line of the reply; the rest is like it
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("and %d more", len(all)-most))
	}
	return strings.Join(all, "; ")
}
