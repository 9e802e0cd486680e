package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/cgroup"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// sweepEvery is the time between two looks at the sizes of logs: 300 files a minute are 1 ms of CPU.
const sweepEvery = time.Minute

// spareAfter is how long after an event of the start of a process the next stub is made: the new process has the
// processors for itself first.
const spareAfter = 10 * time.Millisecond

// machine is everything that the one goroutine of loop owns.
type machine struct {
	ctx     context.Context
	log     *slog.Logger
	set     supervise.Set
	journal *journal
	boot    string
	hash    string
	since   time.Time
	// executable is what a re-execution runs, before what services have for precedence.
	executable string
	before     precedence

	// children are our own processes by PID, stubs included; each has the key and incarnation it was launched for.
	children map[int]child
	// gates are the stubs that wait for their order, by incarnation; spare is one that waits for its incarnation.
	gates map[uint64]*gate
	spare *gate
	// limits are the services with limits, emptied the groups of former ones that could not be removed yet.
	tree    *cgroup.Tree
	limits  map[supervise.Key]*limited
	emptied []*cgroup.Group

	events   chan supervise.Event // from goroutines that wait for one process
	calls    chan call            // from the control socket
	settling []call
	stopping []call
	finished bool
	orphans  uint64
	rotating bool
	rotated  chan struct{}
}

type child struct {
	key         supervise.Key
	incarnation uint64
	kind        supervise.Kind
}

// loop runs until everything has stopped, or until a signal or call asks for a re-execution (true).
func (m *machine) loop(signals, deaths <-chan os.Signal) (reexec bool) {
	due, spare := newAlarm(), newAlarm()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	m.reap() // who ended before we listened
	m.prepare()
	notify("READY=1")
	var alive <-chan time.Time
	if every := watchdog(); every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		alive = ticker.C
	}
	defer func() {
		if m.spare != nil {
			m.spare.close() // it leaves
		}
		if m.finished {
			m.removeGroups()
		}
	}()
	for !m.finished {
		due.set(m.set.Due())
		select {
		case <-deaths:
			m.reap()
		case s := <-signals:
			switch s {
			case unix.SIGUSR2:
				err := m.mayReexecute()
				if err == nil {
					return true
				}
				m.log.ErrorContext(m.ctx, "the running supervisor goes on", "error", err)
			case unix.SIGTERM, unix.SIGINT:
				m.log.InfoContext(m.ctx, "stopping everything", "signal", s.String())
				m.step(supervise.Shutdown{})
			}
		case <-due.timer.C:
			m.step(supervise.Tick{})
		case event := <-m.events:
			m.step(event)
			if m.spare == nil {
				spare.timer.Reset(spareAfter)
			}
		case <-spare.timer.C:
			m.prepare()
		case c := <-m.calls:
			if c.request.Do != supervisorapi.Reexec {
				m.serve(c)
				break
			}
			err := m.mayReexecute()
			if err == nil {
				c.answer(supervisorapi.Reply{})
				return true
			}
			c.fail(err)
		case <-sweep.C:
			m.sweep()
		case <-alive:
			notify("WATCHDOG=1")
		case <-m.rotated:
			m.rotating = false
		}
		m.answerSettled()
	}
	return false
}

// mayReexecute looks before the leap.
func (m *machine) mayReexecute() error {
	if m.set.Closing() {
		return errors.New("cannot re-execute the supervisor: it is stopping")
	}
	if !executable(m.executable) {
		return fmt.Errorf("cannot re-execute the supervisor: %s is not there or not executable", m.executable)
	}
	return nil
}

