package pythonhost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheModulesOfPlugins runs the tests in testdata/python: each is a sentence about GenericPromise or PromiseLauncher.
func TestTheModulesOfPlugins(t *testing.T) {
	modules, err := filepath.Abs("python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-W", "error::DeprecationWarning", "-m", "unittest", "discover", "-s", "testdata/python")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+modules, "PYTHONDONTWRITEBYTECODE=1")
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "\nOK\n") {
		t.Errorf("%v\n%s", err, output)
	}
}
