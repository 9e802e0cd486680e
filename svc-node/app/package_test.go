package app_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// debianPackage builds the package of this repository around programs that are none, and tells where it is.
func debianPackage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"svc-node", "vow-supervisor", "vow"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte("a program\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "../debian/build.sh", "amd64", dir, "1.2")
	build.Env = append(os.Environ(), "VOW_PROGRAMS="+dir, "SOURCE_DATE_EPOCH=1795000000")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v: %s", err, out)
	}
	return filepath.Join(dir, "vow-node_1.2_amd64.deb")
}

func dpkgDeb(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "dpkg-deb", args...).Output()
	if err != nil {
		t.Fatalf("dpkg-deb %v: %v", args, err)
	}
	return string(out)
}

func TestTheDebianPackageHasWhatItsUnitsAndScriptsName(t *testing.T) {
	deb := debianPackage(t)
	has := map[string]string{} // path → permissions and owner
	for line := range strings.Lines(dpkgDeb(t, "--contents", deb)) {
		fields := strings.Fields(line)
		has[strings.TrimPrefix(fields[5], ".")] = fields[0] + " " + fields[1]
	}
	for path, what := range has {
		if !strings.HasSuffix(what, " root/root") {
			t.Errorf("%s is %s", path, what)
		}
	}
	for _, name := range []string{"vow-format.service", "vow-limits.service", "vow-supervisor.service"} {
		if has["/lib/systemd/system/"+name] == "" {
			t.Errorf("%s is not in the package", name)
		}
		for _, program := range regexp.MustCompile(`/usr/bin/[a-z-]+`).FindAllString(strings.Join(unit(t, "../systemd/"+name)["Service.ExecStart"], " "), -1) {
			if !strings.HasPrefix(has[program], "-rwxr-xr-x ") {
				t.Errorf("%s names %s, which is %q", name, program, has[program])
			}
		}
	}
	control := t.TempDir()
	dpkgDeb(t, "--control", deb, control)
	conffiles, err := os.ReadFile(filepath.Join(control, "conffiles"))
	if err != nil || string(conffiles) != "/etc/vow/node.env\n" || has["/etc/vow/node.env"] == "" {
		t.Errorf("configuration is %q, %v", conffiles, err)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(control, script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", script, err, out)
		}
		if info, err := os.Stat(filepath.Join(control, script)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", script, info, err)
		}
	}
}

func TestTheSameCommitMakesTheSamePackage(t *testing.T) {
	var made [2][]byte
	for i := range made {
		content, err := os.ReadFile(debianPackage(t))
		if err != nil {
			t.Fatal(err)
		}
		made[i] = content
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two packages of one commit differ")
	}
}