// step takes one event through the core and carries out what follows from it.
func (m *machine) step(event supervise.Event) {
	set, effects, reason := supervise.Step(m.set, event, time.Now())
	m.set = set
	before := m.journal.broken
	m.journal.write(effects)
	if after := m.journal.broken; after != nil && before == nil {
		m.log.ErrorContext(m.ctx, "cannot write the journal: processes are kept up all the same", "error", after)
	}
	for _, effect := range effects {
		switch e := effect.(type) {
		case supervise.Launch:
			m.launch(e)
		case supervise.Release:
			m.release(e)
		case supervise.Terminate:
			m.signal(e.Key, e.PID, unix.SIGTERM)
		case supervise.Kill:
			m.signal(e.Key, e.PID, unix.SIGKILL)
		case supervise.Report:
			m.log.InfoContext(m.ctx, "process ended", "process", e.Exit.Key.String(), "pid", e.Exit.PID, "reason", e.Exit.Reason,
				"watched", e.Exit.Watched)
		case supervise.Finished:
			m.finished = true
		case supervise.Forget:
			m.unlimit(e.Key)
			m.endStrays()
		case supervise.Record:
		}
	}
	if reason != "" {
		m.log.DebugContext(m.ctx, reason)
	}
}

// launch takes a stub; the core then records it and releases it.
func (m *machine) launch(e supervise.Launch) {
	p := e.Process
	failed := func(reason string) {
		m.step(supervise.StartFailed{Key: p.Key, Incarnation: e.Incarnation, Reason: reason})
	}
	output, err := openOutput(p)
	if err != nil {
		m.log.WarnContext(m.ctx, "cannot open the log: the output is discarded", "process", p.Key.String(), "error", err)
		if output, err = openOutput(supervise.Process{}); err != nil {
			failed("cannot start it: " + err.Error())
			return
		}
	}
	switched := p.Account != nil && (int(p.Account.UID) != os.Getuid() || int(p.Account.GID) != os.Getgid())
	l := m.limit(p)
	g, moves, err := m.stub(l)
	if err != nil {
		_ = output.Close()
		failed(explainFork(err))
		return
	}
	g.output, g.order = output, order{
		Path: p.Path, Argv: p.Argv, Env: environment(m.hash, p, e.Incarnation), Dir: p.Dir,
		Before: m.before,
	}
	if len(p.Argv) == 0 {
		g.order.Argv = []string{p.Path}
	}
	g.order.Files, g.order.Processes = m.resources(p, switched)
	if a := p.Account; switched {
		g.order.Switch, g.order.UID, g.order.GID, g.order.Groups = true, int(a.UID), int(a.GID), intsOf(a.Groups)
	}
	m.children[g.pid] = child{p.Key, e.Incarnation, p.Kind}
	m.gates[e.Incarnation] = g
	name := ""
	if stat, err := readStat(g.pid); err == nil { // it cannot be gone: nobody but us reaps it
		name = identity(m.boot, stat)
	}
	spawned := supervise.Spawned{Key: p.Key, Incarnation: e.Incarnation, PID: g.pid, Identity: name}
	if !moves {
		m.step(spawned)
		return
	}
	go func() { // the kernel takes its time, which is not that of all other services
		if err := l.group.Add(g.pid); err != nil {
			m.log.WarnContext(m.ctx, "limits are not held", "process", p.Key.String(), "error", err)
		}
		m.tell(spawned)
	}()
}

// stub takes the spare stub, or makes one, in the group of the process if need be. moves says that it is not there yet.
func (m *machine) stub(l *limited) (g *gate, moves bool, err error) {
	if l != nil && l.group != nil {
		if group := l.group.Descriptor(); group != nil {
			defer group.Close()
			g, err = newStub(group)
			return g, false, err
		}
		moves = true
	}
	if g = m.spare; g != nil {
		m.spare = nil
		return g, moves, nil
	}
	g, err = newStub(nil)
	return g, moves, err
}

