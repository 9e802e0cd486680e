package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/usage"
)

// probe says who it is, tries everything that it must not be able to do, and writes what it found.
const probe = `import ctypes, glob, os, socket, subprocess, sys
what, out = sys.argv[1], sys.argv[2]
name = os.path.basename(os.getcwd())
other = {"slappart0": "slappart1", "slappart1": "slappart0"}[name]
libc = ctypes.CDLL(None, use_errno=True)
found = []
def attempt(title, call):
    try:
        call()
    except (OSError, PermissionError, subprocess.CalledProcessError):
        return
    found.append("CAN " + title)
def trace(pid):
    if libc.ptrace(16, pid, None, None) != 0: # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
def connect(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
    finally:
        s.close()
def become(program):
    if subprocess.run([program, "-u"], check=True, capture_output=True).stdout.strip() != b"0":
        raise OSError("still " + name)
attempt("setuid", lambda: os.setuid(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("become root by a set-user-id program", lambda: become(out + "/../suid-id"))
attempt("read shadow", lambda: open("/etc/shadow"))
attempt("list the other", lambda: os.listdir("../" + other))
attempt("read the other", lambda: open("../" + other + "/var/secret"))
attempt("write in the other", lambda: open("../" + other + "/new", "w"))
attempt("write in the instance root", lambda: open("../new", "w"))
attempt("write in the release", lambda: open("software_release/new", "w"))
attempt("read the agent's state", lambda: os.listdir("../../state"))
attempt("read the supervisor's state", lambda: os.listdir("../../supervisor"))
attempt("reach the agent", lambda: connect("../../s"))
for path in ["../../supervisor/supervisor.sock"] + glob.glob("../../supervisor/*"):
    attempt("reach the supervisor by " + path, lambda: connect(path))
victims = {"parent": os.getppid(), "agent": int(open(out + "/agent.pid").read())}
if os.path.exists("%s/%s.pid" % (out, other)):
    victims["other"] = int(open("%s/%s.pid" % (out, other)).read())
for title, pid in victims.items():
    if os.stat("/proc/%d" % pid).st_uid == os.getuid():
        continue # a parent of its own, as a shell of the same partition is
    attempt("signal the " + title, lambda: os.kill(pid, 0))
    attempt("trace the " + title, lambda: trace(pid))
    attempt("read the environment of the " + title, lambda: open("/proc/%d/environ" % pid).read())
    attempt("read the memory of the " + title, lambda: open("/proc/%d/mem" % pid, "rb"))
    attempt("see the files of the " + title, lambda: os.listdir("/proc/%d/fd" % pid))
    attempt("go into the root of the " + title, lambda: os.listdir("/proc/%d/root/" % pid))
status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
found += ["uid %d %d %d" % os.getresuid(), "gid %d %d %d" % os.getresgid(), "groups %s" % os.getgroups(), "umask %o" % os.umask(0o27),
          "caps %d" % int(status["CapPrm"], 16), "nnp " + status["NoNewPrivs"]]
if what == "service":
    with open("%s/%s.pid" % (out, name), "w") as f: f.write(str(os.getpid()))
    os.chmod("%s/%s.pid" % (out, name), 0o644)
path = "%s/%s-%s" % (out, name, what)
with open(path + ".new", "w") as f: f.write(", ".join(found))
os.rename(path + ".new", path)
if what == "service":
    import time
    while True: time.sleep(600)
`

