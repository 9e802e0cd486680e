package builtin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

const nobody = 65534

// place is a partition's directory, with a user of its own where the tests are root.
func place(t *testing.T) Place {
	t.Helper()
	dir := t.TempDir()
	p := Place{Partition: "slappart7", Directory: dir, Env: []string{"PATH=/usr/bin:/bin"}, Timeout: 5 * time.Second}
	if os.Getuid() != 0 {
		return p
	}
	p.User = privilege.Other("nobody", nobody, nobody)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for at := filepath.Dir(dir); at != "/"; at = filepath.Dir(at) { // the way to it is open, as that to an instance root is
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at, info.Mode()|0o005); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// file makes a file that the partition's user may read.
func file(t *testing.T, p Place, name, content string) string {
	t.Helper()
	path := filepath.Join(p.Directory, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // for the partition's user
		t.Fatal(err)
	}
	return path
}

// check prepares a declaration.
func check(t *testing.T, sensor string, config map[string]string) *Check {
	t.Helper()
	c, unknown, err := Prepare(sensor, config)
	if err != nil || len(unknown) > 0 {
		t.Fatalf("cannot prepare %s: %v, unknown %v", sensor, err, unknown)
	}
	return c
}

// sense executes a check once and returns "LEVEL message" of each entry.
func sense(t *testing.T, p Place, c *Check) string {
	t.Helper()
	return said(c.Sense(t.Context(), NewMachine(child.NewRunner()), p))
}

func said(g *typev1.SenseGroup) string {
	var lines []string
	for _, e := range g.GetEntries() {
		lines = append(lines, strings.TrimPrefix(e.GetLevel().String(), "LOG_LEVEL_")+" "+e.GetMessage())
	}
	return strings.Join(lines, "\n")
}

// expect compares what a sensor says.
func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("it says\n\t%s\nwant\n\t%s", got, want)
	}
}

// windows compares test and anomaly windows, and whether an anomaly bangs.
func windows(t *testing.T, c *Check, test, anomaly Rule, bangs bool) {
	t.Helper()
	if c.Test != test || c.Anomaly != anomaly || c.Quiet == bangs {
		t.Errorf("windows of %s are test %v, anomaly %v, quiet %v", c.Sensor, c.Test, c.Anomaly, c.Quiet)
	}
}
