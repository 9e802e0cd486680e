package install

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

const killVariable = "VOW_TEST_INSTALL_IN"

// TestRunAndNothingElse is what TestKilledRunsConverge runs in a process of its own, to kill it.
func TestRunAndNothingElse(t *testing.T) {
	where := os.Getenv(killVariable)
	if where == "" {
		t.Skip("only as a child of TestKilledRunsConverge")
	}
	p := Partition{Directory: filepath.Join(where, "partition"), ReleaseDirectory: filepath.Join(where, "release"), Environment: profile.Environment{SoftwareType: "default"}}
	for i := 0; ; i++ {
		source := fiftyParts()
		if i%2 == 1 {
			source = strings.ReplaceAll(strings.ReplaceAll(source, "/bin/server", "/bin/other"), "promise-3\n", "")
		}
		write(t, p, source)
		run1(t, p, newFakeWorld())
	}
}

func TestKilledRunsConverge(t *testing.T) {
	where := t.TempDir()
	p := Partition{Directory: filepath.Join(where, "partition"), ReleaseDirectory: filepath.Join(where, "release"), Environment: profile.Environment{SoftwareType: "default"}}
	for _, dir := range []string{p.Directory, p.ReleaseDirectory} {
		if err := os.Mkdir(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		child := exec.Command(os.Args[0], "-test.run=^TestRunAndNothingElse$")
		child.Env = append(os.Environ(), killVariable+"="+where)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(10+random.IntN(120))*time.Millisecond, func() { _ = child.Process.Signal(syscall.SIGKILL) })
		_ = child.Wait()
		timer.Stop()
		if child.ProcessState.ExitCode() == 1 {
			t.Fatal("the child failed before it was killed")
		}
		w := newFakeWorld()
		write(t, p, fiftyParts())
		run1(t, p, w)
		if again := run1(t, p, w); again.Changed {
			t.Fatalf("after a kill it does not settle: %s", actions(again.Parts))
		}
		if !strings.Contains(read(t, p, "etc/service/s3"), "/bin/server") {
			t.Fatal("a killed run's file stayed")
		}
		if _, err := os.Stat(filepath.Join(p.Directory, keptName)); err == nil {
			t.Fatal("our own file was taken for somebody else's")
		}
	}
}
