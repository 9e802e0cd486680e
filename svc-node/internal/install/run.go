package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

// MaxProfiles bounds profiles within profiles (switch-softwaretype): real ones nest twice.
const MaxProfiles = 8

// Run deploys a partition's profile. The result tells what was done also when there is an error, which is
//   - a *profile.Error when the profile is wrong: nothing on disk changed;
//   - a *PartError when a part failed: the parts before it are installed;
//   - a *NotAvailable, errors.Is(err, recipe.ErrNotAvailable), when everything that can be done now is done;
//   - another error when the machine or the master failed.
func Run(ctx context.Context, p Partition, world recipe.World, observer Observer) (Result, error) {
	r, err := newRun(p, world, observer)
	if err != nil {
		return Result{}, err
	}
	defer r.stage.close()
	err = r.all(ctx)
	return r.result, err
}

// run is one run, or one plan.
type run struct {
	partition Partition
	world     recipe.World
	observer  Observer
	recipes   *recipe.Registry
	stage     *stage
	// before is the record as read; now is what it becomes.
	before, now *record
	// crashed are the files a commit that was cut short had written.
	crashed map[string]fileRecord
	// dropped says that those of them that no part wants are staged for removal.
	dropped bool
	// at is where part found the last one it was asked for.
	at int
	// edited are the files of each unchanged part that somebody changed.
	edited map[string][]string
	peek   bool
	depth  int
	result Result
	// commands are those a plan would run.
	commands []string
	files    []FileChange
	// secrets are what a plan does not tell.
	secrets map[string]bool
}

func newRun(p Partition, world recipe.World, observer Observer) (*run, error) {
	p.Environment.BuildoutDirectory = path.Clean(p.Directory)
	s, err := openStage(p)
	if err != nil {
		return nil, err
	}
	before, err := loadRecord(s.root, p.Cache, s.dir)
	if err != nil {
		s.close()
		return nil, err
	}
	s.found = before
	r := &run{partition: p, world: world, observer: observer, recipes: p.Cache.builtIn(), stage: s, before: before, now: newRecord(), edited: map[string][]string{}, secrets: map[string]bool{}}
	for key, parts := range before.Profiles {
		r.now.Profiles[key] = slices.Clone(parts)
	}
	for section, memory := range before.Memory {
		r.now.Memory[section] = maps.Clone(memory)
	}
	r.adoptCrashed()
	return r, nil
}

// adoptCrashed finds what a commit wrote before it was cut short: what is on disk exactly as it was about to be
// written is ours.
func (r *run) adoptCrashed() {
	r.crashed = map[string]fileRecord{}
	for _, f := range r.before.Pending {
		info, err := r.stage.root.Lstat(f.Path)
		if err == nil && r.stage.asWritten(f, info) {
			r.crashed[f.Path] = f
			r.stage.owners()[f.Path] = owned{record: f}
		}
	}
	r.stage.crashed = r.crashed
}

// id names a part across profiles.
func id(key, part string) string { return key + "/" + part }

func (r *run) all(ctx context.Context) error {
	name, source, err := r.open()
	if err != nil {
		return err
	}
	err = r.profile(ctx, "", name, source)
	var wrong *invalid
	if errors.As(err, &wrong) {
		if !errors.Is(err, profile.ErrNotBuiltIn) {
			return wrong.error
		}
		if executable := r.realBuildout(); executable != "" {
			return r.buildout(ctx, executable, source, err)
		}
		return withoutBuildout(wrong.error)
	}
	if err == nil {
		r.dropCrashed()
	}
	if commitErr := r.commit(true); commitErr != nil {
		return errors.Join(commitErr, err)
	}
	if publishErr := r.publish(ctx); publishErr != nil {
		return errors.Join(publishErr, err)
	}
	if err != nil {
		return err
	}
	if len(r.result.Waiting) > 0 {
		return &NotAvailable{Waiting: r.result.Waiting}
	}
	return nil
}

// open finds the partition's profile.
func (r *run) open() (string, []byte, error) {
	names := []string{r.partition.Profile}
	if r.partition.Profile == "" {
		names = []string{path.Join(r.partition.ReleaseDirectory, "instance.cfg"), path.Join(r.partition.ReleaseDirectory, "template.cfg")}
	}
	for _, name := range names {
		content, err := r.stage.read(name)
		if err == nil {
			return name, content, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	return "", nil, fmt.Errorf("cannot find the instance profile: no %s", strings.Join(names, " and no "))
}

// load is the profile.Loader: files beside the profile that extends them, or absolute, in directories that may be
// read.
func (r *run) load(location, from string) (string, []byte, error) {
	if strings.Contains(location, "://") {
		return "", nil, fmt.Errorf("profiles are read from files, not from URLs")
	}
	name := location
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(from), location)
	}
	content, err := r.stage.read(name)
	return name, content, err
}

// invalid is a profile that is wrong: what is staged is thrown away.
type invalid struct{ error }

// Unwrap gives the profile's error.
func (i *invalid) Unwrap() error { return i.error }

