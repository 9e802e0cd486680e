package recipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// Recipe is one recipe: a description that docs/recipes.md is generated from, and what it does.
type Recipe struct {
	// Name is how profiles call it; Aliases are further names with the same meaning.
	Name    string
	Aliases []string
	// Summary is one sentence.
	Summary string
	// Options are those it reads, Provides those it sets for others to refer to.
	Options, Provides []Option
	// Signature is the version of what it writes: raising it reinstalls every part of this recipe.
	Signature int
	// Provide, if not nil, tells the options the recipe sets itself, when the profile is resolved.
	Provide func(ctx context.Context, in *Init) (profile.Provided, error)
	// Install, if not nil, writes the part's files.
	Install func(ctx context.Context, w *Work) error
	// Update, if not nil, is called on each run in which the part did not change. If it writes a file, the part's
	// files are those it writes, as after Install.
	Update func(ctx context.Context, w *Work) error
	// Executes says that Install or Update run commands, which need the files of earlier parts on disk.
	Executes bool
}

// Option describes one option of a recipe. A name ending in "*" stands for all with that prefix.
type Option struct {
	Name     string
	Required bool
	// Default is what an absent option means, for people; empty means nothing.
	Default string
	// Text is one sentence.
	Text string
}

// Files is the partition's directory as recipes see it. Paths are absolute or relative to the partition's
// directory; writing outside of it is refused, reading is allowed there and in the software release.
type Files interface {
	// Write makes a file of the part: replaced when it changes, removed with the part.
	Write(path string, content []byte, mode fs.FileMode) error
	// CreateOnce makes a file unless it exists. From then on it belongs to the partition's data: never
	// replaced, never removed.
	CreateOnce(path string, content []byte, mode fs.FileMode) error
	// Link makes a symbolic link of the part; target may be anywhere.
	Link(target, path string) error
	// MakeDirectory makes a directory, and those above it, unless it exists. It is never removed.
	MakeDirectory(path string, mode fs.FileMode) error
	// Read reads a file, as it will be after what has been written in this run.
	Read(path string) ([]byte, error)
	// Exists says whether anything is at the path.
	Exists(path string) bool
}

// Init is what a recipe sees when its part is being resolved.
type Init struct {
	*profile.Scope
	World World
	Files Files
	// Environment is that of the partition; read-only.
	Environment *profile.Environment
	// User tells whom the partition's directory belongs to; it reads the machine's users, so only on demand.
	User func() profile.User
	// Part names the part across profiles within profiles.
	Part string
	// Memory keeps values of this part from run to run, such as an allocated port; changes are kept too.
	Memory map[string]string
	// Peek forbids every effect: the run is a plan.
	Peek bool
	// Report tells the run what was requested or published early.
	Report Report
	// Python runs a program of the profile.
	Python Python
}

// Report is told what recipes ask of the master while the profile is resolved.
type Report interface {
	// Requested is told the title of each instance asked for.
	Requested(title string)
	// Publish sets connection parameters, to be published at the end of the run: the instance's own, or those of a shared instance that it hosts, by its reference.
	Publish(shared string, parameters map[string]string)
	// PublishNow publishes before anything is installed.
	PublishNow(ctx context.Context, parameters map[string]string) error
}

// Work is what a recipe sees when it installs or updates a part.
type Work struct {
	Part        *profile.Part
	Files       Files
	World       World
	Environment *profile.Environment // read-only
	Report      Report
	// Note is kept in the record with the part: what Update compares with. Set by the recipe.
	Note string
	// Nested runs another profile as part of this one; the path is that of its file.
	Nested func(ctx context.Context, path string) error
	// Exec runs a command; in a plan it only notes that it would.
	Exec func(ctx context.Context, command string) error
	// Python runs a program of the profile; in a plan it only notes that it would.
	Python Python
}

// Get returns an option's text with surrounding blanks removed, or "" when it is absent or empty.
func (w *Work) Get(option string) string {
	return strings.TrimSpace(w.Part.Options[option].String())
}

// Error places an error at an option of the part.
func (w *Work) Error(option, problem string, arguments ...any) error {
	return placed(w.Part.Name, option, w.position(option), problem, arguments...)
}

func (w *Work) position(option string) profile.Position {
	if at, ok := w.Part.PositionOf(option); ok {
		return at
	}
	return w.Part.Position
}

// Mode reads an option as an octal file mode.
func (w *Work) Mode(option string, otherwise fs.FileMode) (fs.FileMode, error) {
	text := w.Get(option)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return 0, w.Error(option, "cannot use %q as a mode: octal digits up to 777 are", text)
	}
	return fs.FileMode(n), nil
}

// Text returns an option's text with surrounding blanks removed, or "" when it is absent or empty.
func (in *Init) Text(option string) string {
	v, _ := in.Get(option)
	return strings.TrimSpace(v.String())
}

// values reads a whole section. Of a section that is being resolved it gives those options that do not depend on this
// one: that section tells itself what is wrong with the others. waiting says what the section waits for.
func (in *Init) values(name, option string) (values map[string]any, waiting *profile.Unavailable, err error) {
	section, err := in.Section(name, option)
	if err != nil {
		return nil, nil, err
	}
	waiting = section.Waiting()
	values = map[string]any{}
	for _, name := range section.Options() {
		if name == "_buildout_section_name_" || name == "_profile_base_location_" {
			continue // references may name them, but templates that list a section do not want them
		}
		v, err := section.Require(name)
		if unavailable := (*profile.Unavailable)(nil); errors.As(err, &unavailable) {
			waiting = unavailable
		} else if err == nil {
			values[name] = v.Data()
		}
	}
	return values, waiting, nil
}

// Error places an error at an option of the part being resolved.
func (in *Init) Error(option, problem string, arguments ...any) error {
	return placed(in.Name(), option, in.Position(option), problem, arguments...)
}

func placed(section, option string, at profile.Position, problem string, arguments ...any) error {
	err := fmt.Errorf(problem, arguments...)
	return &profile.Error{Position: at, Section: section, Option: option, Problem: err.Error(), Cause: errors.Unwrap(err)}
}

// Require is an error when an option the recipe requires is absent. An empty option is no option.
func (r *Recipe) Require(name string, get func(string) string, at func(string) profile.Position) error {
	for _, o := range r.Options {
		if o.Required && get(o.Name) == "" {
			return placed(name, o.Name, at(""), "cannot install this part: %s needs the option %s", r.Name, o.Name)
		}
	}
	return nil
}

// isTrue reads a boolean option as the originals do.
func isTrue(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "y", "yes", "1", "true", "on":
		return true
	}
	return false
}
