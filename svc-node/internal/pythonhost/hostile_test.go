package pythonhost

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

func soon(r *sensor.Request) { r.Promise.Timeout = 400 * time.Millisecond }

// good is a promise that passes; it tells that nothing else was disturbed.
const good = `
  def sense(self):
    self.logger.info("all well")
`

// wellAfter checks that the pool senses a good promise.
func (s *stage) wellAfter(what string) {
	s.t.Helper()
	s.write("good.py", head+good)
	if got := text(s.pool.Sense(s.t.Context(), s.request("good.py"))); got != "INFO all well" {
		s.t.Errorf("after %s a good promise says %s", what, got)
	}
}

func TestWhateverAPluginDoesItsGroupFailsWithAClearMessage(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"hangs":                     {"  def sense(self):\n    time.sleep(600)\n", "ERROR Error: Promise timed out after 0.4 seconds"},
		"ignores signals":           {"  def sense(self):\n    [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\n    while True: pass\n", "timed out after 0.4 seconds"},
		"hangs when it is imported": {"  time.sleep(600)\n", "timed out after 0.4 seconds"},
		"exits":                     {"  def sense(self):\n    print('bye')\n    sys.stdout.flush()\n    os._exit(3)\n", "exited with code 3: bye"},
		"exits without failure":     {"  def sense(self):\n    os._exit(0)\n", "No output returned by the promise: its process exited with code 0"},
		"is killed":                 {"  def sense(self):\n    os.kill(os.getpid(), 9)\n", "killed by signal killed"},
		"crashes":                   {"  def sense(self):\n    import ctypes; ctypes.string_at(0)\n", "killed by signal segmentation fault"},
		"raises":                    {"  def sense(self):\n    raise ValueError('broken pump')\n", "ERROR broken pump (ValueError, p.py line "},
		"raises in the library":     {"  def sense(self):\n    self.look()\n  def look(self):\n    {}['x']; os.path.join(None)\n", "ERROR 'x' (KeyError, p.py line "},
		"asserts":                   {"  def sense(self):\n    assert not 1\n", "ERROR AssertionError (p.py line "},
		"raises SystemExit":         {"  def sense(self):\n    sys.exit('enough')\n", "SystemExit: enough"},
		"cannot be imported":        {"  def sense(self): pass\nimport no_such_module\n", "cannot execute etc/plugin/p.py: ModuleNotFoundError: No module named 'no_such_module'"},
		"is no Python":              {"  def sense(self) pass\n", "cannot execute etc/plugin/p.py: SyntaxError"},
		"exits when it is imported": {"  def sense(self): pass\nsys.exit(0)\n", "cannot execute etc/plugin/p.py: SystemExit: 0"},
		"has no sense":              {"  def test(self): pass\n", "abstract class RunPromise"},
		"has no class":              {"  def sense(self): pass\ndel RunPromise\n", "there is no class RunPromise"},
		"is no GenericPromise":      {"  def sense(self): pass\nclass RunPromise(object):\n  def __init__(self, config): pass\n", "RunPromise class is not a subclass of GenericPromise class."},
		"is no IPromise": {
			"  def sense(self): pass\nclass RunPromise(GenericPromise):\n  def sense(self): pass\n",
			"RunPromise class in p.py must implement 'IPromise' interface. @implementer(interface.IPromise) is missing ?",
		},
		"takes a reserved key": {"  def sense(self): pass\nextra_config_dict = {'name': 1}\n", "Extra parameter name 'name' cannot be used."},
		"never senses":         {"  def __init__(self, config):\n    super().__init__(config)\n    self.setPeriodicity(0)\n  def sense(self): pass\n", "ValueError"},
		"disables both": {
			"  def __init__(self, config):\n    super().__init__(config)\n    self.setTestLess()\n    self.setAnomalyLess()\n  def sense(self): pass\n",
			"It's not allowed to disable both Test and Anomaly in promise!",
		},
		"closes what it was given": {"  def sense(self):\n    os.closerange(0, 1000)\n", "exited with code 1"},
		"forges a result":          {"  def sense(self):\n    os.write(3, b'x' * 100)\n", "exited with code 0"},
		"forges a huge result":     {"  def sense(self):\n    while True: os.write(3, b'x' * 10000)\n", "gave a result that cannot be read"},
		"prints without end":       {"  def sense(self):\n    while True: os.write(1, b'y' * 65536)\n", "printed without end and was killed"},
		"prints no text":           {"  def sense(self):\n    os.write(2, b'a\\xff\\xfe\\x00b')\n    os._exit(1)\n", "exited with code 1: a\uFFFD"},
		"logs no text":             {"  def sense(self):\n    self.logger.error('a\\udcff' + chr(0) + 'b')\n", "ERROR a?\x00b"},
		"logs what cannot be said": {"  def sense(self):\n    self.logger.error('%d things', 'no')\n", "ERROR %d things (cannot be formatted"},
		"limits itself":            {"  def sense(self):\n    import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20)); x = b'y' * (1 << 28)\n", "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t).asUser(65534)
			change := func(*sensor.Request) {}
			if strings.Contains(c.want, "timed out") {
				change = soon
			}
			g := s.sense(c.body, change)
			if got := text(g); !strings.Contains(got, c.want) || !failed(g) || !utf8.ValidString(got) {
				t.Errorf("group is %q, want %q", got, c.want)
			}
			s.wellAfter("one that " + name)
		})
	}
}