// profile resolves, plans and carries out one profile; key is "" or the part that runs it.
func (r *run) profile(ctx context.Context, key, name string, source []byte) error {
	if r.depth++; r.depth > MaxProfiles {
		return &invalid{fmt.Errorf("cannot run more than %d profiles within each other", MaxProfiles)}
	}
	defer func() { r.depth-- }()
	doc, err := r.partition.Cache.parse(name, source, r.load)
	if err != nil {
		return &invalid{err}
	}
	resolved, err := profile.Resolve(doc, r.partition.Environment, r.provide(ctx, key))
	if err != nil {
		return &invalid{err}
	}
	steps, err := profile.PlanParts(resolved, r.installed(key), func(name string) (int, bool, bool) {
		found, ok := r.recipes.Find(name)
		if !ok {
			return 0, false, false
		}
		return found.Signature, found.Update != nil, true
	}, r.recipes.Names())
	if err != nil {
		return &invalid{err}
	}
	r.noteSecrets(resolved)
	r.settle(key, steps)
	return r.steps(ctx, key, steps)
}

// installed is the record of a profile's parts as planning needs it.
func (r *run) installed(key string) []profile.Installed {
	parts := r.before.Profiles[key]
	all := make([]profile.Installed, len(parts))
	for i, p := range parts {
		all[i] = profile.Installed{Name: p.Name, Recipe: p.Recipe, Signature: p.Signature, Options: p.Options}
	}
	return all
}

// settle says which parts keep their files, so that no other part may take them, and repairs: a part whose files
// vanished is installed again.
func (r *run) settle(key string, steps []profile.Step) {
	seen := sight{root: r.stage.root}
	defer seen.close()
	for i := range steps {
		step := &steps[i]
		if step.Action == profile.Skip || step.Action == profile.Update {
			gone, edited := r.look(key, step.Name, &seen)
			if gone != "" {
				step.Action, step.Reason = profile.Reinstall, gone+" vanished"
			}
			if len(edited) > 0 {
				r.edited[id(key, step.Name)] = edited
			}
		}
		if step.Action == profile.Skip || step.Action == profile.Update || step.Action == profile.Wait {
			r.stage.settled[id(key, step.Name)] = true
		}
	}
}

// look finds a file of an installed part that is gone, or that a commit cut short has replaced, and those that
// somebody changed. Each file is looked at once a run: that is most of what a run that changes nothing costs.
func (r *run) look(key, name string, seen *sight) (gone string, edited []string) {
	part := r.part(key, name)
	if part == nil {
		return "", nil
	}
	for _, f := range part.Files {
		if crashed, ok := r.crashed[f.Path]; ok && crashed.Hash != f.Hash {
			return f.Path, nil
		}
		info, err := seen.lstat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return f.Path, nil
		}
		if err == nil && !r.stage.asWritten(f, info) {
			edited = append(edited, f.Path)
		}
	}
	return "", edited
}

// part finds a part in the record. They are asked for in the record's order as a rule, so it looks from the last one on.
func (r *run) part(key, name string) *partRecord {
	parts := r.now.Profiles[key]
	for i := range parts {
		if at := (r.at + i) % len(parts); parts[at].Name == name {
			r.at = at
			return parts[at]
		}
	}
	return nil
}

// steps carries a plan out. The first part that fails ends it; parts that wait do not.
func (r *run) steps(ctx context.Context, key string, steps []profile.Step) error {
	order := make([]string, 0, len(steps))
	r.result.Parts = slices.Grow(r.result.Parts, len(steps))
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := PartStart{Name: step.Name, Action: step.Action, Reason: step.Reason}
		if step.Part != nil {
			start.Recipe = step.Part.Recipe
			order = append(order, step.Name)
		} else if old := r.part(key, step.Name); old != nil {
			start.Recipe = old.Recipe
		}
		if err := r.step(ctx, key, step, start); err != nil {
			return err
		}
	}
	// The record lists parts in the order of the profile, which is that of installation.
	if parts := r.now.Profiles[key]; !inOrder(parts, order) {
		slices.SortStableFunc(parts, func(a, b *partRecord) int {
			return slices.Index(order, a.Name) - slices.Index(order, b.Name)
		})
	}
	return nil
}

// inOrder says, in one pass, that parts come in the order of the names.
func inOrder(parts []*partRecord, names []string) bool {
	for _, p := range parts {
		i := slices.Index(names, p.Name)
		if i < 0 {
			return false
		}
		names = names[i+1:]
	}
	return true
}

// step handles one part and reports it.
func (r *run) step(ctx context.Context, key string, step profile.Step, start PartStart) error {
	if r.observer != nil {
		ctx = r.observer.PartStarted(ctx, start)
	}
	began := time.Now()
	report := PartReport{PartStart: start}
	at := len(r.result.Parts)
	err := r.act(ctx, key, step, &report)
	var wrong *invalid
	if err != nil && !errors.As(err, &wrong) && !errors.As(err, new(*PartError)) {
		err = &PartError{Part: step.Name, Err: err}
	}
	report.Err, report.Duration = err, time.Since(began)
	r.result.Parts = slices.Insert(r.result.Parts, at, report)
	if r.observer != nil {
		r.observer.PartDone(ctx, report)
	}
	return err
}
