package tiltfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/tools/cluster/image"
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
func evaluate(t *testing.T, w World) *Model {
	t.Helper()
	if w.Subcommand == "" {
		w.Subcommand = "ci"
	}
	if w.Context == "" {
		w.Context = "some-cluster"
	}
	m, err := Evaluate(filepath.Join(root(t), "Tiltfile"), w)
	if err != nil {
		t.Fatal(err)
	}
	return m
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
		"kubernetes, registry":     {Settings: map[string]string{"registry": "localhost:5000"}},
		"local":                    {Settings: map[string]string{"mode": "local"}},
		"local with every backend": {Settings: map[string]string{"mode": "local"}, Environment: map[string]string{"PATH": "/nonexistent:" + allBackends(t)}},
		"local, tilt up":           {Settings: map[string]string{"mode": "local"}, Subcommand: "up"},
	}
}

func TestEveryResourceHasOneLabel(t *testing.T) {
	for name, w := range worlds(t) {
		m := evaluate(t, w)
		labels := map[string][]string{}
		for _, r := range m.Local {
			labels[r.Name] = r.Labels
		}
		for _, r := range m.Kubernetes {
			labels[r.Name] = r.Labels
		}
		for resource, l := range labels {
			if len(l) != 1 {
				t.Errorf("%s: %q has the labels %v", name, resource, l)
			}
		}
	}
}

func TestFilesThatAreNamedExist(t *testing.T) {
	for name, w := range worlds(t) {
		m := evaluate(t, w)
		scripts := 0
		look := func(resource string, words ...string) {
			for _, word := range words {
				if strings.HasPrefix(word, "./") { // a package, from the root
					word = filepath.Join(root(t), word)
				}
				if !filepath.IsAbs(word) || strings.HasSuffix(word, "/.cache/cluster/bin/vow") { // a button runs what is built by then
					continue
				}
				if _, err := os.Stat(word); err != nil {
					t.Errorf("%s: %s names %v", name, resource, err)
				}
				if strings.HasSuffix(word, ".sh") {
					scripts++
				}
			}
		}
		for _, r := range m.Local {
			look(r.Name, slices.Concat(r.Update.Arguments, r.Serve.Arguments, r.Watched)...)
		}
		for _, b := range m.Builds {
			look(b.Image, slices.Concat(b.Command.Arguments, b.Watched)...)
		}
		if scripts == 0 {
			t.Errorf("%s runs no script", name)
		}
	}
}