// release gives the stub its order and waits, elsewhere, for what becomes of it.
func (m *machine) release(e supervise.Release) {
	g, ok := m.gates[e.Incarnation]
	if !ok {
		return
	}
	delete(m.gates, e.Incarnation)
	if err := g.release(); err != nil { // it is dead already, or will be: we hear of it as of any end
		m.log.WarnContext(m.ctx, "cannot release a process", "process", e.Key.String(), "error", err)
		_ = unix.Kill(g.pid, unix.SIGKILL)
		g.close()
		return
	}
	go func() {
		if failed := g.result(); failed == nil {
			m.tell(supervise.Started{Key: e.Key, Incarnation: e.Incarnation})
		} else {
			m.tell(supervise.StartFailed{Key: e.Key, Incarnation: e.Incarnation, Reason: failed.explain(g.order)})
		}
		g.close() // the stub may leave, after its failure is told
	}()
}

// prepare makes the next stub, when nobody waits for this one.
func (m *machine) prepare() {
	if m.spare != nil || m.set.Closing() {
		return
	}
	g, err := newStub(nil)
	if err != nil { // the next launch will try itself, and tell
		m.log.DebugContext(m.ctx, "cannot create a process in advance", "error", err)
		return
	}
	m.spare = g
}

// tell brings an event to the loop.
func (m *machine) tell(event supervise.Event) {
	select {
	case m.events <- event:
	case <-m.ctx.Done():
	}
}

// signal reaches the process and its group. A child that we have not reaped keeps its PID, so the number is safe; an
// adopted process is looked at again.
func (m *machine) signal(key supervise.Key, pid int, signal syscall.Signal) {
	if _, ours := m.children[pid]; !ours {
		unit, _ := m.set.Unit(key)
		if stat, err := readStat(pid); err != nil || identity(m.boot, stat) != unit.Identity {
			return
		}
	}
	if err := unix.Kill(-pid, signal); err != nil {
		_ = unix.Kill(pid, signal) // a stub that has no group of its own yet
	}
	if l := m.limits[key]; signal == unix.SIGKILL && l != nil && l.group != nil {
		l.group.Kill()
	}
}

// reap takes the ends of all children, and ends what services leave behind; what a run leaves may stay.
func (m *machine) reap() {
	orphans := m.orphans
	defer func() {
		if m.orphans > orphans {
			m.endStrays()
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if !status.Exited() && !status.Signaled() {
			continue
		}
		if m.spare != nil && m.spare.pid == pid {
			m.spare.close()
			m.spare = nil
			continue
		}
		c, ours := m.children[pid]
		if !ours {
			m.orphans++
			continue
		}
		delete(m.children, pid)
		if g, ok := m.gates[c.incarnation]; ok { // it was killed before its release
			g.close()
			delete(m.gates, c.incarnation)
		}
		ending := supervise.Ending{Code: status.ExitStatus()}
		if status.Signaled() {
			ending = supervise.Ending{Signal: int(status.Signal()), Core: status.CoreDump()}
		}
		if l := m.limits[c.key]; l != nil && l.group != nil {
			ending.Memory = l.group.OutOfMemory()
		}
		if c.kind != supervise.Run {
			left := m.endRemains(pid, c.key, c.incarnation)
			if c.kind == supervise.Service {
				ending.Left = left
			}
		}
		m.step(supervise.Exited{Key: c.key, Incarnation: c.incarnation, Ending: ending})
	}
}

// sweep looks for logs that have grown too large, beside the loop: copying one may take seconds.
func (m *machine) sweep() {
	m.removeEmptied()
	if m.rotating {
		return
	}
	type output struct {
		log  supervise.Log
		user privilege.User
	}
	var outputs []output
	for _, unit := range m.set.Units() {
		if unit.State.Live() && unit.Process.Log.MaxBytes > 0 {
			outputs = append(outputs, output{unit.Process.Log, privilege.Of(unit.Process.Account)})
		}
	}
	m.rotating = true
	go func() {
		for _, o := range outputs {
			if !tooLarge(o.log) {
				continue
			}
			if err := o.user.Do(func() error { return rotate(o.log) }); err != nil {
				m.log.WarnContext(m.ctx, "cannot rotate a log", "error", err)
			}
		}
		select {
		case m.rotated <- struct{}{}:
		case <-m.ctx.Done():
		}
	}()
}