func TestEndlessLoggingIsBoundedEverywhere(t *testing.T) {
	s := newStage(t)
	g := s.sense("  def sense(self):\n    self.logger.error('first')\n    for i in range(200000): self.logger.info('line %d ' % i + 'x' * 300)\n")
	if len(g.GetEntries()) != maxEntries || g.GetEntries()[0].GetMessage() != "first" || !failed(g) {
		t.Errorf("%d entries, first %v", len(g.GetEntries()), g.GetEntries()[0])
	}
	if last := g.GetEntries()[maxEntries-1].GetMessage(); !strings.HasPrefix(last, "line 199999") {
		t.Errorf("last entry is %.20s", last)
	}
	if info, err := os.Stat(filepath.Join(s.directory, ".slapgrid/promise/log/p.log")); err != nil || info.Size() > 2<<20 {
		t.Errorf("log is %v, %v", info, err)
	}
}

// gone checks that the process whose id is in a file does not run any more.
func gone(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d still runs", pid)
}

func TestWhatAPluginStartedEndsWithIt(t *testing.T) {
	for name, body := range map[string]string{
		"in its group":   "    subprocess.Popen('echo $$ > left; exec sleep 600', shell=True)\n    while not (os.path.exists('left') and open('left').read()): pass\n",
		"in another one": "    subprocess.Popen('echo $$ > left; exec sleep 600', shell=True, start_new_session=True)\n    while not (os.path.exists('left') and open('left').read()): pass\n",
		"as a daemon": `    if os.fork() == 0:
      os.setsid()
      if os.fork() == 0:
        open('left', 'w').write(str(os.getpid()))
        time.sleep(600)
      os._exit(0)
    while not (os.path.exists('left') and open('left').read()): pass
`,
		"as a copy of itself": `    if os.fork() == 0:
      open('left', 'w').write(str(os.getpid()))
      return
    os.wait()
`,
	} {
		for _, end := range []string{"    self.logger.info('done')\n", "    time.sleep(600)\n"} {
			t.Run(name+" "+strings.Fields(end)[0], func(t *testing.T) {
				t.Parallel()
				s := newStage(t).asUser(65534)
				g := s.sense("  def sense(self):\n"+body+end, func(r *sensor.Request) { r.Promise.Timeout = 2 * time.Second })
				want := "INFO done"
				if strings.Contains(end, "sleep") {
					want = "ERROR Error: Promise timed out after 2 seconds"
				}
				if got := text(g); got != want {
					t.Errorf("group is %s", got)
				}
				gone(t, filepath.Join(s.directory, "left"))
			})
		}
	}
}

func TestAPluginOfAnotherUserCannotKillItsHost(t *testing.T) {
	s := newStage(t).asUser(65534)
	g := s.sense("  def sense(self):\n    os.kill(os.getppid(), 9)\n    self.logger.info('killed')\n")
	want := "ERROR [Errno 1] Operation not permitted" // what root's host is to others
	if os.Getuid() != 0 {
		want = "the Python host ended"
	}
	if got := text(g); !strings.Contains(got, want) || !failed(g) {
		t.Errorf("group is %s", got)
	}
	s.wellAfter("an attempt on its host")
}

