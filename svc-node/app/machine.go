package app

import (
	"context"
	"time"

	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/install"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// supervisor is the supervisor of a folder, whose words about units are longer than the agent needs.
type supervisor struct {
	*supervisorapi.Client
	dir string
}

var _ agent.Supervisor = supervisor{}

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

// installer carries out instance profiles with the recipes of vow.
type installer struct{ cache *install.Cache }

var (
	_ Installer     = installer{}
	_ agent.Planner = installer{}
)

func newInstaller() installer { return installer{cache: install.NewCache()} }

func (i installer) partition(n Installation) install.Partition {
	return install.Partition{
		Directory: n.Environment.BuildoutDirectory, ReleaseDirectory: n.Release, Environment: n.Environment, Cache: i.cache,
	}
}

// Install carries a profile out.
func (i installer) Install(ctx context.Context, n Installation) (bool, error) {
	result, err := install.Run(ctx, i.partition(n), n.World, &parts{start: n.Part})
	return result.Changed || result.PublishedChanged, err
}

// Plan tells what Install would do.
func (i installer) Plan(ctx context.Context, n Installation) ([]agent.Planned, error) {
	preview, err := install.Plan(ctx, i.partition(n), n.World)
	if err != nil {
		return nil, err
	}
	planned := make([]agent.Planned, len(preview.Parts))
	for at, p := range preview.Parts {
		planned[at] = agent.Planned{Part: p.Name, Action: string(p.Action), Reason: p.Reason}
	}
	return planned, nil
}

// parts passes the parts of one run on as spans. Its methods are called by one goroutine. Parts nest: the profile of a
// software type is carried out within the part that chose it.
type parts struct {
	start func(ctx context.Context, name string) (context.Context, func(error))
	ends  []func(error) // of the parts that have begun, outermost first
}

// PartStarted begins a part's span.
func (p *parts) PartStarted(ctx context.Context, part install.PartStart) context.Context {
	ctx, end := p.start(ctx, part.Name)
	p.ends = append(p.ends, end)
	return ctx
}

// PartDone ends it.
func (p *parts) PartDone(_ context.Context, part install.PartReport) {
	if last := len(p.ends) - 1; last >= 0 {
		p.ends[last](part.Err)
		p.ends = p.ends[:last]
	}
}
