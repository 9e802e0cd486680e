package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

// act does what the plan says of one part.
func (r *run) act(ctx context.Context, key string, step profile.Step, report *PartReport) error {
	switch step.Action {
	case profile.Uninstall:
		report.Changed = r.uninstall(key, step.Name)
		return nil
	case profile.Wait:
		r.result.Waiting = append(r.result.Waiting, Waiting{Part: step.Name, Reason: step.Part.Waiting.Reason})
		return nil
	case profile.Skip:
		report.Edited = r.edited[id(key, step.Name)]
		return nil
	case profile.Install, profile.Reinstall, profile.Update:
	}
	found, _ := r.recipes.Find(step.Part.Recipe)
	if err := found.Require(step.Name, func(option string) string {
		return strings.TrimSpace(step.Part.Options[option].String())
	}, func(string) profile.Position { return step.Part.Position }); err != nil {
		return err
	}
	return r.install(ctx, key, step, found, report)
}

// install calls a part's recipe and notes what it wrote.
func (r *run) install(ctx context.Context, key string, step profile.Step, found *recipe.Recipe, report *PartReport) error {
	old := r.part(key, step.Name)
	if found.Executes && !r.peek {
		if err := r.commit(false); err != nil {
			return err
		}
	}
	name := id(key, step.Name)
	files := &partFiles{stage: r.stage, part: name}
	delete(r.stage.settled, name)
	ran := false
	work := &recipe.Work{
		Part: step.Part, Files: files, World: r.world, Environment: &r.partition.Environment, Report: reporter{r},
		Nested: func(ctx context.Context, path string) error { return r.nested(ctx, key, step.Name, path) },
		Exec: func(ctx context.Context, command string) error {
			ran = true
			if r.peek {
				r.commands = append(r.commands, command)
				return nil
			}
			return r.world.Exec(ctx, command)
		},
	}
	work.Python = func(ctx context.Context, program string, input []byte) ([]byte, error) {
		ran = true
		if r.peek {
			r.commands = append(r.commands, "Python of ["+step.Name+"]")
			return nil, nil
		}
		return r.world.Python(ctx, program, input)
	}
	do := found.Install
	if step.Action == profile.Update {
		do = found.Update
		work.Note = old.Note
		report.Edited = r.edited[id(key, step.Name)]
	}
	snapshot, order := maps.Clone(r.stage.entries), slices.Clone(r.stage.order)
	if do != nil {
		if err := do(ctx, work); err != nil {
			// What this part staged is taken back; what earlier parts staged is committed.
			if !errors.As(err, new(*invalid)) && !errors.As(err, new(*PartError)) {
				r.stage.entries, r.stage.order = snapshot, order
			}
			return err
		}
	}
	if step.Action == profile.Update && !files.touched {
		report.Changed = ran || r.changedBy(name)
		r.stage.settled[name] = true
		if work.Note != old.Note {
			fresh := *old
			fresh.Note = work.Note
			r.replace(key, &fresh)
		}
		return nil
	}
	fresh := &partRecord{Name: step.Name, Recipe: step.Part.Recipe, Signature: found.Signature, Options: step.Fingerprints, Note: work.Note}
	for _, path := range files.written {
		fresh.Files = append(fresh.Files, fileRecord{Path: path})
	}
	if old != nil {
		for _, f := range old.Files {
			if !slices.Contains(files.written, f.Path) {
				r.stage.remove(name, f)
			}
		}
	}
	r.replace(key, fresh)
	r.stage.settled[name] = true
	report.Changed = ran || r.changedBy(name)
	return nil
}

// changedBy says whether a part's entries change the disk.
func (r *run) changedBy(part string) bool {
	for _, e := range r.stage.entries {
		if e.part == part && e.changed {
			return true
		}
	}
	return false
}

// replace puts a part's new record in the place of its old one, and takes its files from whatever part had them.
func (r *run) replace(key string, fresh *partRecord) {
	parts := r.now.Profiles[key]
	if i := slices.IndexFunc(parts, func(p *partRecord) bool { return p.Name == fresh.Name }); i >= 0 {
		parts[i] = fresh
	} else {
		r.now.Profiles[key] = append(parts, fresh)
	}
	for _, f := range fresh.Files {
		before, ok := r.stage.owners()[f.Path]
		if ok && before.part != "" && before.part != id(key, fresh.Name) {
			r.disown(before.part, f.Path)
		}
		before.part = id(key, fresh.Name)
		r.stage.owners()[f.Path] = before
	}
}

