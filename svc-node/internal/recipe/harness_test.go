package recipe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/profile"
)

// world is a partition, a master and a machine in memory, enough to run the recipes of one profile.
type world struct {
	t           *testing.T
	files       map[string]file
	links       map[string]string
	directories map[string]bool
	memory      map[string]map[string]string
	notes       map[string]string
	connections map[string]map[string]string
	requests    []Request
	published   map[string]string
	// shared is what is published for shared instances, by reference.
	shared      map[string]map[string]string
	commands    []string
	random      io.Reader
	environment profile.Environment
	failing     error
	user        profile.User
}

type file struct {
	content string
	mode    fs.FileMode
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, files: map[string]file{}, links: map[string]string{}, directories: map[string]bool{}, memory: map[string]map[string]string{},
		notes: map[string]string{}, connections: map[string]map[string]string{}, random: rand.NewChaCha8([32]byte{}),
		environment: profile.Environment{BuildoutDirectory: "/p", ComputerID: "COMP-1", PartitionID: "slappart0", SoftwareType: "web", SoftwareReleaseURL: "http://r/", RequestedState: "started"},
	}
}

// run resolves the profile and installs its parts.
func (w *world) run(source string) error {
	w.t.Helper()
	ctx, registry := w.t.Context(), Recipes()
	doc, err := profile.Parse("instance.cfg", []byte("[buildout]\nparts = a\n"+source), nil)
	if err != nil {
		return err
	}
	resolved, err := profile.Resolve(doc, w.environment, func(s *profile.Scope) (profile.Provided, error) {
		found, ok := registry.Find(s.Recipe())
		if !ok || found.Provide == nil {
			return profile.Provided{}, nil
		}
		if w.memory[s.Name()] == nil {
			w.memory[s.Name()] = map[string]string{}
		}
		return found.Provide(ctx, &Init{Scope: s, World: w, Files: w, Environment: &w.environment, User: func() profile.User { return w.user }, Memory: w.memory[s.Name()], Report: report{w}, Python: w.Python})
	})
	if err != nil {
		return err
	}
	for i := range resolved.Parts {
		part := &resolved.Parts[i]
		if part.Waiting != nil {
			return fmt.Errorf("%w: %s", ErrNotAvailable, part.Waiting.Reason)
		}
		found, ok := registry.Find(part.Recipe)
		if !ok || found.Install == nil {
			continue
		}
		work := &Work{
			Part: part, Files: w, World: w, Environment: &w.environment, Report: report{w}, Note: w.notes[part.Name], Exec: w.Exec, Python: w.Python,
			Nested: func(_ context.Context, path string) error {
				w.commands = append(w.commands, "profile "+path)
				return nil
			},
		}
		if err := found.Install(ctx, work); err != nil {
			return err
		}
		w.notes[part.Name] = work.Note
	}
	return nil
}

// must runs a profile that must install.
func (w *world) must(source string) {
	w.t.Helper()
	if err := w.run(source); err != nil {
		w.t.Fatal(err)
	}
}

// wants compares a file.
func (w *world) wants(name, content string, mode fs.FileMode) {
	w.t.Helper()
	if got, ok := w.files[name]; !ok || got != (file{content, mode}) {
		w.t.Errorf("%s is %q %o, want %q %o", name, got.content, got.mode, content, mode)
	}
}

// fails wants an error that contains a text.
func (w *world) fails(source, want string) {
	w.t.Helper()
	if err := w.run(source); err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("got %v, want %s", err, want)
	}
}

func (w *world) Write(name string, content []byte, mode fs.FileMode) error {
	w.files[name] = file{string(content), mode}
	return nil
}

func (w *world) CreateOnce(name string, content []byte, mode fs.FileMode) error {
	if _, ok := w.files[name]; !ok {
		w.files[name] = file{string(content), mode}
	}
	return nil
}

func (w *world) Link(target, name string) error { w.links[name] = target; return nil }

func (w *world) MakeDirectory(name string, _ fs.FileMode) error {
	w.directories[path.Clean(name)] = true
	return nil
}

func (w *world) Read(name string) ([]byte, error) {
	if f, ok := w.files[name]; ok {
		return []byte(f.content), nil
	}
	return nil, fmt.Errorf("cannot read %s: %w", name, fs.ErrNotExist)
}

func (w *world) Exists(name string) bool { _, ok := w.files[name]; return ok }

func (w *world) Request(_ context.Context, r Request) (Instance, error) {
	w.requests = append(w.requests, r)
	c, ok := w.connections[r.Title]
	return Instance{Ready: ok, Reason: "not allocated", Connection: c, GUID: "g"}, nil
}

func (w *world) Published(_ context.Context, shared string) (map[string]string, error) {
	if shared != "" {
		return w.shared[shared], nil
	}
	return w.published, nil
}

func (w *world) FreePort(context.Context, Port) (int, error) { return 20001, nil }

func (w *world) Random() io.Reader { return w.random }

func (w *world) Exec(_ context.Context, command string) error {
	w.commands = append(w.commands, command)
	return w.failing
}

func (w *world) Execute(_ context.Context, program string, _ ...string) error {
	w.commands = append(w.commands, program)
	return w.failing
}

// Python really runs the program.
func (w *world) Python(ctx context.Context, program string, input []byte) ([]byte, error) {
	if w.failing != nil {
		return nil, w.failing
	}
	c := exec.CommandContext(ctx, "python3", "-I", "-c", program)
	c.Stdin, c.Stderr, c.Dir = bytes.NewReader(input), w.t.Output(), w.environment.BuildoutDirectory
	return c.Output()
}

func (w *world) Requested(string) {}

func (w *world) PublishNow(_ context.Context, parameters map[string]string) error {
	w.published = maps.Clone(parameters)
	return nil
}

// Publish implements World.
func (w *world) Publish(_ context.Context, _ string, parameters map[string]string) error {
	w.published = maps.Clone(parameters)
	return nil
}

// report implements Report.
type report struct{ *world }

// Publish implements Report.
func (r report) Publish(shared string, parameters map[string]string) {
	if shared == "" {
		r.published = maps.Clone(parameters)
		return
	}
	if r.shared == nil {
		r.shared = map[string]map[string]string{}
	}
	r.shared[shared] = maps.Clone(parameters)
}
