package app_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/supervise"
)

// processes is a supervisor whose processes are words.
type processes struct {
	mu      sync.Mutex
	units   map[supervise.Key]supervise.Unit
	exits   chan supervise.Exit
	applied int
	acked   uint64
	next    uint64
}

func newProcesses() *processes {
	return &processes{units: map[supervise.Key]supervise.Unit{}, exits: make(chan supervise.Exit, 100)}
}

func (p *processes) Apply(_ context.Context, partition string, wanted []supervise.Process) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied++
	kept := map[supervise.Key]bool{}
	for _, w := range wanted {
		kept[w.Key] = true
		if u, ok := p.units[w.Key]; !ok || !u.Process.Equal(w) {
			p.units[w.Key] = supervise.Unit{Process: w, State: supervise.Running, Want: supervise.Up, RanSince: time.Now(), PID: 1000}
		}
	}
	for key := range p.units {
		if key.Partition == partition && !kept[key] {
			delete(p.units, key)
		}
	}
	return nil
}

func (p *processes) Settle(ctx context.Context, partition string) ([]supervise.Unit, error) {
	return p.List(ctx, partition)
}

func (p *processes) List(_ context.Context, partition string) ([]supervise.Unit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var units []supervise.Unit
	for key, u := range p.units {
		if partition == "" || key.Partition == partition {
			units = append(units, u)
		}
	}
	slices.SortFunc(units, func(a, b supervise.Unit) int {
		if a.Process.Less(b.Process.Key) {
			return -1
		}
		return 1
	})
	return units, nil
}

func (p *processes) Subscribe(ctx context.Context, _ uint64) (<-chan supervise.Exit, error) {
	exits := make(chan supervise.Exit)
	go func() {
		defer close(exits)
		for {
			select {
			case e := <-p.exits:
				select {
				case exits <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return exits, nil
}

func (p *processes) Ack(_ context.Context, seq uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = seq
	return nil
}

// kill ends a process, which is started again at once.
func (p *processes) kill(partition, name string) {
	p.mu.Lock()
	key := supervise.Key{Partition: partition, Name: name}
	u := p.units[key]
	up := time.Since(u.RanSince)
	u.RanSince = time.Now()
	p.units[key] = u
	p.next++
	seq := p.next
	p.mu.Unlock()
	p.exits <- supervise.Exit{
		Seq: seq, Key: key, Kind: supervise.Service, At: time.Now(), Uptime: up, Watched: true,
		Ending: supervise.Ending{Signal: 9}, Reason: "killed by SIGKILL",
	}
}

func (p *processes) look(partition string) []supervise.Unit {
	units, _ := p.List(context.Background(), partition)
	return units
}

// files is an installer that writes the files of a map, path in the partition → content; all are executable.
type files struct {
	mu      sync.Mutex
	content map[string]string
	err     error
	takes   time.Duration
}

func (f *files) Install(ctx context.Context, i app.Installation) (bool, error) {
	f.mu.Lock()
	takes := f.takes
	f.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := false
	for path, content := range f.content {
		path = filepath.Join(i.Environment.BuildoutDirectory, path)
		if have, err := os.ReadFile(path); err == nil && string(have) == content {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return changed, err
		}
		if err := os.WriteFile(path, []byte(content), 0o750); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, f.err
}

// sensors says what each promise answers; absent = passes.
type sensors struct {
	mu     sync.Mutex
	fail   map[string]string
	sensed map[string]int
}

func newSensors() *sensors { return &sensors{fail: map[string]string{}, sensed: map[string]int{}} }

func (s *sensors) Sense(_ context.Context, r app.Sensing) *typev1.SenseGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sensed[r.Promise.Name]++
	level, message := typev1.LogLevel_LOG_LEVEL_INFO, "OK"
	if why, failing := s.fail[r.Promise.Name]; failing {
		level, message = typev1.LogLevel_LOG_LEVEL_ERROR, why
	}
	return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: level, Message: message}}}
}

func (s *sensors) set(promise, failure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failure == "" {
		delete(s.fail, promise)
		return
	}
	s.fail[promise] = failure
}

func (s *sensors) count(promise string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sensed[promise]
}

// node is an agent on a faked machine under a faked control plane.
type node struct {
	*control
	t         testing.TB
	dir       string
	app       *app.App
	processes *processes
	files     *files
	sensors   *sensors
	release   string
	telemetry *telemetry.Telemetry
	// releases replaces the software root; nil = it is real. collect has unused releases removed.
	releases app.Releases
	collect  bool
	// timeout of a run on a real machine; 0 = the default.
	timeout time.Duration
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := &node{
		control: newControl(t), t: t, dir: t.TempDir(), processes: newProcesses(), sensors: newSensors(),
		files: &files{content: map[string]string{"etc/service/web": "serve", "etc/promise/answers": "check"}},
	}
	source := filepath.Join(n.dir, "release")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "instance.cfg"), []byte("[buildout]\nparts =\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.release = "file://" + source
	n.software = append(n.software, masterSoftware(n.release))
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) start() {
	n.t.Helper()
	a, err := app.New(app.Config{
		Computer: computer, InstanceRoot: filepath.Join(n.dir, "instance"), SoftwareRoot: filepath.Join(n.dir, "software"),
		StateDir: filepath.Join(n.dir, "state"), Partitions: 2, Periodicity: 24 * time.Hour, Slots: 2, Register: true,
		SoftwareGarbageCollect: n.collect, Master: "master:1", Scheduler: "scheduler:1", Promise: "promise:1", Executable: "/bin/vow", PartitionAddress: []string{"127.0.0.1"},
	}, app.Settings{
		Telemetry: n.telemetry, Dial: n.dial, Releases: n.releases, Supervisor: n.processes, Installer: n.files, Sensor: n.sensors, Usage: &steady{}, BootID: "boot-of-the-test", Unsynced: true, User: "web",
	})
	if err != nil {
		n.t.Fatal(err)
	}
	if err := a.Start(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	n.app = a
}

func (n *node) stop() {
	n.t.Helper()
	if n.app == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.app.Stop(ctx); err != nil {
		n.t.Errorf("the agent does not stop: %v", err)
	}
	n.app = nil
}

// state reads how often processes were applied, and up to where exits are acknowledged.
func (p *processes) state() (applied int, acked uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied, p.acked
}

// set makes the next installations take a while and end with an error.
func (f *files) set(takes time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes, f.err = takes, err
}