// disown takes a path out of a part's record.
func (r *run) disown(part, path string) {
	key, name, _ := strings.Cut(part, "/")
	if i := strings.LastIndexByte(part, '/'); i >= 0 {
		key, name = part[:i], part[i+1:]
	}
	if p := r.part(key, name); p != nil {
		fresh := *p
		fresh.Files = slices.DeleteFunc(slices.Clone(p.Files), func(f fileRecord) bool { return f.Path == path })
		parts := r.now.Profiles[key]
		parts[slices.Index(parts, p)] = &fresh
	}
}

// uninstall stages the removal of a part's files, and of the parts of the profile it ran.
func (r *run) uninstall(key, name string) bool {
	part := r.part(key, name)
	if part == nil {
		return false
	}
	changed := false
	nested := nestedKey(key, name)
	for _, inner := range slices.Backward(slices.Clone(r.now.Profiles[nested])) {
		changed = r.uninstall(nested, inner.Name) || changed
	}
	delete(r.now.Profiles, nested)
	for _, f := range part.Files {
		r.stage.remove(id(key, name), f)
	}
	r.now.Profiles[key] = slices.DeleteFunc(r.now.Profiles[key], func(p *partRecord) bool { return p == part })
	delete(r.now.Memory, id(key, name))
	return changed || len(part.Files) > 0
}

func nestedKey(key, name string) string { return strings.TrimPrefix(key+"/"+name, "/") }

// nested runs a profile as part of another.
func (r *run) nested(ctx context.Context, key, name, path string) error {
	source, err := r.stage.read(path)
	if err != nil {
		return fmt.Errorf("cannot run the profile of the software type: %w", err)
	}
	return r.profile(ctx, nestedKey(key, name), path, source)
}

// provide asks a part's recipe for the options it sets.
func (r *run) provide(ctx context.Context, key string) profile.Provide {
	return func(s *profile.Scope) (profile.Provided, error) {
		found, ok := r.recipes.Find(s.Recipe())
		if !ok {
			return profile.Provided{}, profile.UnknownRecipe(s.Position("recipe"), s.Name(), s.Recipe(), r.recipes.Names())
		}
		if err := found.Require(s.Name(), func(option string) string {
			v, _ := s.Get(option)
			return strings.TrimSpace(v.String())
		}, s.Position); err != nil {
			return profile.Provided{}, err
		}
		if found.Provide == nil {
			return profile.Provided{}, nil
		}
		name := id(key, s.Name())
		memory := r.now.Memory[name]
		if memory == nil {
			memory = map[string]string{}
		}
		provided, err := found.Provide(ctx, &recipe.Init{
			Scope: s, World: r.world, Files: &partFiles{stage: r.stage, part: name, readOnly: true},
			Environment: &r.partition.Environment, Part: name, Memory: memory,
			User: func() profile.User { return ownerOf(r.stage.root, r.partition.Directory) }, Peek: r.peek, Report: reporter{r},
			Python: r.python,
		})
		if len(memory) > 0 {
			r.now.Memory[name] = memory
		}
		return provided, err
	}
}

// python runs a program of the profile while it is being resolved. A plan does not, unless its world is made for that:
// what the program would set is not known then, and what needs it waits.
func (r *run) python(ctx context.Context, program string, input []byte) ([]byte, error) {
	if _, check := r.world.(readyWorld); r.peek && !check {
		return nil, fmt.Errorf("%w: a plan runs no Python", recipe.ErrNotAvailable)
	}
	return r.world.Python(ctx, program, input)
}

// reporter is recipe.Report over a run.
type reporter struct{ run *run }

// Requested implements recipe.Report.
func (p reporter) Requested(title string) {
	p.run.result.Requested = append(p.run.result.Requested, title)
}

// Publish implements recipe.Report: several parts that publish add up.
func (p reporter) Publish(shared string, parameters map[string]string) {
	into := &p.run.result.Published
	if shared != "" {
		if p.run.result.PublishedShared == nil {
			p.run.result.PublishedShared = map[string]map[string]string{}
		}
		own := p.run.result.PublishedShared[shared]
		into = &own
		defer func() { p.run.result.PublishedShared[shared] = own }()
	}
	if *into == nil {
		*into = map[string]string{}
	}
	maps.Copy(*into, parameters)
}

