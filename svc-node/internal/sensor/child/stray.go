package child

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/vow-os/vow/kit/backoff"
)

const (
	// markerName is the environment variable that a child and its descendants carry: <hash of the partition>/<runner>.<number>.
	markerName = "VOW_SENSED"
	// maxNamed is how many processes that a child left behind are named.
	maxNamed = 5
	// rounds is how often the machine is looked through until no process of a child is left: one that forks faster than it
	// is killed must not keep a sensor busy for ever.
	rounds = 5
	// maxEnviron is how much of a process's environment is read in bytes: execve allows an argument of 128 KiB.
	maxEnviron = 1 << 20
)

func partitionHash(partition string) string { return fmt.Sprintf("%016x", backoff.Hash(partition)) }

func markerValue(partition, name string) string { return partitionHash(partition) + "/" + name }

func marker(partition, name string) string { return markerName + "=" + markerValue(partition, name) }

// Sweep ends the processes of sensors that are over, of any agent that served these partitions, and names them. It reads
// the environment of every process of the machine: some 10 µs each.
func (r *Runner) Sweep(partitions []string) []string {
	ours := make(map[string]bool, len(partitions))
	for _, p := range partitions {
		ours[partitionHash(p)] = true
	}
	return end(func(m string) bool {
		hash, name, ok := strings.Cut(m, "/")
		if !ok || !ours[hash] {
			return false
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.live[name]
	}, 0)
}

// end kills the processes whose marker is wanted, and those of a process group, until none is left.
func end(wanted func(marker string) bool, group int) []string {
	var named []string
	seen := map[int]bool{}
	for range rounds {
		var found []int
		for _, pid := range processes() {
			if group > 0 && groupOf(pid) == group || wanted(markerOf(pid)) {
				found = append(found, pid)
			}
		}
		if len(found) == 0 {
			break
		}
		for _, pid := range found {
			name := nameOf(pid)
			if syscall.Kill(pid, syscall.SIGKILL) == nil && !seen[pid] && len(named) < maxNamed {
				named = append(named, fmt.Sprintf("%s (%d)", name, pid))
			}
			seen[pid] = true
		}
		if group > 0 {
			_ = syscall.Kill(-group, syscall.SIGKILL) // all at once: what forks meanwhile too
		}
	}
	return named
}

// processes are the ids of the machine's processes but our own.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// markerOf is the marker of a process; empty = it has none, is a zombie, or its environment is not ours to read.
func markerOf(pid int) string {
	env := readProc(pid, "environ", maxEnviron)
	at := bytes.Index(env, []byte(markerName+"="))
	if at < 0 || at > 0 && env[at-1] != 0 {
		return ""
	}
	value, _, _ := bytes.Cut(env[at+len(markerName)+1:], []byte{0})
	return string(value)
}

// groupOf is the process group of a process; 0 = it is gone or a zombie.
func groupOf(pid int) int {
	_, rest, ok := bytes.Cut(readProc(pid, "stat", 4096), []byte(") "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 3 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return group
}

func nameOf(pid int) string {
	if name := strings.TrimSpace(string(readProc(pid, "comm", 64))); name != "" {
		return strings.ToValidUTF8(name, "\uFFFD")
	}
	return "a process"
}

func readProc(pid int, file string, limit int) []byte {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/" + file)
	if err != nil {
		return nil
	}
	defer f.Close()
	content := make([]byte, 0, min(limit, 8<<10))
	for len(content) < limit {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := f.Read(content[len(content):min(cap(content), limit)])
		content = content[:len(content)+n]
		if err != nil || n == 0 {
			break
		}
	}
	return content
}
