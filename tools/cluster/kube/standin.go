package kube

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vow-os/vow/tools/cluster/image"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// StandIn is a program of this machine in the place of an image of others that no registry gives us here.
type StandIn struct {
	// Repository is what manifests call the image, without tag and digest.
	Repository string
	// From is what people are told: what it is, or how to get it.
	From string
	// programs are looked for on PATH or, with a slash, from the repository's root; the first is the entrypoint.
	programs []string
}

// StandIns are all that there can be. Grafana and Pyroscope come neither from Debian nor as Go modules.
func StandIns() []StandIn {
	return []StandIn{
		{"docker.io/library/redis", "redis-server of Debian", []string{"redis-server", "redis-cli", "sh", "sleep", "timeout"}},
		{"docker.io/prom/prometheus", "prometheus of Debian", []string{"prometheus"}},
		{"docker.io/otel/opentelemetry-collector-contrib", "the Collector that make e2e-collector builds", []string{".cache/collector/otelcol-vow"}},
		{"docker.io/jaegertracing/jaeger", "the Jaeger that make e2e-jaeger builds", []string{".cache/jaeger/jaeger"}},
	}
}

// standsIn says whether an object's pods need it.
func (s StandIn) standsIn(o manifest.Object) bool {
	return slices.ContainsFunc(o.Images(), func(reference string) bool { return manifest.Repository(reference) == s.Repository })
}

// Spec says what the image is made of: the programs in /usr/bin, and the libraries that they are linked with. It fails if this machine does not have them.
func (s StandIn) Spec(root string) (image.Spec, error) {
	spec := image.Spec{Name: filepath.Base(s.Repository), Entrypoint: filepath.Base(s.programs[0]), Files: map[string]string{}}
	for _, program := range s.programs {
		at := filepath.Join(root, program)
		if !strings.Contains(program, "/") {
			found, err := exec.LookPath(program)
			if err != nil {
				return image.Spec{}, fmt.Errorf("cannot have %s: there is no %s", s.From, program)
			}
			at = found
		}
		if _, err := os.Stat(at); err != nil {
			return image.Spec{}, fmt.Errorf("cannot have %s: %w", s.From, err)
		}
		spec.Files["usr/bin/"+filepath.Base(program)] = at
		for _, library := range libraries(at) {
			spec.Files[strings.TrimPrefix(library, "/")] = library
		}
	}
	return spec, nil
}

// library is what ldd says of one: a path, that of the loader alone or after an arrow.
var library = regexp.MustCompile(`(?m)^\t(?:\S+ => )?(/\S+) \(0x`)

// libraries are what a program is linked with; none if it is static, which ldd says by failing.
func libraries(program string) (all []string) {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil
	}
	for _, found := range library.FindAllStringSubmatch(string(out), -1) {
		all = append(all, found[1])
	}
	return all
}
