package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

// cluster is a Kubernetes as far as a session asks it: it takes what is applied, and has the pods that it is given.
type cluster struct {
	*Kubernetes
	mutex   sync.Mutex
	applied []string // names, in order
	bodies  map[string]string
	pods    func() string // the items, as JSON
}

func newCluster(t *testing.T, resources ...*tiltfile.Kubernetes) *cluster {
	t.Helper()
	c := &cluster{bodies: map[string]string{}, pods: func() string { return newest("Running", `"ready": true`) }}
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		switch {
		case r.Method == http.MethodPatch:
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			c.applied = append(c.applied, path.Base(r.URL.Path))
			c.bodies[path.Base(r.URL.Path)] = string(body)
			_, _ = io.WriteString(w, "{}")
		case strings.HasSuffix(r.URL.Path, "/pods"):
			if got := r.URL.Query().Get("labelSelector"); got != "app=fleet" {
				t.Errorf("asked for the pods of %q", got)
			}
			_, _ = io.WriteString(w, `{"items": [`+c.pods()+`]}`)
		default:
			_, _ = io.WriteString(w, `{"resources": [{"name": "namespaces", "kind": "Namespace"}, {"name": "services", "kind": "Service", "namespaced": true}, {"name": "statefulsets", "kind": "StatefulSet", "namespaced": true}]}`)
		}
	}))
	t.Cleanup(web.Close)
	c.Kubernetes = &Kubernetes{Client: api.New(web.URL, "token", "vow"), Resources: resources, Grace: enough}
	return c
}

// took are the names of what was applied, in order.
func (c *cluster) took() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.applied)
}

// newest is a pod as JSON.
func newest(phase, container string) string {
	return fmt.Sprintf(`{"metadata": {"name": "fleet-0", "creationTimestamp": "2026-11-22T10:00:00Z"}, "status": {"phase": %q, "containerStatuses": [{"name": "fleet", %s}]}}`, phase, container)
}

func object(t *testing.T, kind, name, spec string) manifest.Object {
	t.Helper()
	version := map[string]string{"StatefulSet": "apps/v1"}[kind]
	if version == "" {
		version = "v1"
	}
	o := manifest.Object{APIVersion: version, Kind: kind, Name: name, Namespace: "vow", YAML: []byte(`{"spec": ` + spec + `}`)}
	if err := json.Unmarshal(o.YAML, &o.Content); err != nil {
		t.Fatal(err)
	}
	return o
}

// fleet is a resource with a workload, whose image a command builds.
func fleet(t *testing.T, after ...string) *tiltfile.Kubernetes {
	t.Helper()
	stateful := object(t, "StatefulSet", "fleet", `{"selector": {"matchLabels": {"app": "fleet"}}, "template": {"spec": {"initContainers": [{"image": "example/other:1"}], "containers": [{"image": "vow/fleet"}]}}}`)
	return &tiltfile.Kubernetes{
		Name: "fleet", After: after, Images: stateful.Images(),
		Objects: []manifest.Object{stateful, object(t, "Service", "way", "{}"), object(t, "Namespace", "vow", "{}")},
	}
}

func (c *cluster) builds(command tiltfile.Command) *cluster {
	c.Builds = []tiltfile.Build{{Image: "vow/unused", Command: sh("", "exit 9"), Delivers: true}, {Image: "vow/fleet", Command: command, Delivers: true}}
	return c
}

func TestAnImageIsBuiltThenAppliedByItsNameAndThePodIsAwaited(t *testing.T) {
	dir := t.TempDir()
	f := fleet(t, "first")
	before := string(f.Objects[0].YAML)
	c := newCluster(t, f).builds(sh(dir, "echo $EXPECTED_REF >>said"))
	o := options(t, update(dir, "first", "echo first >>said"), update(dir, "smoke", "echo smoke >>said", "fleet"))
	o.Kubernetes = c.Kubernetes
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	got := said(t, dir)
	if len(got) != 3 || got[0] != "first" || !strings.HasPrefix(got[1], "vow/fleet:tilt-build-1") || got[2] != "smoke" {
		t.Fatalf("ran %q", got)
	}
	if got := c.took(); !slices.Equal(got, []string{"vow", "way", "fleet"}) {
		t.Errorf("applied %v", got)
	}
	want := `{"spec":{"podManagementPolicy":"Parallel","selector":{"matchLabels":{"app":"fleet"}},"template":{"spec":{"containers":[{"image":"docker.io/` + got[1] +
		`","imagePullPolicy":"IfNotPresent"}],"initContainers":[{"image":"example/other:1","imagePullPolicy":"IfNotPresent"}]}}}}`
	if c.bodies["fleet"] != want || string(f.Objects[0].YAML) != before || f.Images[1] != "vow/fleet" || f.Objects[0].Images()[1] != "vow/fleet" {
		t.Errorf("applied %s\nwant    %s\nand the Tiltfile's is %s", c.bodies["fleet"], want, f.Objects[0].YAML)
	}
}

