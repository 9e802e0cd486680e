package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

func hello(t *testing.T, kind string, parameters map[string]string) Partition {
	t.Helper()
	release, err := filepath.Abs("../../../examples/hello")
	if err != nil {
		t.Fatal(err)
	}
	return Partition{Directory: t.TempDir(), ReleaseDirectory: release, Environment: profile.Environment{
		SoftwareType: kind, SoftwareReleaseURL: release, ComputerID: "COMP-1", PartitionID: "slappart0",
		ServerURL: "http://127.0.0.1:1", RequestedState: "started", Parameters: parameters, Executable: "/usr/bin/vow",
	}}
}

func read(t *testing.T, p Partition, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.Directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestHelloTreeConverges(t *testing.T) {
	world := newFakeWorld()
	root := hello(t, "root", nil)
	if _, err := Run(t.Context(), root, world, nil); !errors.Is(err, recipe.ErrNotAvailable) {
		t.Fatalf("with children that do not exist yet the root should wait: %v", err)
	}
	if len(world.requests) != 1 || world.requests[0].Title != "store" {
		t.Fatalf("requested %+v, want store only: web needs what store publishes", world.requests)
	}
	for _, kind := range []string{"store", "web"} {
		last := world.requests[len(world.requests)-1]
		if last.Title != kind || last.SLA["computer_guid"] != "COMP-1" {
			t.Fatalf("the last request is %+v, want %s", last, kind)
		}
		child, childWorld := hello(t, last.Type, last.Parameters), newFakeWorld()
		result, err := Run(t.Context(), child, childWorld, nil)
		if err != nil || !result.Changed {
			t.Fatalf("%s: %+v, %v", kind, result, err)
		}
		promise := read(t, child, "etc/promise/"+kind+"-listens")
		if !strings.Contains(promise, "exec /usr/bin/vow sample check --port 20001 ") {
			t.Errorf("the promise of %s is\n%s", kind, promise)
		}
		services, err := os.ReadDir(filepath.Join(child.Directory, "etc/service"))
		if err != nil || len(services) != 1 || !strings.HasPrefix(services[0].Name(), kind) {
			t.Errorf("services of %s: %v, %v", kind, services, err)
		}
		if childWorld.published["url"] == "" || len(childWorld.published["password"]) < 16 {
			t.Errorf("%s publishes %v", kind, childWorld.published)
		}
		again, err := Run(t.Context(), child, childWorld, nil)
		if err != nil || again.Changed || childWorld.publishes != 1 {
			t.Errorf("a second run of %s changed something: %+v, %v", kind, again, err)
		}
		world.connections[kind] = childWorld.published
		_, err = Run(t.Context(), root, world, nil)
		if waits := errors.Is(err, recipe.ErrNotAvailable); err != nil && !waits || waits == (kind == "web") {
			t.Fatalf("root after %s: %v", kind, err)
		}
	}
	if want := "http://127.0.0.1:20001/"; world.published["web-url"] != want {
		t.Errorf("the root publishes %v, want web-url %s", world.published, want)
	}
	about := read(t, root, "var/about.txt")
	if !strings.Contains(about, "store: tcp://127.0.0.1:20001") || !strings.Contains(about, "kept in ${buildout:directory} = "+root.Directory) {
		t.Errorf("about.txt is\n%s", about)
	}
}
