package redisstore

import (
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// What an instance needs is stored as the contract says it. The zero value is an unset message, and back.

// SlaRecord is what an instance needs, to be stored or told.
func SlaRecord(s fleet.Sla) *masterv1.Sla {
	needs := NeedsRecord(s.Needs)
	if s.Group == "" && len(s.Labels) == 0 && needs == nil && !s.MayMove && s.Host == "" {
		return nil
	}
	return &masterv1.Sla{Group: s.Group, Labels: s.Labels, Needs: needs, MayMove: s.MayMove, HostId: s.Host}
}

// SlaOf is what an instance needs, for the core.
func SlaOf(r *masterv1.Sla) fleet.Sla {
	return fleet.Sla{Group: r.GetGroup(), Labels: r.GetLabels(), Needs: NeedsOf(r.GetNeeds()), MayMove: r.GetMayMove(), Host: r.GetHostId()}
}

// NeedsRecord is an amount, to be stored or told.
func NeedsRecord(n fleet.Needs) *masterv1.Needs {
	if n == (fleet.Needs{}) {
		return nil
	}
	return &masterv1.Needs{MilliCpus: uint32(n.MilliCPU), MemoryBytes: n.Memory, DiskBytes: n.Disk}
}

// NeedsOf is an amount, for the core.
func NeedsOf(r *masterv1.Needs) fleet.Needs {
	return fleet.Needs{MilliCPU: uint64(r.GetMilliCpus()), Memory: r.GetMemoryBytes(), Disk: r.GetDiskBytes()}
}

// Has is what the computer has, 0 = not known.
func (c *Computer) Has() fleet.Needs {
	return fleet.Needs{MilliCPU: uint64(c.Record.GetCpus()) * 1000, Memory: c.Record.GetCapacity().GetMemoryBytes(), Disk: c.Record.GetCapacity().GetDiskBytes()}
}

// Needed is what the instances that hold its partitions need of it.
func (c *Computer) Needed() (sum fleet.Needs) {
	for _, r := range c.Reservations {
		sum = sum.Plus(NeedsOf(r.GetNeeds()))
	}
	return sum
}