// kinds are all that a profile can make run, each with the part that makes the probe run so; PROBE is its command line.
var kinds = []struct{ name, part string }{
	{"command", "recipe = plone.recipe.command\ncommand = echo mine > var/secret && PROBE\nstop-on-error = true"},
	{"service", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/service/service\ncommand-line = PROBE"},
	{"run", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/run/once\ncommand-line = PROBE"},
	{"promise", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/promise/promise\ncommand-line = PROBE"},
	{"builtin", "recipe = slapos.recipe.template:jinja2\noutput = ${buildout:directory}/etc/plugin/builtin.json\ninline =\n  " +
		`{"sensor": "check_command_execute", "config": {"command": "PROBE"}}`},
	{"python", `recipe = slapos.recipe.template:jinja2
output = ${buildout:directory}/etc/plugin/python.py
inline =
  import os, runpy, sys
  from zope.interface import implementer
  from slapos.grid.promise import interface
  from slapos.grid.promise.generic import GenericPromise
  @implementer(interface.IPromise)
  class RunPromise(GenericPromise):
    def sense(self):
      os.chdir(self.getPartitionFolder())
      sys.argv = "PROBE".split()[2:]
      runpy.run_path(sys.argv[0])
      self.logger.info("probed")`},
	{"report", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/report/report\ncommand-line = PROBE"},
	{"prerm", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/prerm/prerm\ncommand-line = PROBE"},
	{"hook", "recipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/sbin/destroy\ncommand-line = PROBE"},
}

// probes is a profile of all kinds.
func probes(out string) string {
	var names, parts []string
	for _, kind := range kinds {
		names = append(names, kind.name)
		parts = append(parts, "["+kind.name+"]\n"+strings.ReplaceAll(kind.part, "PROBE", "/usr/bin/python3 -I ${buildout:directory}/software_release/probe.py "+kind.name+" "+out)+"\n")
	}
	return "[buildout]\nparts = " + strings.Join(names, " ") + "\n\n" + strings.Join(parts, "\n")
}

// openNode is a node whose folders the users of partitions can reach.
func openNode(t testing.TB) *node {
	t.Helper()
	n := newNode(t)
	dir, err := os.MkdirTemp("", "vow-node") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, made := range []error{
		os.Chmod(dir, 0o755), os.MkdirAll(filepath.Join(dir, "release"), 0o755), os.Mkdir(filepath.Join(dir, "out"), 0o777), os.Chmod(filepath.Join(dir, "out"), 0o777|os.ModeSticky),
	} {
		if made != nil {
			t.Fatal(made)
		}
	}
	n.dir, n.release = dir, "file://"+filepath.Join(dir, "release")
	n.software = append(n.software[:0], masterSoftware(n.release))
	return n
}

// layout writes what `vow node format` would have, with users that need no entry in /etc/passwd.
func (n *node) layout(owner, count int) {
	n.t.Helper()
	root := filepath.Join(n.dir, "instance")
	if err := os.MkdirAll(root, 0o755); err != nil {
		n.t.Fatal(err)
	}
	type partition struct {
		Name      string   `json:"name"`
		User      string   `json:"user"`
		UID       int      `json:"uid"`
		GID       int      `json:"gid"`
		Addresses []string `json:"addresses"`
	}
	var partitions []partition
	for i := range count {
		p := partition{fmt.Sprintf("slappart%d", i), fmt.Sprintf("slapuser%d", i), 64200 + i, 64300 + i, []string{fmt.Sprintf("127.16.0.%d", i+1)}}
		partitions = append(partitions, p)
	}
	layout := map[string]any{"version": 1, "owner": owner, "partitions": partitions}
	if owner == 0 {
		uid, gid := n.softwareUser()
		layout["software"] = map[string]any{"user": "nobody", "uid": uid, "gid": gid}
		software := filepath.Join(n.dir, "software")
		if err := os.MkdirAll(software, 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.Chown(software, uid, gid); err != nil && os.Getuid() == 0 {
			n.t.Fatal(err)
		}
	}
	content, err := json.Marshal(layout)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, ".vow-format.json"), content, 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// softwareUser is one that every machine has: it has to be there when something is installed.
func (n *node) softwareUser() (uid, gid int) {
	n.t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		n.t.Fatal(err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if uidErr != nil || gidErr != nil {
		n.t.Fatal(uidErr, gidErr)
	}
	return uid, gid
}

func TestEverythingInAPartitionRunsAsItsUserAndCanBecomeNobodyElse(t *testing.T) {
	n := openNode(t)
	n.layout(0, 2)
	out := filepath.Join(n.dir, "out")
	if os.Getuid() != 0 {
		_, err := app.New(app.Config{
			Computer: computer, InstanceRoot: filepath.Join(n.dir, "instance"), SoftwareRoot: filepath.Join(n.dir, "software"), StateDir: filepath.Join(n.dir, "state"), Periodicity: time.Hour,
		}, app.Settings{})
		if err == nil || !strings.Contains(err.Error(), "user 0 formatted them") {
			t.Errorf("an agent that is not root is told %v", err)
		}
		return
	}
	if err := os.WriteFile(filepath.Join(n.dir, "release", "probe.py"), []byte(probe), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "agent.pid"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	setUserID(t, "/usr/bin/id", filepath.Join(n.dir, "suid-id"))
	startReal(t, n, probes(out))
	registered := look(n.control, func() []*masterv1.RegisterComputerRequest { return n.registered })
	eventually(t, "the computer is registered", func() bool {
		registered = look(n.control, func() []*masterv1.RegisterComputerRequest { return n.registered })
		return len(registered) > 0
	})
	if p := registered[0].GetPartitions(); len(p) != 2 || p[1].GetAddresses()[0] != "127.16.0.2" || registered[0].GetCapacity().GetMemoryBytes() == 0 || registered[0].GetCapacity().GetDiskBytes() == 0 {
		t.Errorf("registered is %v", registered[0])
	}
	eventually(t, "the release is available", func() bool {
		return look(n.control, func() bool {
			return len(n.states) > 0 && n.states[len(n.states)-1].GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
		})
	})
	// The first again, so that its promise finds the secret and the service of the second.
	for i, name := range []string{"slappart0", "slappart1", "slappart0"} {
		allocation := "t1.a1"
		if name == "slappart1" {
			allocation = "t2.a1"
		}
		n.allocate(name, allocation, 1, n.release)
		n.order(name, allocation, i)
		eventually(t, "a run of "+name+" is reported", n.reported(i))
		if r := n.report(i); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || i == 2 && r.GetChanged() {
			t.Fatalf("report is %v", r)
		}
		for _, what := range []string{"-service", "-run"} {
			eventually(t, name+what, func() bool { _, err := os.Stat(filepath.Join(out, name+what)); return err == nil })
		}
	}
	// What the agent does every hour.
	for _, p := range []string{"slappart0", "slappart1"} {
		i := uint32(p[len(p)-1] - '0')
		d := partition.Directory{Name: p, Path: filepath.Join(n.dir, "instance", p), User: privilege.Other(p, 64200+i, 64300+i)}
		if err := usage.Scripts(t.Context(), noop.NewTracerProvider().Tracer(""), d); err != nil {
			t.Error(err)
		}
	}
	destroyed := n.allocate("slappart0", "t1.a1", 2, n.release)
	destroyed.State, destroyed.Generation = typev1.RequestedState_REQUESTED_STATE_DESTROYED, &typev1.Generation{Epoch: 1, Number: 3}
	n.want(destroyed)
	n.order("slappart0", "t1.a1", 5)
	eventually(t, "the destruction is reported", n.reported(3))
	if r := n.report(3); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		t.Errorf("report is %v", r)
	}
	for _, kind := range kinds {
		for i, name := range []string{"slappart0", "slappart1"} {
			if i == 1 && (kind.name == "prerm" || kind.name == "hook") {
				continue // it is not destroyed
			}
			t.Run(kind.name+" of "+name, func(t *testing.T) {
				what := filepath.Join(out, name+"-"+kind.name)
				eventually(t, what, func() bool { _, err := os.Stat(what); return err == nil })
				found, err := os.ReadFile(what)
				if err != nil {
					t.Fatal(err)
				}
				want := fmt.Sprintf("uid %[1]d %[1]d %[1]d, gid %[2]d %[2]d %[2]d, groups [], umask 27, caps 0, nnp 1", 64200+i, 64300+i)
				if string(found) != want {
					t.Errorf("it says %s\nwant %s", found, want)
				}
			})
		}
	}
	uid, gid := n.softwareUser()
	err := filepath.WalkDir(filepath.Join(n.dir, "software"), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat := info.Sys().(*syscall.Stat_t); int(stat.Uid) != uid || int(stat.Gid) != gid {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = filepath.WalkDir(filepath.Join(n.dir, "instance", "slappart1"), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if stat.Uid != 64201 || stat.Gid != 64301 {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		if info.Mode().Perm()&0o007 != 0 && info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("others may use %s: %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// setUserID copies a program of root's that makes whoever executes it root.
func setUserID(t *testing.T, program, to string) {
	t.Helper()
	content, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err == nil {
		err = os.Chmod(to, 0o755|os.ModeSetuid)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatChangesOfAComputerIsRegisteredAgain(t *testing.T) {
	n := newNode(t)
	n.layout(os.Getuid(), 2)
	a, err := app.New(app.Config{
		Computer: computer, InstanceRoot: filepath.Join(n.dir, "instance"), SoftwareRoot: filepath.Join(n.dir, "software"),
		StateDir: filepath.Join(n.dir, "state"), Periodicity: 24 * time.Hour, Register: true, Formatted: true,
		Master: "master:1", Scheduler: "scheduler:1", Promise: "promise:1", Executable: "/bin/vow",
	}, app.Settings{
		Telemetry: n.telemetry, Dial: n.dial, Supervisor: n.processes, Installer: n.files, Sensor: n.sensors, Unsynced: true, RegisterEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.app = a
	registered := func(i int) *masterv1.RegisterComputerRequest {
		eventually(t, "it is registered", func() bool { return count(n, func() []*masterv1.RegisterComputerRequest { return n.registered }) > i })
		return look(n.control, func() *masterv1.RegisterComputerRequest { return n.registered[i] })
	}
	if r := registered(0); len(r.GetPartitions()) != 2 {
		t.Errorf("first is %v", r)
	}
	n.layout(os.Getuid(), 3)
	if r := registered(1); len(r.GetPartitions()) != 3 || r.GetPartitions()[2].GetAddresses()[0] != "127.16.0.3" {
		t.Errorf("then is %v", r)
	}
	n.stop()
	if all := count(n, func() []*masterv1.RegisterComputerRequest { return n.registered }); all != 2 {
		t.Errorf("it was registered %d times", all)
	}
}

func TestAnAgentThatWantsAFormattedComputerRefusesAnother(t *testing.T) {
	dir := t.TempDir()
	_, err := app.New(app.Config{
		Computer: computer, InstanceRoot: filepath.Join(dir, "instance"), SoftwareRoot: filepath.Join(dir, "software"), StateDir: filepath.Join(dir, "state"),
		Periodicity: time.Hour, Formatted: true,
	}, app.Settings{})
	if err == nil || !strings.Contains(err.Error(), "is not formatted") || !strings.Contains(err.Error(), "vow node format") {
		t.Errorf("it says %v", err)
	}
}

// What a partition's user puts in the place of what root reads and writes gives it nothing of root's.
func TestLinksThatAPartitionsUserMadeGiveItNothing(t *testing.T) {
	if os.Getuid() != 0 {
		return // the user is oneself: there is nothing to gain; the refusal is tested above
	}
	n := openNode(t)
	n.layout(0, 2)
	secret := filepath.Join(n.dir, "secret")
	if err := os.WriteFile(secret, []byte("[buildout]\nparts = top secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(n.dir, "precious")
	if err := os.Mkdir(precious, 0o700); err != nil {
		t.Fatal(err)
	}
	startReal(t, n, "[buildout]\nparts = web\n[web]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = ${buildout:directory}/etc/service/web\ncommand-line = sleep 600\n")
	eventually(t, "the release is available", func() bool { return look(n.control, func() bool { return len(n.states) > 1 }) })
	n.allocate("slappart0", "t1.a1", 1, n.release)
	n.order("slappart0", "t1.a1", 0)
	eventually(t, "the run is reported", n.reported(0))
	part := filepath.Join(n.dir, "instance", "slappart0")
	replace := func(path, target string) {
		t.Helper()
		full := filepath.Join(part, path)
		if err := os.RemoveAll(full); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, full); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(full, 64200, 64300); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct{ path, target string }{
		{".vow/installed.json", secret}, {"etc/promise", precious}, {"etc/service", precious}, {".slapgrid/log", precious}, {"etc", precious}, {".vow", precious},
	} {
		replace(c.path, c.target)
		n.order("slappart0", "t1.a1", i+1)
		eventually(t, "the run is reported", n.reported(i+1))
		r := n.report(i + 1)
		if strings.Contains(r.String(), "top secret") {
			t.Errorf("with %s → %s the report tells it: %v", c.path, c.target, r)
		}
		if err := os.RemoveAll(filepath.Join(part, c.path)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(precious); err != nil || len(left) != 0 {
		t.Errorf("what is root's has %v, %v", left, err)
	}
	if content, err := os.ReadFile(secret); err != nil || !strings.Contains(string(content), "top secret") {
		t.Errorf("the secret is %q, %v", content, err)
	}
}