func TestTheLocalModeAsksNoKubernetesAndHasTheWholeTopology(t *testing.T) {
	m := evaluate(t, World{Settings: map[string]string{"mode": "local"}})
	if len(m.Kubernetes)+len(m.Builds)+len(m.Allowed) > 0 {
		t.Errorf("it has %v, builds %v, allows %v", m.Kubernetes, m.Builds, m.Allowed)
	}
	if len(m.Printed) != 1 || !strings.Contains(m.Printed[0], "left out: collector, jaeger, prometheus, grafana, pyroscope") {
		t.Errorf("it said %q of what is not on PATH", m.Printed)
	}
	// The scripts' own list, so that the two cannot part.
	source, err := os.ReadFile(filepath.Join(root(t), "tilt/scripts/local.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "\nnames='")
	list, _, _ := strings.Cut(rest, "'")
	var served []string
	for _, r := range m.Local {
		if r.Serve.Arguments == nil {
			continue
		}
		served = append(served, r.Name)
		if r.Ready == nil {
			t.Errorf("%s has no readiness probe", r.Name)
		}
	}
	if !sameSet(served, strings.Fields(list)) {
		t.Errorf("Tilt runs %v, local.sh knows %s", served, list)
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestCIRunsTheSmokeTestAndNoButton(t *testing.T) {
	for _, mode := range []string{"local", "kubernetes"} {
		m := evaluate(t, World{Settings: map[string]string{"mode": mode}})
		buttons := 0
		for _, r := range m.Local {
			if !slices.Contains(r.Labels, "actions") {
				if !r.Initial {
					t.Errorf("%s: %s does not start by itself", mode, r.Name)
				}
				continue
			}
			if isSmoke := r.Name == "smoke"; r.Initial != isSmoke || !r.Manual {
				t.Errorf("%s: auto_init of %q is %v", mode, r.Name, r.Initial)
			}
			if mode == "kubernetes" && !slices.Contains(r.Update.Environment, "VOW_CLUSTER_CONTEXT=some-cluster") {
				t.Errorf("%s does not know the context: %v", r.Name, r.Update.Environment)
			}
			buttons++
		}
		if buttons < 5 {
			t.Errorf("%s has %d actions", mode, buttons)
		}
		if m.Version != ">=0.35.0" {
			t.Errorf("%s asks for Tilt %s; readiness_timeout is of 0.35.0", mode, m.Version)
		}
		if m.ReadinessTimeout < 15*time.Minute || m.Timeout < m.ReadinessTimeout || mode == "kubernetes" && m.GracePeriod < 5*time.Minute {
			t.Errorf("%s: a slow machine with cold caches gets %v to be ready, %v in all, %v of errors", mode, m.ReadinessTimeout, m.Timeout, m.GracePeriod)
		}
	}
}

func TestEveryImageOfOursIsBuiltAndTakenToTheNodes(t *testing.T) {
	m := evaluate(t, World{})
	var built, images []string
	for _, b := range m.Builds {
		built = append(built, strings.TrimPrefix(b.Image, "vow/"))
		if !b.Delivers || !slices.Contains(b.Command.Arguments, "some-cluster") {
			t.Errorf("%s is left to Tilt, which pushes it to Docker Hub: %+v", b.Image, b)
		}
	}
	for _, s := range image.Specs() {
		images = append(images, s.Name)
	}
	if !sameSet(built, images) {
		t.Errorf("Tilt builds %v, there are %v", built, images)
	}
}

func TestNoPortIsForwardedTwice(t *testing.T) {
	who := map[int]string{10350: "Tilt"}
	for _, r := range evaluate(t, World{}).Kubernetes {
		for _, port := range r.Forwards {
			if other, taken := who[port]; taken {
				t.Errorf("%s and %s both take port %d", r.Name, other, port)
			}
			who[port] = r.Name
		}
	}
	if len(who) < 6 {
		t.Errorf("forwarded are %v", who)
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
		if got := slices.Contains(evaluate(t, c.w).Allowed, "some-cluster"); got != c.allowed {
			t.Errorf("%+v: allowed %v", c.w, got)
		}
	}
}

func TestARegistryIsTiltsDefault(t *testing.T) {
	if got := evaluate(t, World{Settings: map[string]string{"registry": "localhost:5000"}}).Registry; got != "localhost:5000" {
		t.Errorf("got %q", got)
	}
	if got := evaluate(t, World{}).Registry; got != "" {
		t.Errorf("without the flag it is %q", got)
	}
}

func TestAModeThatIsNotKnownIsRefused(t *testing.T) {
	_, err := Evaluate(filepath.Join(root(t), "Tiltfile"), World{Settings: map[string]string{"mode": "remote"}})
	if err == nil || !strings.Contains(err.Error(), "cannot use --mode=remote") {
		t.Errorf("got %v", err)
	}
}

// Each line is what Tilt refuses, or warns of: the contract that the tests above stand on.
func TestWhatTiltRefusesIsRefused(t *testing.T) {
	workloads := "k8s_yaml(kustomize('" + filepath.Join(root(t), "tilt/k8s/dev") + "'))\n"
	for source, want := range map[string]string{
		"local_resource('a', cmd='true', tags=['x'])":                                                  "unexpected keyword argument \"tags\"",
		"local_resource(cmd='true')":                                                                   "missing argument for name",
		"local_resource('a/b', cmd='true')":                                                            "invalid value \"a/b\"",
		"local_resource('100%', cmd='true')":                                                           "invalid value \"100%\"",
		"local_resource('a', cmd='')":                                                                  "both were empty",
		"local_resource('a', cmd=[1])":                                                                 "want a string",
		"local_resource('a', cmd='true', labels=['a label'])":                                          "invalid label \"a label\"",
		"local_resource('a', cmd='true', labels=['x/y'])":                                              "invalid label \"x/y\"",
		"local_resource('a', cmd='true', labels=['-x'])":                                               "invalid label \"-x\"",
		"local_resource('a', cmd='true', resource_deps='b')":                                           "want a sequence of strings",
		"local_resource('a', cmd='true', resource_deps=['b'])":                                         "unknown resource b",
		"local_resource('a', cmd='true', resource_deps=['a'])":                                         "cycle",
		"local_resource('a', cmd='true', trigger_mode='manual')":                                       "want TriggerMode",
		"local_resource('a', cmd='true', auto_init='no')":                                              "got string, want bool",
		"local_resource('a', cmd='true', env={'A': 1})":                                                "expected string to string",
		"local_resource('a', cmd='true', links=[1])":                                                   "want a string, a link",
		"local_resource('a', cmd='true', readiness_probe=True)":                                        "want Probe",
		"local_resource('a', cmd='true', readiness_probe=probe(tcp_socket=tcp_socket_action(port=1)))": "no serve_cmd",
		"local_resource('a', cmd='true')\nlocal_resource('a', cmd='true')":                             "already exists",
		"probe()":              "exactly one of",
		"probe(period_secs=1)": "exactly one of",
		"probe(tcp_socket=tcp_socket_action(port=1), http_get=http_get_action(port=1))":  "exactly one of",
		"probe(period_secs=0, tcp_socket=tcp_socket_action(port=1))":                     "must be positive",
		"probe(period_secs=0.5, tcp_socket=tcp_socket_action(port=1))":                   "got float, want int",
		"tcp_socket_action(port=0)":                                                      "out of range",
		"tcp_socket_action(port=65536)":                                                  "out of range",
		"http_get_action(port='http')":                                                   "got string, want int",
		"link('not a url')":                                                              "validating URL",
		"port_forward(70000, 1)":                                                         "out of range",
		"ci_settings(timeout=30)":                                                        "want a duration",
		"ci_settings(timeout='30')":                                                      "missing unit",
		"ci_settings(timeout='-1s')":                                                     "is negative",
		"ci_settings(grace='1s')":                                                        "unexpected keyword",
		"version_settings(constraint='0.35')":                                            "cannot read the constraint",
		"allow_k8s_contexts(1)":                                                          "want a string",
		"default_registry('a')\ndefault_registry('b')":                                   "already defined",
		"config.parse()\nconfig.define_string('x')":                                      "after config.parse",
		"config.define_string('x')\nconfig.define_string('x')":                           "defined twice",
		"os.path.join(1)":                                                                "takes strings",
		"custom_build('vow/X', 'true', deps=[])":                                         "can't parse \"vow/X\"",
		"custom_build('vow/x:tag', 'true', deps=[])":                                     "can't parse",
		"custom_build('vow/x', '', deps=[])":                                             "no command",
		"custom_build('vow/x', 'true')":                                                  "missing argument for deps",
		"custom_build('vow/x', 'true', deps=[])":                                         "not used in any Kubernetes config",
		"custom_build('vow/x', 'true', deps=[])\ncustom_build('vow/x', 'true', deps=[])": "already been defined",
		"k8s_yaml(kustomize('nowhere'))":                                                 "cannot build",
		"k8s_yaml([])":                                                                   "empty YAML",
		workloads + workloads:                                                            "duplicate YAML",
		workloads:                                                                        "is in no resource",
		workloads + "k8s_resource('mysql')":                                              "unknown resource \"mysql\"",
		workloads + "k8s_resource()":                                                     "resource name missing",
		workloads + "k8s_resource(new_name='a')":                                         "doesn't specify a workload or any objects",
		workloads + "k8s_resource(new_name='redis', objects=['vow:namespace'])":          "already exists",
		workloads + "k8s_resource('redis', objects=['redis'])":                           "not a unique fragment",
		workloads + "k8s_resource('redis', objects=['redis:role'])":                      "0 objects match",
		workloads + "k8s_resource('redis', objects=['redis:networkpolicy:default'])":     "0 objects match",
		workloads + "k8s_resource('redis', objects=['redis:service'])":                   "remaining YAML",
		workloads + "k8s_resource('redis', objects=['REDIS:NetworkPolicy:vow', 'redis:networkpolicy'])": "remaining YAML",
		workloads + "k8s_resource('redis')\nk8s_resource('redis')":                                      "called twice",
		workloads + "k8s_resource('redis', port_forwards=[6379.5])":                                     "must be an int or a port_forward",
		"undefined_builtin()": "undefined: undefined_builtin",
	} {
		path := filepath.Join(t.TempDir(), "Tiltfile")
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Evaluate(path, World{Subcommand: "ci"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  got  %v\n  want %s", source, err, want)
		}
	}
}

func TestAFlagThatIsNotDefinedIsRefused(t *testing.T) {
	_, err := Evaluate(filepath.Join(root(t), "Tiltfile"), World{Settings: map[string]string{"mod": "local"}})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --mod") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsRecordedIsWhatTheFileSays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "Tiltfile")
	source := `
local_resource('once', cmd='echo $A', env={'B': '2', 'A': '1'}, deps='sources', labels='x')
local_resource('server', serve_cmd=['sleep', '1'], serve_dir='/', resource_deps=['once'], auto_init=False, trigger_mode=TRIGGER_MODE_MANUAL,
  readiness_probe=probe(period_secs=2, http_get=http_get_action(port=80, path='/ready')))
`
	if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Evaluate(path, World{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.Local {
		got = append(got, fmt.Sprintf("%+v", *r))
		if r.Ready != nil {
			got = append(got, fmt.Sprintf("%+v", *r.Ready))
		}
	}
	want := []string{
		"{Name:once Update:{Arguments:[sh -c echo $A] Environment:[A=1 B=2] Directory:" + dir + "} Serve:{Arguments:[] Environment:[] Directory:} After:[] Labels:[x] Watched:[" + dir + "/sources] Links:[] Manual:false Initial:true Parallel:false Ready:<nil>}",
		"{Name:server Update:{Arguments:[] Environment:[] Directory:} Serve:{Arguments:[sleep 1] Environment:[] Directory:/} After:[once] Labels:[] Watched:[] Links:[] Manual:true Initial:false Parallel:true Ready:",
		"{Delay:0s Timeout:1s Period:2s SuccessThreshold:1 FailureThreshold:3 URL:http://localhost:80/ready Address:}",
	}
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("got  %v\nwant %s", got, w)
		}
	}
}

func TestServicesGoToTheWorkloadWhosePodsTheySelect(t *testing.T) {
	of := map[string][]string{}
	for _, r := range evaluate(t, World{}).Kubernetes {
		for _, o := range r.Objects {
			of[r.Name] = append(of[r.Name], o.String())
		}
	}
	want := []string{"Deployment/svc-master", "Service/svc-master", "Service/svc-master-pods", "ServiceAccount/svc-master", "NetworkPolicy/svc-master", "PodDisruptionBudget/svc-master"}
	if !sameSet(of["svc-master"], want) {
		t.Errorf("svc-master has %v, want %v of %v", of["svc-master"], want, slices.Sorted(maps.Keys(of)))
	}
}
