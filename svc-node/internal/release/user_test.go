package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// soft installs releases, tenant is the user of a partition. Neither needs an entry in /etc/passwd.
var (
	soft   = privilege.Other("soft", 64410, 64411)
	tenant = privilege.Other("tenant", 64420, 64421)
)

// asRoot is a software root of the software user, below a folder of root's that all can enter; nil without root, when it was
// checked that the refusal says so.
func asRoot(t *testing.T, s Settings) *Root {
	t.Helper()
	s.User = func() (privilege.User, error) { return soft, nil }
	if os.Getuid() != 0 {
		r, err := NewRoot(filepath.Join(t.TempDir(), "software"), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Install(t.Context(), file(t, tarOf(t, profile("instance.cfg"))), nil); err == nil || !strings.Contains(err.Error(), "only root may act as others") {
			t.Errorf("an agent that is not root is told %v", err)
		}
		return nil
	}
	dir := open(t)
	software := filepath.Join(dir, "software")
	for _, err := range []error{os.Mkdir(software, 0o755), os.Chown(software, int(soft.UID), int(soft.GID))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := NewRoot(software, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open is a folder of ours that all can enter.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vow-release") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// in writes a file into a folder that all can enter.
func in(t *testing.T, dir, name, content string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// allOf checks that everything in the software root is the software user's and that others can read it and not write it.
func allOf(t *testing.T, r *Root, releaseURL string) {
	t.Helper()
	err := filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != soft.UID || stat.Gid != soft.GID {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	dir := r.Directory(releaseURL)
	err = tenant.Do(func() error {
		if _, err := os.ReadFile(filepath.Join(dir, "instance.cfg")); err != nil {
			t.Errorf("a partition cannot read the release: %v", err)
		}
		for _, attempt := range []error{
			os.WriteFile(filepath.Join(dir, "new"), nil, 0o644), os.WriteFile(filepath.Join(dir, "instance.cfg"), nil, 0o644), os.Remove(filepath.Join(dir, "instance.cfg")),
			os.Rename(dir, dir+"x"), os.WriteFile(filepath.Join(r.dir, "new"), nil, 0o644), os.Chmod(dir, 0o777),
		} {
			if !errors.Is(attempt, fs.ErrPermission) {
				t.Errorf("a partition can change the release: %v", attempt)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAReleaseOnARootAgentIsTheSoftwareUsers(t *testing.T) {
	r := asRoot(t, Settings{})
	if r == nil {
		return
	}
	content := tarOf(t, profile("instance.cfg"), entry{name: "bin/tool", content: "#!", mode: 0o4777}, entry{name: "link", kind: '2', link: "bin/tool"})
	s := serve(t, content)
	s.set(func() { s.cut = leastResumed - 1 })
	dir := open(t)
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	in(t, tree, "instance.cfg", "[buildout]\n", 0o644)
	for _, url := range []string{"file://" + in(t, dir, "archive", string(content), 0o644), "file://" + tree, s.URL + "/x.tar" + sha256Of(content)} {
		if err := r.Install(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
		allOf(t, r, url)
	}
	if err := r.Remove(t.Context(), "file://"+tree); err != nil {
		t.Error(err)
	}
	if removed, err := r.Collect(t.Context(), nil, true); err != nil || len(removed) != 2 || len(beside(t, r)) != 0 {
		t.Errorf("collected are %v, %v; left is %v", removed, err, beside(t, r))
	}
}

// hostile is a build that tries all that it must not be able to do, and leaves what worked in its release.
const hostile = `#!/usr/bin/python3 -I
import ctypes, os, shutil, signal, subprocess
found = []
def attempt(title, call):
    try:
        call()
    except (OSError, subprocess.CalledProcessError):
        return
    found.append("CAN " + title)
def write(path):
    with open(path, "w"): pass
attempt("setuid", lambda: os.setuid(0))
attempt("seteuid", lambda: os.seteuid(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("read shadow", lambda: open("/etc/shadow"))
attempt("signal the agent", lambda: os.kill(os.getppid(), 0))
attempt("write beside the software root", lambda: write("../../new"))
attempt("replace the software root", lambda: os.rename("../../software", "../../other"))
attempt("write in /etc", lambda: write("/etc/vow-new"))
attempt("write in /usr", lambda: write("/usr/vow-new"))
attempt("read what is closed", lambda: open("../../closed/secret"))
attempt("write in a partition", lambda: write("../../slappart0/new"))
attempt("read a partition", lambda: os.listdir("../../slappart0"))
attempt("write in the old release", lambda: write("../../mine"))
os.chmod(shutil.copy("/usr/bin/id", "id"), 0o6755)
found.append("set-user-id gives " + subprocess.check_output(["./id", "-u"], text=True).strip())
attempt("mount", lambda: subprocess.check_call(["mount", "-t", "tmpfs", "none", "."], stderr=subprocess.DEVNULL))
status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
found += ["uid %d %d %d" % os.getresuid(), "gid %d %d %d" % os.getresgid(), "groups %s" % os.getgroups(), "caps %d %d" % (int(status["CapPrm"], 16), int(status["CapEff"], 16)),
          "nnp " + status["NoNewPrivs"], "umask %o" % os.umask(0o22), "user " + os.environ["USER"], "home is here: %s" % (os.environ["HOME"] == os.getcwd())]
os.mkdir("bin")
with open("instance.cfg", "w") as f: f.write(", ".join(found))
`

func TestABuildOnARootAgentCannotLeaveTheSoftwareRootNorBecomeRoot(t *testing.T) {
	dir := open(t)
	r := asRoot(t, Settings{Buildout: in(t, dir, "buildout", hostile, 0o755)})
	if r == nil {
		return
	}
	above := filepath.Dir(r.dir)
	for _, err := range []error{
		os.Mkdir(filepath.Join(above, "closed"), 0o700), os.WriteFile(filepath.Join(above, "closed", "secret"), nil, 0o644), os.WriteFile(filepath.Join(above, "mine"), nil, 0o644),
		os.Mkdir(filepath.Join(above, "slappart0"), 0o750), os.Chown(filepath.Join(above, "slappart0"), int(tenant.UID), int(tenant.GID)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	url := "file://" + in(t, dir, "software.cfg", "[buildout]\n", 0o644)
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(r.Directory(url), "instance.cfg"))
	want := fmt.Sprintf("set-user-id gives %[1]d, uid %[1]d %[1]d %[1]d, gid %[2]d %[2]d %[2]d, groups [], caps 0 0, nnp 1, umask 22, user soft, home is here: True", soft.UID, soft.GID)
	if err != nil || string(got) != want {
		t.Errorf("the build says\n%s\nwant\n%s (%v)", got, want, err)
	}
	allOf(t, r, url)
}

// A build with the real buildout, and one that is killed with all that it started, as another user.
func TestBuildsOfTheSoftwareUserAreBuiltAndEnded(t *testing.T) {
	dir := open(t)
	r := asRoot(t, Settings{})
	if r == nil {
		return
	}
	executable := buildout(t)
	path := softwareProfile(t, nil)
	copied := filepath.Join(dir, "source")
	if out, err := exec.Command("/bin/sh", "-c", `cp -r "$1" "$2" && chmod -R a+rX "$2" && sed -i "s|$1|$2|g" "$2"/stack/base.cfg && chown -R "$3" "$2"`, "sh", filepath.Dir(path), copied, fmt.Sprint(soft.UID)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out) // develop eggs are built in the source: it is the software user's
	}
	wrapper := filepath.Join(dir, "python")
	if err := os.Mkdir(wrapper, 0o755); err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(wrapper, "sitecustomize.py"), "import collections\nimport collections.abc\ncollections.MutableMapping = collections.abc.MutableMapping\n")
	content, err := os.ReadFile(executable)
	if err != nil {
		t.Fatal(err)
	}
	r.s.Buildout = in(t, wrapper, "buildout", strings.ReplaceAll(string(content), filepath.Dir(executable), wrapper), 0o755)
	url := "file://" + filepath.Join(copied, "software.cfg")
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	allOf(t, r, url)

	r.s.Buildout = in(t, dir, "slow", slow, 0o755)
	other := "file://" + in(t, dir, "software.cfg", "[buildout]\n", 0o644)
	ctx, cancel := contextWithin(60e9)
	defer cancel()
	seen := false
	err = r.Install(ctx, other, &watcher{at: func(Step, int64, int64) {
		seen = seen || len(building(r.Directory(other))) > 0
		cancel()
	}})
	if alive := building(r.Directory(other)); err == nil || !seen || len(alive) != 0 {
		t.Errorf("%v; it was seen %t, and %v are left", err, seen, alive)
	}
}

func TestASoftwareRootThatIsNotTheSoftwareUsersSaysWhatToDo(t *testing.T) {
	r := asRoot(t, Settings{})
	if r == nil {
		return
	}
	url := "file://" + in(t, open(t), "archive", string(tarOf(t, profile("instance.cfg"))), 0o644)
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	other := url + "#md5=00000000000000000000000000000000"
	check := func(want string) {
		t.Helper()
		again, err := NewRoot(r.dir, r.s)
		if err != nil {
			t.Fatal(err)
		}
		_, collectErr := again.Collect(t.Context(), nil, true)
		for _, err := range []error{again.Check(), again.Install(t.Context(), other, nil), again.Remove(t.Context(), url), collectErr} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "vow node format --yes") {
				t.Errorf("it says %v", err)
			}
		}
		if !again.Installed(url) {
			t.Error("what is installed cannot be used any more")
		}
	}
	rooted := in(t, r.dir, "of-root", "", 0o644)
	check("of-root in the software root")
	if err := os.Remove(rooted); err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Errorf("put right it says %v", err)
	}
	if err := os.Chown(r.dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	check("belongs to user 0, not to soft")
	r.s.User = func() (privilege.User, error) {
		return privilege.User{}, errors.New("no user yet: run `vow node format --yes`")
	}
	check("no user yet")
	gone, err := NewRoot(filepath.Join(open(t), "nowhere"), Settings{User: func() (privilege.User, error) { return soft, nil }})
	if err != nil || gone.Check() == nil || exists(gone.dir) {
		t.Errorf("a software root that was never made: %v", err)
	}
}

func TestWhatTheSoftwareUserMayNotReadIsNoRelease(t *testing.T) {
	r := asRoot(t, Settings{Buildout: "/bin/true"})
	if r == nil {
		return
	}
	closed := filepath.Join(open(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	archive := in(t, closed, "archive", string(tarOf(t, profile("instance.cfg"))), 0o644)
	in(t, closed, "instance.cfg", "", 0o644)
	cfg := in(t, closed, "software.cfg", "", 0o644)
	for _, url := range []string{"file://" + archive, "file://" + closed, "file://" + cfg} {
		if err := r.Install(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "permission denied (for the user soft") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A build can make anything of the files that the agent reads.
func TestOptionsThatABuildMadeLinksOrPipesOfTellNothing(t *testing.T) {
	r := asRoot(t, Settings{})
	if r == nil {
		return
	}
	dir := open(t)
	url := "file://" + in(t, dir, "archive", string(tarOf(t, profile("instance.cfg"))), 0o644)
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	secret := in(t, dir, "secret", "top secret", 0o600)
	for _, err := range []error{
		os.Symlink(secret, filepath.Join(r.Directory(url), "periodicity")), syscall.Mkfifo(filepath.Join(r.Directory(url), "bang-quota"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Options(url); strings.Contains(got.Error, "top") || !strings.Contains(got.Error, "permission denied") || !strings.Contains(got.Error, "it is no file") {
		t.Errorf("the options are %+v", got)
	}
}
