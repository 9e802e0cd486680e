package real

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// patience bounds every wait: minutes, because the machine may be busy and its disk cold; a test that needs it has found a fault.
const patience = 3 * time.Minute

// buildAll builds the commands of the suite into a directory, once in a test run: it takes a minute when nothing is cached.
var buildAll = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vow-real-")
	if err != nil {
		return "", err
	}
	for _, of := range []string{"svc-master/cmd/svc-master", "svc-scheduler/cmd/svc-scheduler", "svc-promise/cmd/svc-promise", "svc-node/cmd/svc-node", "svc-node/cmd/vow-supervisor", "vow", "console/cmd/console"} {
		module, rest, _ := strings.Cut(of, "/")
		command := exec.Command("go", "build", "-o", filepath.Join(dir, filepath.Base(of)), "./"+rest)
		command.Dir = filepath.Join("..", "..", module)
		if out, err := command.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", of, err, out)
		}
	}
	return dir, nil
})

// TestMain removes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := buildAll(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// executable is the path of one command of the suite.
func executable(t *testing.T, name string) string {
	t.Helper()
	dir, err := buildAll()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// process is one service of the suite, which can be killed and started again.
type process struct {
	t       *testing.T
	name    string
	args    []string
	env     []string
	ready   string // URL that answers 200 when it can serve; empty = not asked
	log     string
	command *exec.Cmd
	exited  chan struct{}
}

// start starts it and waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.command = exec.Command(executable(p.t, p.name), p.args...)
	p.command.Stdout, p.command.Stderr, p.command.Env = log, log, append(os.Environ(), p.env...)
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	exited, command := make(chan struct{}), p.command
	p.exited = exited
	go func() {
		_ = command.Wait() // killed on purpose
		close(exited)
	}()
	if p.ready != "" {
		asking := &http.Client{Timeout: time.Second}
		p.await(p.name+" is ready", func() bool {
			response, err := asking.Get(p.ready)
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
}

// kill9 kills it and waits until it is gone.
func (p *process) kill9() {
	_ = p.command.Process.Kill() // it may be gone already
	<-p.exited
}

// await asks until the answer is yes.
func (p *process) await(what string, ask func() bool) {
	p.t.Helper()
	await(p.t, what, ask)
}

// await asks until the answer is yes.
func await(t *testing.T, what string, ask func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

// suite is the four services as processes of their own, Redis, and the supervisor with its agent.
type suite struct {
	t                          *testing.T
	dir                        string
	redis                      *storetest.Server
	master, scheduler, promise *process
	supervisor                 *process
	node                       *process // the agent, when it has no supervisor that starts it again
	address                    map[string]string
	toward                     map[string]string // where the agent finds the services
	links                      map[string]*relay
	client                     *rpc.Client
	computers                  masterv1connect.ComputerServiceClient
	software                   masterv1connect.SoftwareServiceClient
	instances                  masterv1connect.InstanceServiceClient
	trees                      masterv1connect.TreeServiceClient
	bangs                      masterv1connect.BangServiceClient
	stopped                    bool
	partitions                 int
}

// begin starts everything. The node is `vow agent`'s twin: cmd/svc-node beneath cmd/vow-supervisor.
func begin(t *testing.T) *suite {
	t.Helper()
	return beginWith(t, wiring{})
}

// wiring is what a test wants otherwise.
type wiring struct {
	// apart is an agent that the supervisor does not keep up: the test's to kill and to start at once.
	apart bool
	// links puts a relay between the agent and each service.
	links bool
	// agent is more of the agent's command line.
	agent []string
	// partitions of the computer; 5 if it does not say.
	partitions int
	// env is what every process gets besides the test's own.
	env []string
}

// beginWith starts everything.
func beginWith(t *testing.T, w wiring) *suite {
	t.Helper()
	s := &suite{t: t, dir: shortDir(t), redis: storetest.StartRedis(t), address: map[string]string{}, partitions: w.partitions}
	names := []string{"svc-master", "svc-master-admin", "svc-scheduler", "svc-scheduler-admin", "svc-promise", "svc-promise-admin", "svc-node-admin"}
	for i, address := range freeAddresses(t, len(names)) {
		s.address[names[i]] = address
	}
	s.toward = s.address
	if w.links {
		s.links, s.toward = map[string]*relay{}, map[string]string{}
		for _, name := range []string{"svc-master", "svc-scheduler", "svc-promise"} {
			s.links[name] = relayTo(t, s.address[name])
			s.toward[name] = s.links[name].address()
		}
	}
	s.master = s.service("svc-master", "--redis-url", s.redis.URL())
	s.scheduler = s.service("svc-scheduler", "--redis-url", s.redis.URL(), "--master", s.address["svc-master"])
	s.promise = s.service("svc-promise", "--redis-url", s.redis.URL(), "--master", s.address["svc-master"])
	supervised := filepath.Join(s.dir, "supervisor")
	s.supervisor = &process{t: t, name: "vow-supervisor", log: filepath.Join(s.dir, "vow-supervisor.log"), args: []string{"--dir", supervised}}
	agent := append(s.agent(supervised), w.agent...)
	if !w.apart {
		s.supervisor.args = append(append(s.supervisor.args, "--agent", "--"), agent...)
	} else {
		s.node = &process{t: t, name: "svc-node", log: filepath.Join(s.dir, "svc-node.log"), args: agent[1:]}
	}
	for _, p := range []*process{s.master, s.scheduler, s.promise, s.supervisor, s.node} {
		if p != nil {
			p.env = w.env
			p.start()
		}
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			s.printLogs()
		}
	})
	var err error
	if s.client, err = rpc.NewClient(rpc.Target{Address: s.address["svc-master"]}, rpc.ClientSettings{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.computers = masterv1connect.NewComputerServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	s.software = masterv1connect.NewSoftwareServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	s.instances = masterv1connect.NewInstanceServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	s.trees = masterv1connect.NewTreeServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	s.bangs = masterv1connect.NewBangServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)
	return s
}

// stop ends everything in order, once: what the services still had to send is sent.
func (s *suite) stop() {
	s.t.Helper()
	if s.stopped {
		return
	}
	s.stopped = true
	if s.node != nil {
		_ = s.node.command.Process.Signal(syscall.SIGTERM)
		<-s.node.exited
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := supervisor.Shutdown(ctx, filepath.Join(s.dir, "supervisor")); err != nil {
		s.t.Errorf("stop the supervisor: %v", err)
	}
	<-s.supervisor.exited
	for _, p := range []*process{s.promise, s.scheduler, s.master} {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		<-p.exited
	}
}

// service declares one service of the control plane.
func (s *suite) service(name string, args ...string) *process {
	args = append([]string{"--address", s.address[name], "--admin-address", s.address[name+"-admin"]}, args...)
	return &process{t: s.t, name: name, args: args, ready: "http://" + s.address[name+"-admin"] + "/readyz", log: filepath.Join(s.dir, name+".log")}
}

// agent is the command line of svc-node beneath the supervisor.
func (s *suite) agent(supervised string) []string {
	return []string{
		executable(s.t, "svc-node"), "--computer", "laptop", "--partitions", strconv.Itoa(cmp.Or(s.partitions, 5)), "--instance-root", filepath.Join(s.dir, "instance"), "--software-root", filepath.Join(s.dir, "software"),
		"--state-dir", filepath.Join(s.dir, "node"), "--supervisor-dir", supervised, "--socket", filepath.Join(s.dir, "node.sock"), "--admin-address", s.address["svc-node-admin"],
		"--master", s.toward["svc-master"], "--scheduler", s.toward["svc-scheduler"], "--promise", s.toward["svc-promise"], "--executable", executable(s.t, "vow"),
	}
}

// printLogs shows the end of every log of a failed test.
func (s *suite) printLogs() {
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		s.t.Logf("%s:\n%s", filepath.Base(path), data[max(0, len(data)-4000):])
	}
}

// shortDir is a temporary directory whose path leaves room for unix sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vow-") //nolint:usetesting // t.TempDir holds the name of the test, which leaves no room for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freeAddresses asks the kernel for ports, all at the same time: one that is given back may be given again, though to nobody else.
func freeAddresses(t *testing.T, number int) []string {
	t.Helper()
	var all []string
	for range number {
		listener, err := net.Listen("tcp", net.JoinHostPort(storetest.Loopback(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		all = append(all, listener.Addr().String())
	}
	return all
}