func TestAPluginThatKillsItsHostIsBlamedAndNobodyElse(t *testing.T) {
	s := newStage(t) // the agent's own user
	s.write("killer.py", head+"  def sense(self):\n    while not os.path.exists('go'): time.sleep(0.01)\n    os.kill(os.getppid(), 9)\n    time.sleep(600)\n")
	s.write("slow.py", head+"  def sense(self):\n    open('here%d' % os.getpid(), 'w').close()\n    while not os.path.exists('go'): time.sleep(0.01)\n    time.sleep(0.2)\n    self.logger.info('survived')\n")
	var sensing sync.WaitGroup
	groups := make([]*typev1.SenseGroup, 4)
	for i := range groups {
		name := "slow.py"
		if i == 0 {
			name = "killer.py"
		}
		sensing.Go(func() { groups[i] = s.pool.Sense(t.Context(), s.request(name)) })
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if found, err := filepath.Glob(filepath.Join(s.directory, "here*")); err == nil && len(found) == len(groups)-1 {
			break
		}
	}
	if err := os.WriteFile(filepath.Join(s.directory, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sensing.Wait()
	if got := text(groups[0]); !strings.Contains(got, "the promise ended it") {
		t.Errorf("the killer's group is %s", got)
	}
	for _, g := range groups[1:] {
		if got := text(g); got != "INFO survived" {
			t.Errorf("a neighbour's group is %s", got)
		}
	}
	s.wellAfter("the death of its host")
}

func TestAHostThatIsKilledFromOutsideCostsNobodyAnything(t *testing.T) {
	s := newStage(t)
	s.wellAfter("nothing")
	for range 3 {
		for _, h := range s.hosts() {
			if err := syscall.Kill(h.cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		s.wellAfter("a kill")
	}
}

func TestAPluginIsNotRootAndCannotBecomeIt(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody is root here; CI is
	}
	s := newStage(t).asUser(65534)
	g := s.sense(`
  def sense(self):
    status = dict(l.split(":", 1) for l in open("/proc/self/status") if ":" in l)
    self.logger.info(" ".join(status[k].strip().replace("\t", ",") for k in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapEff")))
    for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0),
                    lambda: open("/etc/shadow").read(), lambda: os.chroot("/"), lambda: os.listdir("/proc/%d/fd" % os.getppid())):
      try:
        attempt()
        self.logger.error("that worked")
      except PermissionError:
        pass
    os.setuid(0)
`)
	want := "INFO 65534,65534,65534,65534 65534,65534,65534,65534  1 0000000000000000\nERROR [Errno 1] Operation not permitted (PermissionError, p.py line "
	if got := text(g); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("group is\n%s", got)
	}
}

func TestTheModuleIsImportedByThePartitionsUser(t *testing.T) {
	s := newStage(t).asUser(65534)
	s.write("p.py", head+"  def sense(self):\n    self.logger.info(who)\nwho = 'user %d' % os.getuid()\n")
	want := "INFO user " + strconv.Itoa(os.Getuid())
	if s.user.Switch {
		want = "INFO user 65534"
	}
	if got := text(s.pool.Sense(t.Context(), s.request("p.py"))); got != want {
		t.Errorf("group is %s", got)
	}
}

func TestAFileThatCannotBeAPluginSaysWhy(t *testing.T) {
	s := newStage(t)
	path := filepath.Join(s.directory, "etc", "plugin", "fifo.py")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"fifo.py": "it is not a file", "absent.py": "no such file"} {
		if got := text(s.pool.Sense(t.Context(), s.request(name))); !strings.Contains(got, want) {
			t.Errorf("%s gives %s", name, got)
		}
	}
}

func TestAnInterpreterThatOthersCanChangeIsNotStartedByRoot(t *testing.T) {
	s := newStage(t).asUser(65534)
	evil := filepath.Join(s.directory, "python3")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\nid -u >> "+s.directory+"/executed\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s.user.Switch {
		if err := os.Chown(evil, int(s.user.UID), int(s.user.GID)); err != nil {
			t.Fatal(err)
		}
	}
	s.write("p.py", "#!"+evil+"\n"+head+good)
	got := text(s.pool.Sense(t.Context(), s.request("p.py")))
	if executed := strings.Fields(s.read("executed")); s.user.Switch && slices.ContainsFunc(executed, func(uid string) bool { return uid != "65534" }) {
		t.Errorf("it was executed by %s", executed)
	}
	if !strings.Contains(got, "cannot start the Python host "+evil) {
		t.Errorf("group is %s", got)
	}
}

func TestManyPromisesAtOnceAreEachTheirOwn(t *testing.T) {
	s := newStage(t).asUser(65534)
	var sensing sync.WaitGroup
	for i := range 150 {
		name := fmt.Sprintf("p%d.py", i)
		body := fmt.Sprintf("  def sense(self):\n    self.logger.info('I am %d')\n", i)
		if i%10 == 0 {
			body = "  def sense(self):\n    os._exit(1)\n"
		}
		s.write(name, head+body)
		sensing.Go(func() {
			want := fmt.Sprintf("INFO I am %d", i)
			if i%10 == 0 {
				want = "ERROR Error: No output returned by the promise: its process exited with code 1"
			}
			if got := text(s.pool.Sense(t.Context(), s.request(name))); got != want {
				t.Errorf("%s says %s", name, got)
			}
		})
	}
	sensing.Wait()
	if len(s.hosts()) != 1 {
		t.Errorf("%d hosts", len(s.hosts()))
	}
}

func TestAStoppedAgentBlamesNobody(t *testing.T) {
	s := newStage(t)
	s.wellAfter("nothing")
	s.write("p.py", head+"  def sense(self):\n    open('here', 'w').write(str(os.getpid()))\n    time.sleep(600)\n")
	ctx, cancel := contextUntil(t, filepath.Join(s.directory, "here"))
	defer cancel()
	if got := text(s.pool.Sense(ctx, s.request("p.py"))); got != "cannot: cannot sense etc/plugin/p.py: stopped" {
		t.Errorf("group is %s", got)
	}
	gone(t, filepath.Join(s.directory, "here"))
}
