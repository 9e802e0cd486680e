package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// observability is what is shipped for the backends.
const observability = "../../tilt/observability"

// debian is a program that `make setup` installs, on PATH or in .bin.
func debian(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path, err := filepath.Abs(filepath.Join("..", "..", ".bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("cannot find %s: make setup (%v)", name, err)
	}
	return path
}

func TestPrometheusAcceptsTheConfigurationTheRulesAndTheirTests(t *testing.T) {
	promtool := debian(t, "promtool")
	rules, _ := filepath.Glob(filepath.Join(observability, "rules", "*.yaml"))
	tests, _ := filepath.Glob(filepath.Join(observability, "rules", "tests", "*.yaml"))
	if len(rules) == 0 || len(tests) != len(rules) {
		t.Fatalf("%d files of rules, %d of tests", len(rules), len(tests))
	}
	for _, args := range [][]string{
		append([]string{"check", "rules"}, rules...), append([]string{"test", "rules"}, tests...),
		{"check", "config", filepath.Join(observability, "prometheus.yaml"), filepath.Join(observability, "prometheus.kubernetes.yaml")},
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
}
