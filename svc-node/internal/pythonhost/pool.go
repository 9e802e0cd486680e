package pythonhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// Defaults and limits.
const (
	// DefaultIdle is after how long without a promise a host ends.
	DefaultIdle = 10 * time.Minute
	// restartDelay and maxRestartDelay bound how long the next start of a host that keeps dying waits.
	restartDelay, maxRestartDelay = 50 * time.Millisecond, 30 * time.Second
	// healthy is how long a host lives before earlier deaths are forgotten.
	healthy = time.Minute
	// maxRemembered bounds what is remembered of promises; beyond it all is forgotten and learned again.
	maxRemembered = 100_000
	// maxCold is how many modules of a release may turn out to start threads.
	maxCold = 100
)

// Settings is what a Pool works with.
type Settings struct {
	// Directory is where the program is unpacked. Only the agent's user can write there.
	Directory string
	// Config adds to what a promise is told with getConfig: computer-id, master-url, partition-cert, partition-key.
	Config map[string]any
	// Idle is DefaultIdle if zero.
	Idle time.Duration
}

// Pool has the hosts of a node. Its methods may be called at the same time.
type Pool struct {
	s      Settings
	uid    int
	ids    atomic.Uint64
	ctx    context.Context //nolint:containedctx // the life of the hosts, which outlive the calls that start them
	cancel context.CancelFunc

	mu      sync.Mutex
	modules string // where the program is; empty = not yet unpacked
	slots   map[string]*slot
	plans   map[string]planned
	failed  map[string]bool // by path: promises whose last execution failed
	reaper  *time.Timer
}

// slot is the place of one host: which is running, if any, and how its predecessors fared.
type slot struct {
	// users is how many hold it, guarded by the pool's lock.
	users int
	// gate is held shared while promises are sensed, and alone by one that was in a host when it died.
	gate sync.RWMutex
	// starting is held while a host is started, so that there is one.
	starting sync.Mutex
	deaths   int
	started  time.Time
	cold     []string

	mu      sync.Mutex
	running *host
}

// planned is a plan with what tells that its file is still the same.
type planned struct {
	plan
	modified time.Time
	size     int64
	inode    uint64
}

// New makes a pool; hosts are started when they are needed.
func New(s Settings) *Pool {
	if s.Idle <= 0 {
		s.Idle = DefaultIdle
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{
		s: s, uid: os.Getuid(), ctx: ctx, cancel: cancel,
		slots: map[string]*slot{}, plans: map[string]planned{}, failed: map[string]bool{},
	}
}

// Close ends all hosts and what they sense. Sense must not be called after it.
func (p *Pool) Close() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaper != nil {
		p.reaper.Stop()
	}
	for _, s := range p.slots {
		s.end()
	}
}

// Sense is that of sensor.Sensor: it executes one Python promise and tells what it recorded and decided.
func (p *Pool) Sense(ctx context.Context, r sensor.Request) *typev1.SenseGroup {
	group, err := p.sense(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return &typev1.SenseGroup{Error: "cannot sense " + r.Promise.File + ": stopped"}
		}
		return &typev1.SenseGroup{Error: clip("cannot sense " + r.Promise.File + ": " + err.Error())}
	}
	return group
}

