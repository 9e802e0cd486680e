package app

import (
	"context"
	"time"

	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// supervisor is the supervisor of a folder, whose words about units are longer than the agent needs.
type supervisor struct {
	*supervisorapi.Client
	dir string
}

var (
	_ agent.Supervisor = supervisor{}
	_ agent.Measurer   = supervisor{}
	_ agent.Hander     = supervisor{}
)

// returns is how long a call waits for a supervisor that is being started, upgraded or replaced: longer than it takes to
// adopt what runs, shorter than a run may wait.
const returns = 2 * time.Second

func newSupervisor(dir string) supervisor {
	return supervisor{Client: supervisorapi.New(dir), dir: dir}
}

// again calls fn, and once more when it failed and a supervisor answers within a while: all its calls are idempotent.
func (s supervisor) again(ctx context.Context, fn func() error) error {
	err := fn()
	if err == nil || ctx.Err() != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, returns)
	defer cancel()
	if _, dialErr := supervisorapi.Dial(waiting, s.dir); dialErr != nil {
		return err
	}
	return fn()
}

// Apply replaces the wanted processes of a partition.
func (s supervisor) Apply(ctx context.Context, partition string, processes []supervise.Process) error {
	return s.again(ctx, func() error { return s.Client.Apply(ctx, partition, processes) })
}

// Settle waits until no process of the partition is being started or stopped.
func (s supervisor) Settle(ctx context.Context, partition string) (all []supervise.Unit, err error) {
	err = s.again(ctx, func() (err error) {
		all, err = units(s.Client.Settle(ctx, partition))
		return err
	})
	return all, err
}

// List returns the units of a partition.
func (s supervisor) List(ctx context.Context, partition string) (all []supervise.Unit, err error) {
	err = s.again(ctx, func() (err error) {
		all, err = units(s.Client.List(ctx, partition))
		return err
	})
	return all, err
}

// Measure is List with what the processes use.
func (s supervisor) Measure(ctx context.Context, partition string) (all []supervise.Status, err error) {
	err = s.again(ctx, func() (err error) {
		all, err = s.Client.List(ctx, partition)
		return err
	})
	return all, err
}

func units(all []supervisorapi.Status, err error) ([]supervise.Unit, error) {
	if err != nil {
		return nil, err
	}
	us := make([]supervise.Unit, len(all))
	for i, s := range all {
		us[i] = s.Unit
	}
	return us, nil
}
