package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

// parallel is how many updates Tilt runs at once (max_parallel_updates).
const parallel = 3

// TiltGrace is what Tilt gives a process between SIGTERM and SIGKILL.
const TiltGrace = 30 * time.Second

// Options say what is run.
type Options struct {
	// Resources are those of the Tiltfile, in its order.
	Resources []*tiltfile.Local
	// Kubernetes has those of objects, which come after; nil if there are none.
	Kubernetes *Kubernetes
	// Without are the names of resources that are left out; who needs one of them goes without.
	Without []string
	// Press are resources that do not start by themselves: when all is well each is run, one after the other, as by a hand in the UI.
	Press []string
	// Stay goes on when all is well, as tilt up does, until the context ends, which is then no error.
	Stay bool
	// Logs is the folder of a file for each resource; it must exist.
	Logs string
	// Grace is what a process has between SIGTERM and SIGKILL: TiltGrace.
	Grace time.Duration
	// Say tells each step.
	Say func(format string, args ...any)
}

// state is how far a resource is.
//
//	idle ─▶ updating ─▶ serving ─▶ ready ─▶ serving …   with a serve_cmd; ready as its probe says
//	            └─────▶ ready                           without
type state int

const (
	idle state = iota
	updating
	serving
	ready
)

type resource struct {
	*tiltfile.Local
	// objects are what it is made of in Kubernetes; nil for a process.
	objects *tiltfile.Kubernetes
	state   state
	// since is when it came to its state.
	since time.Time
	// was is whether it has ever been ready, which is what others wait for.
	was            bool
	update, server *process
	log            *os.File
}

// event is what befell a resource, for the one loop that changes states.
type event struct {
	of *resource
	// ended is the process that ended; nil for a probe.
	ended *process
	ready bool
	why   error
	// red is why a pod makes tilt ci red.
	red error
}

type session struct {
	Options
	resources []*resource
	events    chan event
	// over ends probes and those who tell events.
	over context.Context
}

// Run runs the resources until all are well, then the buttons, then stops everything. The error is that of `tilt ci`: the resource that failed, or what it waited for when the context ended.
func Run(ctx context.Context, o Options) (err error) {
	over, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{Options: o, events: make(chan event), over: over}
	defer func() {
		end()
		err = errors.Join(err, s.stop())
	}()
	for _, l := range o.Resources {
		s.resources = append(s.resources, &resource{Local: l})
	}
	if o.Kubernetes != nil {
		for _, k := range o.Kubernetes.Resources {
			s.resources = append(s.resources, &resource{Local: &tiltfile.Local{Name: k.Name, After: k.After, Initial: true, Parallel: true}, objects: k})
		}
	}
	if err := s.leaveOut(); err != nil {
		return err
	}
	for _, r := range s.resources {
		for _, name := range r.After {
			if s.named(name) == nil {
				return fmt.Errorf("cannot run %s: it needs %q, which does not exist", r.Name, name)
			}
		}
		log, err := os.Create(filepath.Join(o.Logs, r.Name+".log"))
		if err != nil {
			return fmt.Errorf("cannot keep the log of %s: %w", r.Name, err)
		}
		r.log, r.since = log, time.Now()
	}
	if err := s.until(ctx, s.allWell); err != nil {
		return err
	}
	for _, name := range o.Press {
		r := s.named(name)
		if r == nil || r.Initial || len(r.Update.Arguments) == 0 {
			return fmt.Errorf("cannot press %q: no such button", name)
		}
		s.Say("%s is pressed", name)
		if err := s.run(r); err != nil {
			return err
		}
		if err := s.until(ctx, func() bool { return r.state == ready }); err != nil {
			return err
		}
	}
	if !s.Stay {
		return nil
	}
	s.Say("all is well")
	if err := s.until(ctx, func() bool { return ctx.Err() != nil }); ctx.Err() == nil {
		return err
	}
	return nil
}

// leaveOut takes away what is to be left out, and says so.
func (s *session) leaveOut() error {
	for _, name := range s.Without {
		out := s.named(name)
		if out == nil {
			return fmt.Errorf("cannot leave %q out: no such resource", name)
		}
		s.resources = slices.DeleteFunc(s.resources, func(r *resource) bool { return r == out })
		var alone []string
		for _, r := range s.resources {
			if !slices.Contains(r.After, name) {
				continue
			}
			alone = append(alone, r.Name)
			l := *r.Local // the caller's stays as it is
			l.After = slices.DeleteFunc(slices.Clone(l.After), func(after string) bool { return after == name })
			r.Local = &l
		}
		s.Say("left out: %s; without it goes: %s", name, cmp.Or(strings.Join(alone, ", "), "nothing"))
	}
	return nil
}

func (s *session) named(name string) *resource {
	for _, r := range s.resources {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// until starts what may start and follows events, until something is so.
func (s *session) until(ctx context.Context, so func() bool) error {
	for {
		if err := s.startWhatMay(); err != nil {
			return err
		}
		if so() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), s.waiting())
		case e := <-s.events:
			if err := s.follow(e); err != nil {
				return err
			}
		}
	}
}

