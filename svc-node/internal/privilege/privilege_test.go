package privilege

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// web and mail are users that need no entry in /etc/passwd.
var (
	web  = Other("web", 64101, 64101)
	mail = Other("mail", 64102, 64102)
)

// isRoot tells whether the test may act as others. Where it may not, it is checked that this is said.
func isRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	err := web.Do(func() error { t.Error("the function is called"); return nil })
	if err == nil || !strings.Contains(err.Error(), "only root") {
		t.Errorf("an unprivileged agent that is to act as another is told %v", err)
	}
	return false
}

// directory is one that users can reach and only its owner can read.
func directory(t *testing.T, u User) string {
	t.Helper()
	base, err := os.MkdirTemp("", "vow-privilege") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	dir := filepath.Join(base, u.Name)
	for _, err := range []error{os.Chmod(base, 0o755), os.Mkdir(dir, 0o750), os.Chown(dir, int(u.UID), int(u.GID))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRootIsNoUserToDropTo(t *testing.T) {
	for _, u := range []User{Other("x", 0, 1000), Other("x", 1000, 0)} {
		if err := u.Validate(); err == nil {
			t.Errorf("%+v is a user", u)
		}
		if err := u.Start(exec.Command("true")); err == nil {
			t.Errorf("a command starts as %+v", u)
		}
	}
}

func TestWhatIsDoneAsAUserHasTheUsersAccessAndNoOtherGoroutineHas(t *testing.T) {
	if !isRoot(t) {
		return
	}
	theirs, ours := directory(t, mail), directory(t, web)
	link := filepath.Join(ours, "link")
	if err := os.Symlink("/etc/shadow", link); err != nil {
		t.Fatal(err)
	}
	err := web.Do(func() error {
		if err := os.WriteFile(filepath.Join(ours, "file"), nil, 0o640); err != nil {
			t.Error(err)
		}
		for _, path := range []string{link, theirs} {
			if _, err := os.Open(path); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := os.WriteFile(filepath.Join(theirs, "file"), nil, 0o600); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("another's directory is written in: %v", err)
		}
		if err := os.Chown(filepath.Join(ours, "file"), 0, 0); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a file is given to root: %v", err)
		}
		if err := unix.Mount("none", ours, "tmpfs", 0, ""); !errors.Is(err, unix.EPERM) {
			t.Errorf("a capability is left: %v", err)
		}
		var err error
		other := make(chan struct{})
		go func() { defer close(other); _, err = os.ReadFile(link) }()
		<-other
		if err != nil {
			t.Errorf("another goroutine lost its access: %v", err)
		}
		return fs.ErrClosed
	})
	if !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the function's error is %v", err)
	}
	info, err := os.Stat(filepath.Join(ours, "file"))
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != web.UID || info.Sys().(*syscall.Stat_t).Gid != web.GID {
		t.Errorf("the file belongs to %+v (%v)", info, err)
	}
}

func TestNoThreadStaysAUser(t *testing.T) {
	if !isRoot(t) {
		return
	}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			u := web
			if i%2 == 0 {
				u = mail
			}
			if err := u.Do(func() error {
				if got := unix.Geteuid(); uint32(got) != u.UID { // raw: of this thread
					t.Errorf("it is %d, want %d", got, u.UID)
				}
				runtime.Gosched()
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if unix.Geteuid() != 0 || syscall.Getuid() != 0 {
		t.Error("the test is not root any more")
	}
	info, err := os.Stat("/proc/self/status")
	status, readErr := os.ReadFile("/proc/self/status") // of the first thread
	if err != nil || readErr != nil || !strings.Contains(string(status), "\nUid:\t0\t0\t0\t0\n") {
		t.Errorf("the process is %v: %s", info, status)
	}
}

func TestAPanicIsTheCallers(t *testing.T) {
	if !isRoot(t) {
		return
	}
	defer func() {
		if got := recover(); got != "so" {
			t.Errorf("recovered %v", got)
		}
	}()
	_ = web.Do(func() error { panic("so") })
}

// regain tries, in a child, everything that makes a process root again, and prints what works.
const regain = `
import os, ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, call):
    try:
        call()
    except OSError as e:
        return
    print("WORKED:", name)
attempt("setuid", lambda: os.setuid(0))
attempt("seteuid", lambda: os.seteuid(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("shadow", lambda: open("/etc/shadow"))
attempt("signal", lambda: os.kill(os.getppid(), 0))
print(os.getresuid(), os.getresgid(), os.getgroups(), oct(os.umask(0)))
for line in open("/proc/self/status"):
    if line.startswith(("NoNewPrivs", "CapEff", "CapPrm", "CapAmb")): print(line.strip().replace("\t", " "))
`

func TestAChildCannotBecomeRootAgain(t *testing.T) {
	if !isRoot(t) {
		return
	}
	var output bytes.Buffer
	cmd := exec.Command("/usr/bin/python3", "-I", "-c", regain)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", []string{}, &output, &output
	if err := web.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, &output)
	}
	want := "(64101, 64101, 64101) (64101, 64101, 64101) [] 0o27\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapAmb: 0000000000000000\nNoNewPrivs: 1\n"
	if got := output.String(); got != want {
		t.Errorf("the child says\n%s\nwant\n%s", got, want)
	}
}

func TestASetUserIDProgramGivesAChildNothing(t *testing.T) {
	if !isRoot(t) {
		return
	}
	dir := directory(t, web)
	program, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "id")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755|fs.ModeSetuid|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(path, "-u")
	cmd.Dir, cmd.Stdout = "/", &output
	if err := web.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || output.String() != "64101\n" {
		t.Errorf("it is %q, %v", output.String(), err)
	}
	umask := syscall.Umask(0o022)
	syscall.Umask(umask)
	if umask == Umask {
		t.Error("the umask of the child became ours")
	}
}

func BenchmarkDo(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Fatal("it needs root")
	}
	for b.Loop() {
		if err := web.Do(func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