func (p *Pool) sense(ctx context.Context, r sensor.Request) (*typev1.SenseGroup, error) {
	made, err := p.plan(r.Promise.Path, r.User)
	if err != nil {
		return nil, err
	}
	var become *account
	if r.User.Switch {
		if err := r.User.Validate(); err != nil {
			return nil, err
		}
		if !made.user.Switch { // else the host is that user already
			become = &account{UID: r.User.UID, GID: r.User.GID}
		}
	}
	config := map[string]any{"partition-id": r.Partition}
	maps.Copy(config, p.s.Config)
	call := &request{
		Name: filepath.Base(r.Promise.Path), Path: r.Promise.Path, Directory: r.Directory, Timeout: r.Promise.Timeout.Seconds(), Anomaly: !r.Asked,
		Warm: made.trusted && len(made.paths) > 0, Modules: made.modules, Environment: environment(r.Env), Config: config, User: become,
		LogFolder: r.LogFolder, Dry: r.Dry, Debug: r.Debug,
	}
	if r.Dry {
		folder, remove, err := scratch(r)
		if err != nil {
			return nil, err
		}
		defer remove()
		call.LogFolder = folder
	}
	a, err := p.ask(ctx, made, call)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	failedBefore := p.failed[r.Promise.Path]
	p.mu.Unlock()
	told := translate(a, r, failedBefore)
	if told.lost != "" && !r.Dry {
		// The promise's own files tell it too, so that existing tools and its own windows see it.
		call.Lost, call.Modules = told.lost, nil
		if _, err := p.ask(ctx, made, call); err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
	if told.Period > 0 && r.Learned != nil {
		r.Learned(told.Traits)
	}
	if r.Dry {
		return told.group, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failed) >= maxRemembered {
		clear(p.failed)
	}
	delete(p.failed, r.Promise.Path)
	if failed(told.group) {
		p.failed[r.Promise.Path] = true
	}
	return told.group, nil
}

// plan reads what a promise needs, unless its file is the one that was read before.
func (p *Pool) plan(path string, u privilege.User) (plan, error) {
	info, err := os.Stat(path)
	if err != nil {
		return plan{}, fmt.Errorf("cannot read it: %w", err)
	}
	var inode uint64
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	p.mu.Lock()
	known, ok := p.plans[path]
	p.mu.Unlock()
	if ok && known.modified.Equal(info.ModTime()) && known.size == info.Size() && known.inode == inode {
		return known.plan, nil
	}
	made, err := p.makePlan(path, u)
	if err != nil {
		return plan{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.plans) >= maxRemembered {
		clear(p.plans)
	}
	p.plans[path] = planned{plan: made, modified: info.ModTime(), size: info.Size(), inode: inode}
	return made, nil
}

// ask has a request executed. If the host dies meanwhile, it is executed again with no other beside it.
func (p *Pool) ask(ctx context.Context, made plan, r *request) (*answer, error) {
	s := p.slot(made.key())
	defer p.release(s)
	s.gate.RLock()
	a, err := p.try(ctx, s, made, r)
	s.gate.RUnlock()
	if !errors.Is(err, errDied) {
		return a, err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	a, err = p.try(ctx, s, made, r)
	if errors.Is(err, errDied) {
		return nil, fmt.Errorf("%w twice while it was sensed, the second time alone: the promise ended it", err)
	}
	return a, err
}

// try has a request executed once.
func (p *Pool) try(ctx context.Context, s *slot, made plan, r *request) (*answer, error) {
	for {
		h, err := p.host(ctx, s, made)
		if err != nil {
			return nil, err
		}
		r.ID = p.ids.Add(1)
		s.mu.Lock()
		r.Cold = s.cold
		s.mu.Unlock()
		a, err := h.call(ctx, r)
		if err != nil || a.How != "threads" {
			return a, err
		}
		<-h.ended
		s.mu.Lock()
		tooMany := len(s.cold) >= maxCold
		if !slices.Contains(s.cold, a.Output) {
			s.cold = append(slices.Clone(s.cold), a.Output)
		}
		s.mu.Unlock()
		if tooMany {
			return nil, fmt.Errorf("more than %d modules of its release start threads when they are imported", maxCold)
		}
	}
}

func (p *Pool) slot(key string) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.slots[key]
	if s == nil {
		s = &slot{}
		p.slots[key] = s
	}
	s.users++
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.s.Idle, p.reap)
	}
	return s
}

func (p *Pool) release(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
}

// reap ends hosts that nobody used for long.
func (p *Pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	for key, s := range p.slots {
		s.mu.Lock()
		h := s.running
		s.mu.Unlock()
		if s.users == 0 && (h == nil || h.idle(p.s.Idle)) {
			s.end()
			delete(p.slots, key)
		}
	}
	p.reaper = nil
	if len(p.slots) > 0 {
		p.reaper = time.AfterFunc(p.s.Idle/2, p.reap)
	}
}

// host is the running host of a slot; one is started if there is none, later the oftener it died.
func (p *Pool) host(ctx context.Context, s *slot, made plan) (*host, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	s.mu.Lock()
	h := s.running
	s.mu.Unlock()
	if h != nil {
		select {
		case <-h.ended:
			if time.Since(s.started) > healthy {
				s.deaths = 0
			}
			s.deaths++
		default:
			return h, nil
		}
	}
	if s.deaths > 1 {
		if wait.For(ctx, backoff.Delay(s.deaths-1, made.interpreter, restartDelay, maxRestartDelay)-time.Since(s.started)) != nil {
			return nil, context.Cause(ctx)
		}
	}
	modules, err := p.unpacked()
	if err != nil {
		return nil, err
	}
	var paths []string
	if made.trusted {
		paths = made.paths
	}
	s.started = time.Now()
	h, err = startHost(ctx, made.interpreter, modules, paths, made.user)
	if err != nil {
		s.deaths++
		return nil, err
	}
	if p.ctx.Err() != nil {
		h.kill()
		return nil, errors.New("the agent stops")
	}
	s.mu.Lock()
	s.running = h
	s.mu.Unlock()
	return h, nil
}

func (p *Pool) unpacked() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.modules != "" {
		if _, err := os.Stat(p.modules); err == nil {
			return p.modules, nil
		}
	}
	folder, err := Unpack(p.s.Directory)
	if err == nil {
		p.modules = folder
	}
	return folder, err
}

// end ends the host of a slot, if there is one.
func (s *slot) end() {
	s.mu.Lock()
	h := s.running
	s.running = nil
	s.mu.Unlock()
	if h != nil {
		h.kill()
		<-h.ended
	}
}
