package fleet

import (
	"context"

	node "github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/app/fakesupervisor"
	"github.com/vow-os/vow/svc-node/supervise"
)

// supervisor makes the fake what an agent wants of the real one: units without what only people ask for.
type supervisor struct{ *fakesupervisor.Supervisor }

var _ node.Supervisor = supervisor{}

// Settle waits until the processes of a partition are settled.
func (s supervisor) Settle(ctx context.Context, partition string) ([]supervise.Unit, error) {
	all, err := s.Supervisor.Settle(ctx, partition)
	return units(all), err
}

// List lists the processes of a partition.
func (s supervisor) List(ctx context.Context, partition string) ([]supervise.Unit, error) {
	all, err := s.Supervisor.List(ctx, partition)
	return units(all), err
}

func units(all []supervise.Status) []supervise.Unit {
	out := make([]supervise.Unit, len(all))
	for i, s := range all {
		out[i] = s.Unit
	}
	return out
}
