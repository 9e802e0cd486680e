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

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
)

// probe says who it is, tries everything that it must not be able to do, and writes what it found.
const probe = `import ctypes, os, sys
what, out = sys.argv[1], sys.argv[2]
name = os.path.basename(os.getcwd())
other = {"slappart0": "slappart1", "slappart1": "slappart0"}[name]
found = []
def attempt(title, call):
    try:
        call()
    except (OSError, PermissionError):
        return
    found.append("CAN " + title)
attempt("setuid", lambda: os.setuid(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("read shadow", lambda: open("/etc/shadow"))
attempt("list the other", lambda: os.listdir("../" + other))
attempt("read the other", lambda: open("../" + other + "/var/secret"))
attempt("write in the other", lambda: open("../" + other + "/new", "w"))
attempt("write in the instance root", lambda: open("../new", "w"))
attempt("write in the release", lambda: open("software_release/new", "w"))
attempt("read the agent's state", lambda: os.listdir("../../state"))
attempt("read the supervisor's state", lambda: os.listdir("../../supervisor"))
pid = "%s/%s.pid" % (out, other)
if os.path.exists(pid):
    attempt("signal the other", lambda: os.kill(int(open(pid).read()), 0))
status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
found += ["uid %d %d %d" % os.getresuid(), "gid %d %d %d" % os.getresgid(), "groups %s" % os.getgroups(), "umask %o" % os.umask(0o27),
          "caps %d" % int(status["CapPrm"], 16), "nnp " + status["NoNewPrivs"]]
if what == "service":
    with open("%s/%s.pid" % (out, name), "w") as f: f.write(str(os.getpid()))
path = "%s/%s-%s" % (out, name, what)
with open(path + ".new", "w") as f: f.write(", ".join(found))
os.rename(path + ".new", path)
if what == "service":
    import time
    while True: time.sleep(600)
`

// probes runs it as everything that a profile can make run.
const probes = `[buildout]
parts = secret service once promise hook

[python]
run = /usr/bin/python3 -I ${vow:release}/probe.py

[secret]
recipe = plone.recipe.command
command = echo mine > var/secret && ${:run} command OUT
run = ${python:run}
stop-on-error = true

[service]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/service/service
command-line = ${python:run} service OUT

[once]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/run/once
command-line = ${python:run} run OUT

[promise]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/promise/promise
command-line = ${python:run} promise OUT

[hook]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/sbin/destroy
command-line = ${python:run} hook OUT
`

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
	startReal(t, n, strings.ReplaceAll(strings.ReplaceAll(probes, "OUT", out), "${vow:release}", "${buildout:directory}/software_release"))
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
	destroyed := n.allocate("slappart0", "t1.a1", 2, n.release)
	destroyed.State, destroyed.Generation = typev1.RequestedState_REQUESTED_STATE_DESTROYED, &typev1.Generation{Epoch: 1, Number: 3}
	n.want(destroyed)
	n.order("slappart0", "t1.a1", 5)
	eventually(t, "the destruction is reported", n.reported(3))
	if r := n.report(3); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		t.Errorf("report is %v", r)
	}
	for _, what := range []string{"slappart0-command", "slappart0-service", "slappart0-run", "slappart0-promise", "slappart0-hook", "slappart1-command", "slappart1-service", "slappart1-run", "slappart1-promise"} {
		eventually(t, what, func() bool { _, err := os.Stat(filepath.Join(out, what)); return err == nil })
		found, err := os.ReadFile(filepath.Join(out, what))
		if err != nil {
			t.Fatal(err)
		}
		i := int(what[len("slappart")] - '0')
		want := fmt.Sprintf("uid %[1]d %[1]d %[1]d, gid %[2]d %[2]d %[2]d, groups [], umask 27, caps 0, nnp 1", 64200+i, 64300+i)
		if string(found) != want {
			t.Errorf("%s: %s\nwant %s", what, found, want)
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
