package usage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// maxDepth bounds how far up the parents of a process are looked at.
const maxDepth = 64

// process is one line of /proc/PID/stat.
type process struct {
	pid, parent int
	// cpu is its own and that of its children that ended and were waited for.
	cpu    time.Duration
	start  time.Duration // since the boot of the machine
	memory uint64        // resident
	uid    uint32
}

// key tells a process from a later one of the same number.
type key struct {
	pid   int
	start time.Duration
}

// processes reads all; whose tells whether owners are wanted, which costs another call each.
func processes(proc string, whose bool) (map[int]process, error) {
	dir, err := os.Open(proc) //nolint:gosec // /proc
	if err != nil {
		return nil, err
	}
	defer dir.Close() // only read from
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	all := make(map[int]process, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		content, err := os.ReadFile(filepath.Join(proc, name, "stat"))
		if err != nil {
			continue // it ended meanwhile
		}
		p, ok := parse(content)
		if !ok {
			continue
		}
		p.pid = pid
		if whose {
			var stat syscall.Stat_t
			if syscall.Stat(filepath.Join(proc, name), &stat) == nil {
				p.uid = stat.Uid
			}
		}
		all[pid] = p
	}
	return all, nil
}

// parse reads a stat line. The name of the command is in brackets and may hold anything.
func parse(content []byte) (process, bool) {
	end := bytes.LastIndexByte(content, ')')
	if end < 0 {
		return process{}, false
	}
	f := strings.Fields(string(content[end+1:]))
	if len(f) < 22 {
		return process{}, false
	}
	number := func(field int) int64 { // as proc(5) counts them, of which two are before the bracket
		n, _ := strconv.ParseInt(f[field-3], 10, 64)
		return n
	}
	return process{
		parent: int(number(4)), cpu: time.Duration(number(14)+number(15)+number(16)+number(17)) * tick,
		start: time.Duration(number(22)) * tick, memory: uint64(max(0, number(24))) * uint64(os.Getpagesize()),
	}, true
}

// group is a supervised process with all its descendants, or a process of a partition's user that has left them.
type group struct {
	partition string
	top       key
	cpu       time.Duration
	memory    uint64
	count     int
}

// groups assigns processes to partitions: by the supervised process that they descend from, else by their owner.
func groups(all map[int]process, roots map[int]string, owners map[uint32]string) map[key]*group {
	found := map[key]*group{}
	for _, p := range all {
		top, partition, ok := place(all, p, roots, owners)
		if !ok {
			continue
		}
		g := found[top]
		if g == nil {
			g = &group{partition: partition, top: top}
			found[top] = g
		}
		g.cpu += p.cpu
		g.memory += p.memory
		g.count++
	}
	return found
}

func place(all map[int]process, p process, roots map[int]string, owners map[uint32]string) (top key, partition string, ok bool) {
	owner, owned := owners[p.uid]
	highest := p
	for at, depth := p, 0; depth < maxDepth; depth++ {
		if name, supervised := roots[at.pid]; supervised {
			return key{at.pid, at.start}, name, true
		}
		if owned && owners[at.uid] == owner {
			highest = at
		}
		next, there := all[at.parent]
		if !there {
			break
		}
		at = next
	}
	return key{highest.pid, highest.start}, owner, owned
}

// uptime is how long ago the machine booted.
func uptime(proc string) (time.Duration, error) {
	content, err := os.ReadFile(filepath.Join(proc, "uptime"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(content), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second)), err
}