func TestABuildThatFailsIsRedAndNothingIsApplied(t *testing.T) {
	for what, c := range map[string]*cluster{
		"cannot build vow/fleet:tilt-build-": newCluster(t, fleet(t)).builds(sh("", "echo no >&2; exit 3")),
		"cannot deliver vow/fleet":           newCluster(t, fleet(t)).builds(sh("", "true")),
	} {
		c.Builds[1].Delivers = !strings.Contains(what, "deliver")
		o := options(t)
		o.Kubernetes = c.Kubernetes
		if err := run(t, o); err == nil || !strings.Contains(err.Error(), "fleet failed: "+what) || len(c.took()) > 0 {
			t.Errorf("%v; applied %v", err, c.took())
		}
	}
}

func TestAPodInErrorIsRedAfterTheGracePeriodAndNotBefore(t *testing.T) {
	pull := newest("Pending", `"state": {"waiting": {"reason": "ErrImagePull", "message": "not here"}}`)
	c := newCluster(t, fleet(t))
	c.pods = func() string { return pull }
	c.Grace = 0
	o := options(t)
	o.Kubernetes = c.Kubernetes
	if err := run(t, o); err == nil || !strings.Contains(err.Error(), "fleet failed: exceeded grace period: fleet of the pod fleet-0: ErrImagePull: not here") {
		t.Errorf("got %v", err)
	}
	c = newCluster(t, fleet(t))
	var asked atomic.Int64
	c.pods = func() string {
		if asked.Add(1) < 3 {
			return pull
		}
		return newest("Running", `"ready": true`)
	}
	o.Kubernetes = c.Kubernetes
	if err := run(t, o); err != nil || asked.Load() < 3 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

func TestASessionThatEndsEndsABuild(t *testing.T) {
	dir := t.TempDir()
	c := newCluster(t, fleet(t)).builds(sh(dir, "echo $$ >>said; exec sleep 1000"))
	o := options(t, update(dir, "broken", "until [ -s said ]; do :; done; exit 3"))
	o.Kubernetes = c.Kubernetes
	if err := run(t, o); err == nil || !strings.Contains(err.Error(), "broken failed") {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob("/proc/" + said(t, dir)[0] + "/exe"); err != nil || len(left) > 0 || len(c.took()) > 0 {
		t.Errorf("left %v, %v, applied %v", left, err, c.took())
	}
}

func TestOfPodsTheNewestCounts(t *testing.T) {
	const waiting = `{"metadata": {"name": "older", "creationTimestamp": "2026-11-22T09:00:00Z"}, "status": {"phase": "Pending"}}`
	const second = `{"metadata": {"name": "fleet-1", "creationTimestamp": "2026-11-22T10:00:00Z"}, "status": {"phase": "Pending"}}`
	for _, c := range []struct {
		pods          string
		ready         bool
		broken, where string
	}{
		{"", false, "", "it has no pod"},
		{waiting, false, "", "the pod older is Pending"},
		{waiting + "," + newest("Running", `"ready": true`), true, "", ""},
		{second + "," + newest("Running", `"ready": true`), false, "", "the pod fleet-1 is Pending"},
		{newest("Running", `"ready": false`), false, "", "the pod fleet-0 is not ready"},
		{newest("Running", `"state": {"waiting": {"reason": "CrashLoopBackOff"}}`), false, "", "the pod fleet-0 is not ready"},
		{newest("Pending", `"state": {"waiting": {"reason": "ContainerCreating"}}`), false, "", "the pod fleet-0 is Pending"},
		{newest("Pending", `"state": {"waiting": {"reason": "ImagePullBackOff", "message": "why"}}`), false, "fleet of the pod fleet-0: ImagePullBackOff: why", "the pod fleet-0 is Pending"},
		{newest("Pending", `"state": {"terminated": {"exitCode": 2}}`), false, "fleet of the pod fleet-0 ended with 2", "the pod fleet-0 is Pending"},
		{newest("Succeeded", `"ready": false`), true, "", ""},
		{newest("Failed", `"ready": false`), false, "the pod fleet-0 failed", "the pod fleet-0 is Failed"},
	} {
		var pods []pod
		if err := json.Unmarshal([]byte("["+c.pods+"]"), &pods); err != nil {
			t.Fatal(err)
		}
		ready, broken, why := judge(pods)
		if ready != c.ready || text(broken) != c.broken || text(why) != c.where {
			t.Errorf("%s: ready %v, broken %v, why %v", c.pods, ready, broken, why)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhatIsLeftOutIsSaidAndNobodyWaitsForIt(t *testing.T) {
	dir := t.TempDir()
	c := newCluster(t, fleet(t))
	after := update(dir, "after", "echo after >>said", "fleet", "broken")
	o := options(t, update(dir, "broken", "exit 1"), after)
	o.Kubernetes, o.Without = c.Kubernetes, []string{"fleet", "broken"}
	var steps []string
	o.Say = func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if err := run(t, o); err != nil || len(c.took()) > 0 || !slices.Equal(said(t, dir), []string{"after"}) {
		t.Errorf("%v, applied %v", err, c.took())
	}
	for _, want := range []string{"left out: fleet; without it goes: after", "left out: broken; without it goes: after"} {
		if !slices.Contains(steps, want) {
			t.Errorf("said %q, want %q", steps, want)
		}
	}
	if !slices.Equal(after.After, []string{"fleet", "broken"}) {
		t.Errorf("the Tiltfile's changed: %v", after.After)
	}
	o.Without = []string{"nobody"}
	if err := run(t, o); errors.Unwrap(err) != nil || !strings.Contains(text(err), `cannot leave "nobody" out: no such resource`) {
		t.Errorf("got %v", err)
	}
}
