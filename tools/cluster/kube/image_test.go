package kube

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

const root = "../../.."

// TestWhatNobodyCanStandInForIsKnown: an image of others that comes to the manifests gets a stand-in, or is left out by decision.
func TestWhatNobodyCanStandInForIsKnown(t *testing.T) {
	objects, err := manifest.Build(root, "tilt/k8s/dev")
	if err != nil {
		t.Fatal(err)
	}
	var without []string
	for _, o := range objects {
		for _, reference := range o.Images() {
			repository := manifest.Repository(reference)
			if !strings.HasPrefix(repository, "vow/") && !slices.ContainsFunc(StandIns(), func(s StandIn) bool { return s.Repository == repository }) {
				without = append(without, repository)
			}
		}
	}
	slices.Sort(without)
	if want := []string{"docker.io/grafana/grafana", "docker.io/grafana/pyroscope"}; !slices.Equal(without, want) {
		t.Errorf("nothing stands in for %v, want %v", without, want)
	}
}

// TestAStandInHasItsLibraries: a program that is packed without what it is linked with does not start.
func TestAStandInHasItsLibraries(t *testing.T) {
	spec, err := StandIn{Repository: "example/sh", programs: []string{"sh"}}.Spec(root)
	if err != nil {
		t.Fatal(err)
	}
	libc := false
	for at := range spec.Files {
		libc = libc || strings.Contains(at, "libc.so")
	}
	if spec.Files["usr/bin/sh"] == "" || !libc {
		t.Errorf("the image of sh has %v", spec.Files)
	}
}

// TestTheClustersOwnObjectsFitItsProgram: DNS answers where kubelets send questions, volumes are of the class that there is and where their machine has folders.
func TestTheClustersOwnObjectsFitItsProgram(t *testing.T) {
	objects, err := manifest.Build(root, "tools/cluster/kube/system")
	if err != nil {
		t.Fatal(err)
	}
	volume, err := Machine{Name: "machine-7"}.volume(volumesEach - 1)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range objects {
		switch {
		case o.Kind == "Service" && o.At("spec", "clusterIP") == dnsAddress:
			found++
		case o.Kind == "StorageClass" && strings.Contains(string(volume.YAML), `"storageClassName":"`+o.Name+`"`):
			found++
		case o.Kind == "ConfigMap" && strings.Contains(o.At("data", "Corefile").(string), domain):
			found++
		}
	}
	if found != 3 || !strings.Contains(string(volume.YAML), `"path":"/run/volumes/5"`) {
		t.Errorf("%d of a Service, a class and a configuration are what is looked for; a volume is %s", found, volume.YAML)
	}
}

// TestTheStandInForTheChartIsConfiguredAsItsValuesSay, and where they say nothing as the chart is; its master is called as our Secret calls it.
func TestTheStandInForTheChartIsConfiguredAsItsValuesSay(t *testing.T) {
	objects, err := Sentinels(root)
	if err != nil {
		t.Fatal(err)
	}
	last := string(objects[len(objects)-1].YAML)
	for _, want := range []string{`appendfsync always\n`, `min-replicas-to-write 1\n`, `save \"\"\n`, `sentinel down-after-milliseconds vow 10000\n`, `sentinel parallel-syncs vow 5\n`} {
		if !strings.Contains(last, want) {
			t.Errorf("%s is missing in %s", want, last)
		}
	}
	urls := 0
	for _, o := range objects {
		if url, _ := base64.StdEncoding.DecodeString(fmt.Sprint(o.At("data", "url"))); strings.HasSuffix(string(url), "@redis-redis-ha:26379/vow") {
			urls++
		}
	}
	if urls != 1 {
		t.Errorf("%d Secrets say where Redis is", urls)
	}
}
