package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// Names of the services.
const (
	Master    = "svc-master"
	Scheduler = "svc-scheduler"
	Promise   = "svc-promise"
)

// Plane is the services of a control plane, each a process.
type Plane struct {
	Redis *Redis
	// Services in the order in which they start.
	Services []*Service
	dir      string
}

// Service is one process, which can be killed and started again with the same address.
type Service struct {
	Name, Address string
	admin, log    string
	path          string
	args, env     []string
	command       *exec.Cmd
	ended         chan struct{}
}

// Options of a plane.
type Options struct {
	// ReconnectWindow is what svc-master advises; 0 = its default.
	ReconnectWindow time.Duration
	// Fsync is the mode of Redis; empty = always.
	Fsync string
	// Schedulers is how many replicas of svc-scheduler there are; 0 = 1.
	Schedulers int
	// Binaries is a directory that Build filled; empty = they are built for this plane.
	Binaries string
	// Env is added to the environment of the services, NAME=value.
	Env []string
}

// Build builds the services into a directory, for several planes.
func Build(ctx context.Context, dir string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator)) //nolint:gosec // our own
	for _, name := range []string{Master, Scheduler, Promise} {
		build.Args = append(build.Args, "github.com/vow-os/vow/"+name+"/cmd/"+name)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the services: %w\n%s", err, out)
	}
	return nil
}

// StartPlane builds the services and starts them on a Redis of their own.
func StartPlane(ctx context.Context, o Options) (p *Plane, err error) {
	if o.Fsync == "" {
		o.Fsync = "always"
	}
	p = &Plane{}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.dir, err = os.MkdirTemp("", "bench-plane-"); err != nil {
		return p, err
	}
	if p.Redis, err = StartRedis(ctx, o.Fsync); err != nil {
		return p, err
	}
	if o.Binaries == "" {
		o.Binaries = p.dir
		if err := Build(ctx, p.dir); err != nil {
			return p, err
		}
	}
	names := append(append([]string{Master}, slices.Repeat([]string{Scheduler}, max(o.Schedulers, 1))...), Promise)
	for i, name := range names {
		s := &Service{Name: name, path: filepath.Join(o.Binaries, name), log: filepath.Join(p.dir, fmt.Sprintf("%s-%d.log", name, i)), env: o.Env}
		if s.Address, err = FreeAddress(); err != nil {
			return p, err
		}
		if s.admin, err = FreeAddress(); err != nil {
			return p, err
		}
		s.args = []string{"--address", s.Address, "--admin-address", s.admin, "--redis-url", p.Redis.URL()}
		if name == Master && o.ReconnectWindow > 0 {
			s.args = append(s.args, "--reconnect-window", o.ReconnectWindow.String())
		}
		if name != Master {
			s.args = append(s.args, "--master", p.Services[0].Address)
		}
		p.Services = append(p.Services, s)
		if err := s.Start(ctx); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Of returns the replicas of a service.
func (p *Plane) Of(name string) []*Service {
	var all []*Service
	for _, s := range p.Services {
		if s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

// Client of a service; the caller closes it.
func (p *Plane) Client(name string) (*rpc.Client, error) {
	return rpc.NewClient(rpc.Target{Address: p.Of(name)[0].Address}, rpc.ClientSettings{ReadMaxBytes: 64 << 20})
}

// Agenda is what svc-scheduler decided about a partition last, for an error that says why nothing came.
func (p *Plane) Agenda(ctx context.Context, computer, partition string) error {
	c, err := p.Client(Scheduler)
	if err != nil {
		return err
	}
	defer c.Close()
	res, err := schedulerv1connect.NewAgendaServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: computer, Partition: partition})
	if err != nil {
		return fmt.Errorf("cannot read the agenda of %s/%s: %w", computer, partition, err)
	}
	return fmt.Errorf("the agenda of %s/%s says %s", computer, partition, prototext.Format(res.GetEntry()))
}

// Start starts the process and waits until it is ready.
func (s *Service) Start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.command = exec.Command(s.path, s.args...)
	s.command.Env = append(os.Environ(), s.env...)
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name, err)
	}
	ended, command := make(chan struct{}), s.command
	s.ended = ended
	go func() {
		_ = command.Wait() // killed on purpose
		close(ended)
	}()
	return Until(ctx, s.Name+" is ready (its log: "+s.log+")", func() bool {
		_, err := s.ask(ctx, "/readyz", time.Second)
		return err == nil
	})
}

// ask asks the admin port for a page.
func (s *Service) ask(ctx context.Context, page string, within time.Duration) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+page, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: within}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot get %s of %s: %s", page, s.Name, response.Status)
	}
	return io.ReadAll(response.Body)
}

// Kill kills it with SIGKILL and waits until it is gone.
func (s *Service) Kill() {
	if s.ended != nil {
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

// Profile writes a profile of the process, by its name at the admin port, into a file.
func (s *Service) Profile(ctx context.Context, what, path string) error {
	data, err := s.ask(ctx, "/debug/pprof/"+what, time.Minute)
	if err != nil {
		return fmt.Errorf("cannot profile %s: %w", s.Name, err)
	}
	return os.WriteFile(path, data, 0o600)
}

// Resident is the memory of the process that is in use, in bytes.
func (s *Service) Resident() (int64, error) { return Resident(s.command.Process.Pid) }

// Resident is the memory of a process that is in use, in bytes.
func Resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("cannot read the memory of process %d", pid)
}

// Heap is what the process says of its memory (runtime.MemStats), in bytes: objects and spans of the heap, stacks, and what it has from the system and not given back.
func (s *Service) Heap(ctx context.Context) (map[string]int64, error) {
	page, err := s.ask(ctx, "/debug/pprof/heap?debug=1", time.Minute)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for its memory: %w", s.Name, err)
	}
	stats := map[string]int64{}
	for line := range strings.Lines(string(page)) {
		var name string
		var value int64
		if n, _ := fmt.Sscanf(line, "# %s = %d", &name, &value); n == 2 {
			stats[name] = value
		}
	}
	return stats, nil
}

// Admin is the address of its metrics and profiles.
func (s *Service) Admin() string { return s.admin }

// Used is the processor time of the process so far.
func (s *Service) Used() time.Duration { return Used(s.command.Process.Pid) }

// Used is the processor time of each service, of Redis, and of this process, so far.
func (p *Plane) Used() map[string]time.Duration {
	all := map[string]time.Duration{"redis": Used(p.Redis.command.Process.Pid), "the load generator": Used(os.Getpid())}
	for _, s := range p.Services {
		all[s.Name] += s.Used()
	}
	return all
}

// Used is the processor time of a process so far.
func Used(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of proc_stat(5)
}

// Close ends everything.
func (p *Plane) Close() {
	for i := len(p.Services) - 1; i >= 0; i-- {
		s := p.Services[i]
		if s.ended == nil {
			continue
		}
		_ = s.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			s.Kill()
		}
	}
	if p.Redis != nil {
		p.Redis.Close()
	}
	_ = os.RemoveAll(p.dir)
}
