package supervisor

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/supervise"
)

// endRemains kills what a dead service left behind, so that its replacement finds its ports and files free: its group,
// its cgroup, and what left both by forking twice, which is our child by now and carries the marker. It returns how
// many had left the group, as daemons do.
func (m *machine) endRemains(pid int, key supervise.Key, incarnation uint64) (left int) {
	_ = unix.Kill(-pid, unix.SIGKILL)
	prefix := markerPrefix(m.hash, key, incarnation)
	end := func(member int) {
		if stat, err := readStat(member); err != nil || stat.group == pid || stat.state == 'Z' {
			return
		} else if stat.group == member {
			_ = unix.Kill(-member, unix.SIGKILL)
		}
		_ = unix.Kill(member, unix.SIGKILL)
		left++
	}
	if l := m.limits[key]; l != nil && l.group != nil {
		for _, member := range l.group.Members() {
			end(member)
		}
		l.group.Kill()
		return left
	}
	for _, orphan := range m.strays() {
		if strings.HasPrefix(markerOf(orphan), prefix) {
			end(orphan)
		}
	}
	return left
}

// endStrays kills orphans of services that are not there any more: descendants of what endRemains killed.
func (m *machine) endStrays() {
	for _, orphan := range m.strays() {
		key, alive, ok := parseMarker(markerOf(orphan), m.hash)
		if !ok {
			continue
		}
		unit, known := m.set.Unit(key)
		if known && (unit.Process.Kind == supervise.Run || unit.Incarnation == alive.Incarnation && unit.State.Live()) {
			continue // what a run leaves may stay, and so may the daemon of a service that lives
		}
		_ = unix.Kill(orphan, unix.SIGKILL)
	}
}

// strays are our children that we have not started: orphans of services (PR_SET_CHILD_SUBREAPER). The kernel lists
// children by thread and gives orphans to the first thread, so one short file is read: this is a part of each restart.
func (m *machine) strays() []int {
	self := strconv.Itoa(os.Getpid())
	data, err := readProc("/proc/" + self + "/task/" + self + "/children")
	if err != nil {
		return nil
	}
	var strays []int
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		_, ours := m.children[pid]
		if err == nil && !ours && (m.spare == nil || m.spare.pid != pid) {
			strays = append(strays, pid)
		}
	}
	return strays
}

// endAdopted ends what is left of an adopted process: its orphans are not ours, so all processes are looked at.
func endAdopted(hash string, key supervise.Key, incarnation uint64) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	prefix := markerPrefix(hash, key, incarnation)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && strings.HasPrefix(markerOf(pid), prefix) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