func (s *session) allWell() bool {
	return !slices.ContainsFunc(s.resources, func(r *resource) bool { return r.Initial && r.state != ready })
}

// waiting names what is not well, and why.
func (s *session) waiting() string {
	var all []string
	for _, r := range s.resources {
		if !r.Initial || r.state == ready {
			continue
		}
		all = append(all, fmt.Sprintf("%s is %s for %.0f s", r.Name, [...]string{"waiting", "updating", "not ready"}[r.state], time.Since(r.since).Seconds()))
	}
	return strings.Join(all, ", ")
}

// startWhatMay starts what Tilt would: the first that nothing holds, as long as there is one.
func (s *session) startWhatMay() error {
	for {
		i := slices.IndexFunc(s.resources, func(r *resource) bool { return r.Initial && r.state == idle && !s.held(r) })
		if i < 0 {
			return nil
		}
		if err := s.run(s.resources[i]); err != nil {
			return err
		}
	}
}

// held says whether something that it needs was never ready, or something that runs bears no company.
func (s *session) held(r *resource) bool {
	for _, name := range r.After {
		if !s.named(name).was {
			return true
		}
	}
	running := 0
	for _, other := range s.resources {
		if other.state != updating {
			continue
		}
		if !other.Parallel || !r.Parallel {
			return true
		}
		running++
	}
	return running >= parallel
}

func (s *session) to(r *resource, next state) {
	r.state, r.since = next, time.Now()
	r.was = r.was || next == ready
}

// run starts the update of a resource; its server where there is no update.
func (s *session) run(r *resource) error {
	if r.objects != nil {
		r.update = task(s.over, func(ctx context.Context) error { return s.Kubernetes.deploy(ctx, r.objects, r.log, s.Grace) })
	} else {
		if len(r.Update.Arguments) == 0 {
			return s.serve(r)
		}
		p, err := start(r.Update, r.log)
		if err != nil {
			return s.failed(r, err)
		}
		r.update = p
	}
	s.to(r, updating)
	s.Say("%s updates", r.Name)
	go s.tellEnd(r, r.update)
	return nil
}

func (s *session) serve(r *resource) error {
	if r.objects != nil {
		if w, ok := workload(r.objects); ok {
			s.to(r, serving)
			s.Say("%s is applied", r.Name)
			go s.Kubernetes.watch(s.over, w, func(ready bool, why, red error) { s.tell(event{of: r, ready: ready, why: why, red: red}) })
			return nil
		}
	}
	if len(r.Serve.Arguments) == 0 {
		s.to(r, ready)
		s.Say("%s is done", r.Name)
		return nil
	}
	p, err := start(r.Serve, r.log)
	if err != nil {
		return s.failed(r, err)
	}
	r.server = p
	s.to(r, serving)
	s.Say("%s serves", r.Name)
	go s.tellEnd(r, p)
	if r.Ready == nil {
		s.to(r, ready)
		return nil
	}
	go watch(s.over, *r.Ready, func(now bool, why error) { s.tell(event{of: r, ready: now, why: why}) })
	return nil
}

func (s *session) tell(e event) {
	select {
	case s.events <- e:
	case <-s.over.Done():
	}
}

func (s *session) tellEnd(r *resource, p *process) {
	<-p.ended
	s.tell(event{of: r, ended: p})
}

// follow changes the state of a resource by what befell it. An error is what makes tilt ci red.
func (s *session) follow(e event) error {
	r := e.of
	switch {
	case e.red != nil:
		return s.failed(r, e.red)
	case e.ended != nil && e.ended == r.server:
		return s.failed(r, reason(e.ended.err))
	case e.ended != nil && e.ended.err != nil:
		return s.failed(r, e.ended.err)
	case e.ended != nil:
		return s.serve(r)
	case e.ready:
		s.Say("%s is ready after %.1f s", r.Name, time.Since(r.since).Seconds())
		s.to(r, ready)
	default:
		s.Say("%s is not ready any more: %v", r.Name, e.why)
		s.to(r, serving)
	}
	return nil
}

func (s *session) failed(r *resource, err error) error {
	return fmt.Errorf("%s failed: %w\n%s", r.Name, err, tail(r.log.Name()))
}

// tailBytes is how much of a log is shown of what failed.
const tailBytes = 8 << 10

func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-tailBytes):])
}

// stop ends one server after the other, in the order in which they began. Tilt has no order; this is the worst, for what comes first is what others need.
func (s *session) stop() error {
	var forced []string
	for _, r := range s.resources {
		for _, p := range []*process{r.update, r.server} {
			if p == nil {
				continue
			}
			began := time.Now()
			if p.stop(s.Grace) {
				forced = append(forced, r.Name)
			}
			if took := time.Since(began); took > time.Second {
				s.Say("%s took %.1f s to stop", r.Name, took.Seconds())
			}
		}
		if r.log != nil {
			_ = r.log.Close()
		}
	}
	if len(forced) > 0 {
		return fmt.Errorf("%s did not stop within %v of SIGTERM, and was killed", strings.Join(forced, ", "), s.Grace)
	}
	return nil
}
