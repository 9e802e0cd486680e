package app

import (
	"context"
	"maps"
	"slices"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/install"
	"github.com/vow-os/vow/svc-node/profile"
)

// installer carries out instance profiles with the recipes of vow, or with a real buildout.
type installer struct {
	cache *install.Cache
	// buildout is the node's own; empty = none.
	buildout string
}

var (
	_ Installer     = installer{}
	_ agent.Planner = installer{}
)

// NewInstaller makes the installer of a real machine. buildout is an executable for profiles that need what is not built in;
// empty = that of the release alone.
func NewInstaller(buildout string) Installer {
	return installer{cache: install.NewCache(), buildout: buildout}
}

func (i installer) partition(n Installation) install.Partition {
	return install.Partition{
		Directory: n.Environment.BuildoutDirectory, ReleaseDirectory: n.Release, Environment: n.Environment, Cache: i.cache, Buildout: i.buildout,
	}
}

// Install carries a profile out.
func (i installer) Install(ctx context.Context, n Installation) (bool, error) {
	var result install.Result
	err := n.User.Do(func() (err error) {
		result, err = install.Run(ctx, i.partition(n), n.World, &parts{start: n.Part})
		return err
	})
	return result.Changed || result.PublishedChanged, err
}

// Plan tells what Install would do.
func (i installer) Plan(ctx context.Context, n Installation) (*nodev1.PlanResponse, error) {
	var preview install.Preview
	err := n.User.Do(func() (err error) {
		preview, err = install.Plan(ctx, i.partition(n), n.World)
		return err
	})
	if err != nil {
		return nil, err
	}
	return plan(preview), nil
}

// CheckProfile tells what a profile would deploy, without a node or svc-master: in an empty directory, as if everything it
// requests were ready. Its errors are those of the profile, with their places; what was found before is returned with them.
// With python, the Python that the profile sets options with is run in that directory.
func CheckProfile(ctx context.Context, file string, env profile.Environment, python bool) (*nodev1.PlanResponse, error) {
	preview, err := install.Check(ctx, file, env, python)
	return plan(preview), err
}

func plan(p install.Preview) *nodev1.PlanResponse {
	answer := &nodev1.PlanResponse{Commands: p.Commands, Published: slices.Sorted(maps.Keys(p.Published)), Requested: p.Requested}
	for _, part := range p.Parts {
		answer.Parts = append(answer.Parts, &nodev1.PlannedPart{
			Part: part.Name, Action: string(part.Action), Reason: part.Reason, Recipe: part.Recipe, Changed: part.Changed,
		})
	}
	for _, f := range p.Files {
		answer.Files = append(answer.Files, &nodev1.PlannedFile{Path: f.Path, Part: f.Part, Action: f.Action, Diff: f.Diff})
	}
	for _, s := range p.Services {
		answer.Services = append(answer.Services, &nodev1.PlannedService{Name: s.Name, Action: s.Action})
	}
	for _, w := range p.Waiting {
		answer.Waiting = append(answer.Waiting, &nodev1.PlannedWait{Part: w.Part, Reason: w.Reason})
	}
	return answer
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
