package tiltfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/vow-os/vow/tools/cluster/image"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// evaluate runs the file as `tilt ci` does, from the link at the root.
func evaluate(t *testing.T, w World) ([]Call, []string) {
	t.Helper()
	if w.Subcommand == "" {
		w.Subcommand = "ci"
	}
	calls, printed, err := Evaluate(filepath.Join(root(t), "Tiltfile"), w)
	if err != nil {
		t.Fatal(err)
	}
	return calls, printed
}

func only(calls []Call, functions ...string) (some []Call) {
	for _, c := range calls {
		if slices.Contains(functions, c.Function) {
			some = append(some, c)
		}
	}
	return some
}

// nameOf is what a resource is called.
func nameOf(c Call) string {
	for _, key := range []string{"name", "new_name", "workload"} {
		if s := c.Text(key); s != "" {
			return s
		}
	}
	return ""
}

// allBackends is a PATH on which every program is.
func allBackends(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range []string{"otelcol-contrib", "jaeger", "prometheus", "grafana", "pyroscope"} {
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func worlds(t *testing.T) map[string]World {
	return map[string]World{
		"kubernetes":               {},
		"local":                    {Settings: map[string]string{"mode": "local"}},
		"local with every backend": {Settings: map[string]string{"mode": "local"}, Environment: map[string]string{"PATH": "/nonexistent:" + allBackends(t)}},
		"local, tilt up":           {Settings: map[string]string{"mode": "local"}, Subcommand: "up"},
	}
}

func TestDependenciesExistAndEnd(t *testing.T) {
	for name, w := range worlds(t) {
		calls, _ := evaluate(t, w)
		after := map[string][]string{}
		for _, c := range only(calls, "local_resource", "k8s_resource") {
			if _, twice := after[nameOf(c)]; twice {
				t.Errorf("%s: %q is declared twice", name, nameOf(c))
			}
			after[nameOf(c)] = c.List("resource_deps")
			if len(c.List("labels")) != 1 {
				t.Errorf("%s: %q has no label", name, nameOf(c))
			}
		}
		var visit func(at string, above []string)
		visit = func(at string, above []string) {
			if slices.Contains(above, at) {
				t.Fatalf("%s: %v wait for each other", name, append(above, at))
			}
			needs, known := after[at]
			if !known {
				t.Fatalf("%s: %v needs %q, which is not declared", name, above, at)
			}
			for _, n := range needs {
				visit(n, append(slices.Clone(above), at))
			}
		}
		for resource := range after {
			visit(resource, nil)
		}
	}
}

func TestFilesThatAreNamedExist(t *testing.T) {
	for name, w := range worlds(t) {
		calls, _ := evaluate(t, w)
		scripts := 0
		for _, c := range only(calls, "local_resource", "custom_build") {
			for _, word := range slices.Concat(c.List("cmd"), c.List("serve_cmd"), c.List("command"), c.List("deps")) {
				if strings.HasPrefix(word, "./") { // a package, from the root
					word = filepath.Join(root(t), word)
				}
				if !filepath.IsAbs(word) || strings.HasSuffix(word, "/.cache/cluster/bin/vow") && c.Arguments["auto_init"] == starlark.False { // a button runs what is built by then
					continue
				}
				if _, err := os.Stat(word); err != nil {
					t.Errorf("%s: %s names %v", name, nameOf(c), err)
				}
				if strings.HasSuffix(word, ".sh") {
					scripts++
				}
			}
		}
		if scripts == 0 {
			t.Errorf("%s runs no script", name)
		}
	}
}

func TestTheLocalModeAsksNoKubernetesAndHasTheWholeTopology(t *testing.T) {
	calls, printed := evaluate(t, World{Settings: map[string]string{"mode": "local"}})
	for _, c := range calls {
		if strings.HasPrefix(c.Function, "k8s_") || c.Function == "kustomize" || c.Function == "allow_k8s_contexts" || c.Function == "custom_build" {
			t.Errorf("%s is called", c.Function)
		}
	}
	if len(printed) != 1 || !strings.Contains(printed[0], "left out: collector, jaeger, prometheus, grafana, pyroscope") {
		t.Errorf("it said %q of what is not on PATH", printed)
	}
	// The scripts' own list, so that the two cannot part.
	source, err := os.ReadFile(filepath.Join(root(t), "tilt/scripts/local.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "\nnames='")
	list, _, _ := strings.Cut(rest, "'")
	var served []string
	for _, c := range only(calls, "local_resource") {
		if c.Arguments["serve_cmd"] == nil {
			continue
		}
		served = append(served, nameOf(c))
		p, ok := c.Arguments["readiness_probe"].(*starlarkstruct.Struct)
		if !ok {
			t.Errorf("%s has no readiness probe", nameOf(c))
			continue
		}
		// A probe without an action is never ready.
		get, _ := p.Attr("http_get")
		socket, _ := p.Attr("tcp_socket")
		if get == nil && socket == nil {
			t.Errorf("the probe of %s asks nothing", nameOf(c))
		}
	}
	if strings.Join(served, " ") != list && !sameSet(served, strings.Fields(list)) {
		t.Errorf("Tilt runs %v, local.sh knows %s", served, list)
	}
}

func sameSet(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestCIRunsTheSmokeTestAndNoButton(t *testing.T) {
	for _, mode := range []string{"local", "kubernetes"} {
		calls, _ := evaluate(t, World{Settings: map[string]string{"mode": mode}})
		buttons := 0
		for _, c := range only(calls, "local_resource") {
			if !slices.Contains(c.List("labels"), "actions") {
				continue
			}
			initial, said := c.Arguments["auto_init"].(starlark.Bool)
			if isSmoke := nameOf(c) == "smoke"; !said || bool(initial) != isSmoke {
				t.Errorf("%s: auto_init of %q is %v", mode, nameOf(c), initial)
			}
			buttons++
		}
		if buttons < 5 {
			t.Errorf("%s has %d actions", mode, buttons)
		}
	}
}

func TestEveryObjectHasItsPlace(t *testing.T) {
	calls, _ := evaluate(t, World{})
	yaml := only(calls, "k8s_yaml")
	if len(yaml) != 1 {
		t.Fatalf("k8s_yaml is called %d times", len(yaml))
	}
	folder := strings.TrimPrefix(yaml[0].Text("yaml"), "kustomize:")
	objects, err := manifest.Build(root(t), strings.TrimPrefix(folder, root(t)+"/"))
	if err != nil {
		t.Fatal(err)
	}
	placed, workloads := map[string]int{}, map[string]bool{}
	for _, o := range objects {
		switch o.Kind {
		case "Deployment", "StatefulSet":
			workloads[o.Name] = true
		case "Service": // Tilt puts it to the pods that it selects
		default:
			placed[strings.ToLower(o.Name+":"+o.Kind)] = 0
		}
	}
	for _, c := range only(calls, "k8s_resource") {
		if w := c.Text("workload"); w != "" {
			if !workloads[w] {
				t.Errorf("k8s_resource %q: no such workload", w)
			}
			delete(workloads, w)
		}
		for _, o := range c.List("objects") {
			if _, exists := placed[o]; !exists {
				t.Errorf("%s names %s, which is not built", nameOf(c), o)
			}
			placed[o]++
		}
	}
	for o, times := range placed {
		if times != 1 {
			t.Errorf("%s is in %d resources, want 1", o, times)
		}
	}
	for w := range workloads {
		t.Errorf("%s is in no resource", w)
	}
	var built []string
	for _, c := range only(calls, "custom_build") {
		built = append(built, strings.TrimPrefix(c.Text("ref"), "vow/"))
	}
	var images []string
	for _, s := range image.Specs() {
		images = append(images, s.Name)
	}
	if !sameSet(built, images) {
		t.Errorf("Tilt builds %v, there are %v", built, images)
	}
}

func TestAContextThatMayBeProductionIsAskedAbout(t *testing.T) {
	for _, c := range []struct {
		w       World
		allowed bool
	}{
		{World{Subcommand: "ci"}, true},
		{World{Subcommand: "up"}, false},
		{World{Subcommand: "up", Settings: map[string]string{"context": "some-cluster"}}, true},
		{World{Subcommand: "up", Settings: map[string]string{"context": "another"}}, false},
	} {
		calls, _ := evaluate(t, c.w)
		if got := len(only(calls, "allow_k8s_contexts")) == 1; got != c.allowed {
			t.Errorf("%+v: allowed %v", c.w, got)
		}
	}
}

func TestAModeThatIsNotKnownIsRefused(t *testing.T) {
	_, _, err := Evaluate(filepath.Join(root(t), "Tiltfile"), World{Settings: map[string]string{"mode": "remote"}})
	if err == nil || !strings.Contains(err.Error(), "cannot use --mode=remote") {
		t.Errorf("got %v", err)
	}
}