// PublishNow implements recipe.Report.
func (p reporter) PublishNow(ctx context.Context, parameters map[string]string) error {
	if err := p.run.world.Publish(ctx, "", parameters); err != nil {
		return err
	}
	p.run.result.Changed, p.run.result.PublishedChanged = true, true
	return nil
}

// publish tells the master what the profile publishes, if it differs.
func (r *run) publish(ctx context.Context) error {
	if r.peek {
		return nil
	}
	if r.result.Published != nil {
		if err := r.publishFor(ctx, "", r.result.Published); err != nil {
			return err
		}
	}
	for _, shared := range slices.Sorted(maps.Keys(r.result.PublishedShared)) {
		if err := r.publishFor(ctx, shared, r.result.PublishedShared[shared]); err != nil {
			return err
		}
	}
	return nil
}

// publishFor publishes the instance's own parameters, or those of a shared instance that it hosts.
func (r *run) publishFor(ctx context.Context, shared string, parameters map[string]string) error {
	known, err := r.world.Published(ctx, shared)
	if err != nil {
		return fmt.Errorf("cannot read what is published: %w", err)
	}
	if maps.Equal(known, parameters) {
		return nil
	}
	if err := r.world.Publish(ctx, shared, parameters); err != nil {
		return fmt.Errorf("cannot publish the connection parameters: %w", err)
	}
	r.result.Changed, r.result.PublishedChanged = true, true
	return nil
}

// dropCrashed removes what a commit that was cut short wrote and no part wants any more. Until then the record goes on
// to list it as pending: a second crash must not make it nobody's.
func (r *run) dropCrashed() {
	r.dropped = true
	for path, f := range r.crashed {
		if owner := r.stage.owners()[path]; owner.part == "" && !r.recorded(path) {
			r.stage.remove("", f)
		}
	}
}

func (r *run) recorded(path string) bool {
	for _, parts := range r.now.Profiles {
		for _, part := range parts {
			if slices.ContainsFunc(part.Files, func(f fileRecord) bool { return f.Path == path }) {
				return true
			}
		}
	}
	return false
}

// commit writes the stage to disk. In between, before a command, the record is written too: what is on disk is
// never unknown to it.
func (r *run) commit(last bool) error {
	if r.peek {
		r.note(last)
		return nil
	}
	if err := r.stage.linkRelease(); err != nil {
		return err
	}
	if r.stage.dirty() {
		r.result.Changed = true
		intent := *r.before
		if intent.Pending = append(slices.Clone(r.before.Pending), r.stage.pending()...); len(intent.Pending) > 0 {
			if err := intent.save(r.stage.root); err != nil {
				return err
			}
			r.before = &intent
		}
	}
	written, kept, err := r.stage.apply()
	r.result.Kept = append(r.result.Kept, kept...)
	if err != nil {
		return err
	}
	if len(written) > 0 {
		for _, parts := range r.now.Profiles {
			for i, part := range parts {
				parts[i] = part.with(written)
			}
		}
	}
	r.now.Pending = nil
	if !r.dropped {
		for _, f := range r.before.Pending {
			if crashed, ok := r.crashed[f.Path]; ok && crashed.Hash == f.Hash && !r.recorded(f.Path) {
				r.now.Pending = append(r.now.Pending, f)
			}
		}
	}
	for path, f := range written {
		r.stage.owners()[path] = owned{part: r.stage.owners()[path].part, record: f}
	}
	r.stage.clear()
	for _, part := range r.result.Parts {
		r.result.Changed = r.result.Changed || part.Changed
	}
	if r.now.equal(r.before) {
		return nil
	}
	if err := r.now.save(r.stage.root); err != nil {
		return err
	}
	saved := *r.now
	saved.Profiles, saved.Memory = map[string][]*partRecord{}, map[string]map[string]string{}
	for key, parts := range r.now.Profiles {
		saved.Profiles[key] = slices.Clone(parts)
	}
	for name, memory := range r.now.Memory {
		saved.Memory[name] = maps.Clone(memory)
	}
	r.before = &saved
	return nil
}

// with fills in what is known of the files just written.
func (p *partRecord) with(written map[string]fileRecord) *partRecord {
	fresh := *p
	fresh.Files = slices.Clone(p.Files)
	for i, f := range fresh.Files {
		if now, ok := written[f.Path]; ok {
			fresh.Files[i] = now
		}
	}
	return &fresh
}
