package tiltfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// World is what the file finds.
type World struct {
	// Settings are what stands behind -- on the command line.
	Settings map[string]string
	// Subcommand is up, ci or down.
	Subcommand  string
	Environment map[string]string
	// Context is the current one of Kubernetes.
	Context string
}

// Environment is that of this process, for a World.
func Environment() map[string]string {
	all := map[string]string{}
	for _, pair := range os.Environ() {
		key, value, _ := strings.Cut(pair, "=")
		all[key] = value
	}
	return all
}

// Command is what Tilt would start. It is nothing if Arguments are none.
type Command struct {
	Arguments []string
	// Environment is KEY=value, over Tilt's own.
	Environment []string
	Directory   string
}

// Probe is when a process is ready.
type Probe struct {
	Delay, Timeout, Period             time.Duration
	SuccessThreshold, FailureThreshold int
	// URL is asked by HTTP; if it is empty, Address is dialled.
	URL, Address string
}

// Local is a local_resource.
type Local struct {
	Name          string
	Update, Serve Command
	After, Labels []string
	Watched       []string
	Links         []string
	// Manual: a change starts nothing. Initial: it is started with Tilt.
	Manual, Initial, Parallel bool
	Ready                     *Probe
}

// Kubernetes is a resource of objects: a workload with what belongs to it, or a group.
type Kubernetes struct {
	Name          string
	After, Labels []string
	Objects       []manifest.Object
	Images        []string
	Forwards      []int
	declared      bool
}

// Build is a custom_build.
type Build struct {
	Image   string
	Command Command
	Watched []string
	// Delivers: the command itself takes the image to where pods find it.
	Delivers bool
}

// Model is what Tilt knows after the file.
type Model struct {
	Local      []*Local
	Kubernetes []*Kubernetes
	Builds     []Build
	// Allowed are the contexts that are no production.
	Allowed  []string
	Registry string
	Version  string
	// GracePeriod, ReadinessTimeout and Timeout bound tilt ci.
	GracePeriod, ReadinessTimeout, Timeout time.Duration
	Printed                                []string
}

// Evaluate runs a Tiltfile.
func Evaluate(path string, w World) (*Model, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// tilt ci without its flag gives up after half an hour.
	m := &Model{Timeout: 30 * time.Minute, ReadinessTimeout: 5 * time.Minute}
	e := &evaluation{Model: m, World: w, directory: filepath.Dir(path), defined: map[string]bool{}}
	predeclared := starlark.StringDict{
		"__file__":            starlark.String(path),
		"TRIGGER_MODE_AUTO":   triggerMode("auto"),
		"TRIGGER_MODE_MANUAL": triggerMode("manual"),
		"config":              e.config(),
		"os":                  e.os(),
	}
	for name, builtin := range e.builtins() {
		predeclared[name] = starlark.NewBuiltin(name, builtin)
	}
	thread := &starlark.Thread{Name: path, Print: func(_ *starlark.Thread, line string) { m.Printed = append(m.Printed, line) }}
	// As Tilt sets it: statements at the top, and names that are assigned again.
	options := &syntax.FileOptions{Set: true, GlobalReassign: true, TopLevelControl: true}
	if _, err := starlark.ExecFileOptions(options, thread, path, nil, predeclared); err != nil {
		return nil, err
	}
	if err := e.assemble(); err != nil {
		return nil, err
	}
	return m, m.dependencies()
}

// dependencies refuses what is waited for and does not exist, and a circle.
func (m *Model) dependencies() error {
	after := map[string][]string{}
	for _, r := range m.Local {
		after[r.Name] = r.After
	}
	for _, r := range m.Kubernetes {
		if _, twice := after[r.Name]; twice {
			return fmt.Errorf("local_resource named %q already exists", r.Name)
		}
		after[r.Name] = r.After
	}
	done := map[string]bool{}
	var visit func(at string, above []string) error
	visit = func(at string, above []string) error {
		if slices.Contains(above, at) {
			return fmt.Errorf("cycle detected in resource dependency graph: %v", append(above, at))
		}
		if done[at] {
			return nil
		}
		done[at] = true
		for _, next := range after[at] {
			if _, known := after[next]; !known {
				return fmt.Errorf("resource %s specified a dependency on unknown resource %s", at, next)
			}
			if err := visit(next, append(slices.Clone(above), at)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		clear(done)
		if err := visit(name, nil); err != nil {
			return err
		}
	}
	return nil
}
