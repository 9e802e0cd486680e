package partition

import (
	"slices"

	"github.com/vow-os/vow/svc-node/supervise"
)

// Policy is what the machine's operator wants of all processes.
type Policy struct {
	// Limits are those of each process.
	Limits supervise.Limits
	// StopLast are the partitions that a shutdown of the machine stops after all others, one after the other in this order.
	StopLast []string
}

// Apply makes processes follow the policy.
func (p Policy) Apply(processes []supervise.Process) {
	for i := range processes {
		processes[i].Limits = p.Limits
		processes[i].Rank = min(slices.Index(p.StopLast, processes[i].Partition)+1, supervise.MaxRank)
	}
}
