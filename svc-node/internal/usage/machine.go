package usage

import (
	"context"
	"time"
)

// Tenant is a partition to measure.
type Tenant struct {
	Partition, AllocationID string
	// Directory is the partition's.
	Directory string
	// UID is the partition's own user; 0 = it shares the agent's.
	UID uint32
}

// Reading is what a partition uses now; CPU is what it used since the reading before.
type Reading struct {
	CPU          time.Duration
	Memory, Disk uint64
	Processes    int
}

// Machine reads this machine. Its methods are called by one goroutine.
type Machine struct {
	proc   string
	read   time.Duration // uptime of the reading before
	before map[key]time.Duration
	disk   walk
}

// NewMachine makes a reader: what was used before is not counted.
func NewMachine() *Machine { return newMachine("/proc") }

func newMachine(proc string) *Machine {
	m := &Machine{proc: proc, before: map[key]time.Duration{}}
	m.read, _ = uptime(proc) // without, processes that live already count whole
	return m
}

// Read reads what each partition uses. roots are the supervised processes: partition by process id.
func (m *Machine) Read(_ context.Context, tenants []Tenant, roots map[int]string) (map[string]Reading, error) {
	owners := map[uint32]string{}
	readings := map[string]Reading{}
	for _, t := range tenants {
		readings[t.Partition] = Reading{}
		if t.UID != 0 {
			owners[t.UID] = t.Partition
		}
	}
	now, err := uptime(m.proc)
	if err != nil {
		return nil, err
	}
	all, err := processes(m.proc, len(owners) > 0)
	if err != nil {
		return nil, err
	}
	after := map[key]time.Duration{}
	for top, g := range groups(all, roots, owners) {
		r, wanted := readings[g.partition]
		if !wanted {
			continue
		}
		after[top] = g.cpu
		if was, known := m.before[top]; known {
			r.CPU += max(0, g.cpu-was) // less when a descendant was handed over to another parent
		} else if top.start >= m.read {
			r.CPU += g.cpu
		}
		r.Memory += g.memory
		r.Processes += g.count
		readings[g.partition] = r
	}
	m.before, m.read = after, now
	m.disk.step(tenants, time.Now())
	for name, r := range readings {
		r.Disk = m.disk.found[name].bytes
		readings[name] = r
	}
	return readings, nil
}

// Close ends a walk that is under way.
func (m *Machine) Close() { m.disk.leave() }
