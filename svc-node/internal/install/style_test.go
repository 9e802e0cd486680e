package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/profile"
)

// Profiles in the style of real releases deploy, and a second run changes nothing.
func TestProfilesInTheStyleOfRealReleasesConverge(t *testing.T) {
	for name, c := range map[string]struct {
		release, kind string
		parameters    map[string]string
		services      int
		published     string // a connection parameter, name=value
		files         map[string]string
	}{
		"hello by macros": {
			"testdata/style/hello", "default", nil, 3, `_={"one-url":"http://10.0.0.1:7700/","three-url":"http://10.0.0.1:7702/","two-url":"http://10.0.0.1:7701/"}`,
			map[string]string{"etc/service/two": `exec /opt/hello/bin/hello --name two --port 7701 10.0.0.1 "$@"`, "etc/promise/three-listens": "7702"},
		},
		"hello with parameters": {
			"testdata/style/hello", "default",
			map[string]string{"_": `{"names": ["four"]}`},
			1, `_={"four-url":"http://10.0.0.1:7700/"}`,
			map[string]string{"etc/service/four": "--port 7700"},
		},
		"mqtt with a password file": {
			"testdata/style/mqtt", "default",
			map[string]string{"username": ""},
			1, "username=broker",
			map[string]string{"etc/broker-conf.cfg": "listener 1883 10.0.0.1\npassword_file ", "etc/promise/broker-listens": "1883"},
		},
		"database": {
			"../../../examples/database", "database",
			map[string]string{"_": `{"maxmemory": "8mb"}`},
			2, "",
			map[string]string{"etc/redis.conf": "maxmemory 8mb\n", "etc/cron.d/backup": "*/5 * * * * "},
		},
		"web": {
			"../../../examples/database", "web",
			map[string]string{"_": `{"database-url": "redis://10.0.0.2:6379", "database-password": "secret"}`},
			1, "",
			map[string]string{"srv/www/index.html": "It is kept at 10.0.0.2, port 6379, with a password of 6 characters."},
		},
		"frontend with shared instances": {
			"testdata/style/frontend", "RootSoftwareInstance",
			map[string]string{
				"_":                   `{"domain": "example.com"}`,
				"slave_instance_list": `[{"slave_reference": "S1", "_": "{\"url\": \"http://b1.example/\"}"}, {"slave_reference": "S2", "_": "{\"url\": \"gopher://x\"}"}, {"slave_reference": "S3", "url": "https://b3.example:8443", "path": "/x"}]`,
			},
			2, "",
			map[string]string{"etc/promise/frontend": "8443", "etc/logrotate.d/logs": "rotate 30\n", "etc/sites/67f6274e.conf": "/ b1.example:80", "etc/sites/e2ab7c65.conf": "/x b3.example:8443", "etc/service/frontend": "/opt/frontend/bin/frontend"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			release, err := filepath.Abs(c.release)
			if err != nil {
				t.Fatal(err)
			}
			p := Partition{Directory: t.TempDir(), ReleaseDirectory: release, Environment: profile.Environment{
				SoftwareType: c.kind, SoftwareReleaseURL: "file://" + release, ComputerID: "COMP-1", PartitionID: "slappart0",
				RequestedState: "started", Parameters: c.parameters, IPv4: []string{"10.0.0.1"},
			}}
			w := newFakeWorld()
			run1(t, p, w)
			before, commands := tree(t, p.Directory), len(w.commands)
			if again := run1(t, p, w); again.Changed || len(w.commands) != commands || w.publishes != 1 {
				t.Errorf("the second run changed something: %s, ran %v, published %d times", actions(again.Parts), w.commands, w.publishes)
			}
			if differs := same(before, tree(t, p.Directory)); differs != "" {
				t.Errorf("the second run changed %s", differs)
			}
			services, err := os.ReadDir(filepath.Join(p.Directory, "etc", "service"))
			if err != nil || len(services) != c.services {
				t.Errorf("services: %v, %v", services, err)
			}
			for path, want := range c.files {
				if got := read(t, p, path); !strings.Contains(got, want) {
					t.Errorf("%s is\n%s", path, got)
				}
			}
			if option, want, ok := strings.Cut(c.published, "="); ok && w.published[option] != want {
				t.Errorf("published: %v", w.published)
			}
		})
	}
}
