//go:build images

package image

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// TestBuiltImages is what make images made: each is small, says its version and commit, and its program runs in it as its user.
func TestBuiltImages(t *testing.T) {
	for _, s := range Specs() {
		t.Run(s.Name, func(t *testing.T) {
			index, err := layout.ImageIndexFromPath(filepath.Join("../../../dist/images", s.Name))
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			made, err := index.Image(manifest.Manifests[0].Digest)
			if err != nil {
				t.Fatal(err)
			}
			size, err := Size(made)
			if err != nil || size > MaxSize {
				t.Errorf("%d bytes, %v", size, err)
			}
			file, err := made.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			version := file.Config.Labels["org.opencontainers.image.version"]
			if !regexp.MustCompile(`^[0-9.a-z-]+\+[0-9a-f]{12}`).MatchString(version) {
				t.Errorf("version %q", version)
			}
			dir := unpack(t, made)
			out, err := inside(dir, "/usr/bin/"+s.Name, "--version").CombinedOutput()
			if err != nil || !strings.Contains(string(out), version) {
				t.Errorf("--version says %q, %v, want %s", out, err, version)
			}
			t.Logf("%.1f MB, %s", float64(size)/1e6, version)
			if s.Name == "svc-master" {
				serves(t, dir)
			}
		})
	}
}

// serves starts svc-master in its image with a Redis of this machine, and asks whether it is ready.
func serves(t *testing.T, dir string) {
	socket := filepath.Join(dir, "tmp", "redis.sock")
	redis := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777", "--save", "", "--maxmemory-policy", "noeviction", "--dir", t.TempDir())
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Process.Kill(); _ = redis.Wait() }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := listener.Addr().String()
	listener.Close()
	master := inside(dir, "/usr/bin/svc-master", "--address", "127.0.0.1:0", "--admin-address", admin, "--redis-url", "unix:///tmp/redis.sock")
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = master.Process.Kill(); _ = master.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if response, err := http.Get("http://" + admin + "/readyz"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Error("svc-master in its image is not ready within a minute")
}
