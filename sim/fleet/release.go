package fleet

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"github.com/vow-os/vow/kit/telemetry/conv"
	node "github.com/vow-os/vow/svc-node/app"
)

// releases are the software releases of the world: what each says of its instances.
type releases struct {
	dir string

	mu      sync.Mutex
	options map[string]node.ReleaseOptions
}

func newReleases(dir string) *releases {
	return &releases{dir: dir, options: map[string]node.ReleaseOptions{}}
}

// releaseURL is the URL of a release of the story.
func releaseURL(name string) string { return "file:///releases/" + name }

// Release declares a software release.
func (f *Fleet) Release(name string, o node.ReleaseOptions) {
	f.releases.mu.Lock()
	defer f.releases.mu.Unlock()
	f.releases.options[releaseURL(name)] = o
}

// Directory is where a release would be.
func (m *Machine) Directory(url string) string {
	return filepath.Join(m.join("software"), strings.TrimPrefix(url, releaseURL("")))
}

// Installed tells whether it was installed.
func (m *Machine) Installed(url string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.installed[url]
}

// install notes whether it is there.
func (m *Machine) install(url string, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.installed[url] = is
}

// software makes a Machine what an agent wants of releases: Install means two things there.
type software struct{ *Machine }

var _ node.Releases = software{}

// Install installs it at once.
func (s software) Install(ctx context.Context, url string, o node.InstallObserver) error {
	_, end := o.Begin(ctx, conv.InstallCopy)
	s.install(url, true)
	end(nil)
	return nil
}

// Collect has nothing to collect.
func (software) Collect(context.Context, []string, bool) ([]string, error) { return nil, nil }

// Remove removes it at once.
func (s software) Remove(_ context.Context, url string) error {
	s.install(url, false)
	return nil
}

// Options is what it says of its instances.
func (s software) Options(url string) node.ReleaseOptions {
	s.releases.mu.Lock()
	defer s.releases.mu.Unlock()
	return s.releases.options[url]
}
