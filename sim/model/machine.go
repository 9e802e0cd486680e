package model

import (
	"fmt"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/supervise"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// machine is what outlives an agent: the disk, the supervisor and its processes.
type machine struct {
	w    *World
	node *node
	// partitions by name, in order.
	partitions []string
	boot       int
	// The disk of the agent: what converge stores, the runs it made by itself in this boot, and what it could not send.
	known    map[string]converge.Partition
	sequence uint64
	reports  []fleet.ReportRun
	bangs    map[string]fleet.Bang // by partition, at most one
	// tokens are the last one given to each allocation.
	tokens  map[string]uint64
	tenants map[string]*tenant
	// The supervisor, and its journal of exits, acknowledged up to acked.
	set   supervise.Set
	exits []supervise.Exit
	acked uint64
	timer uint64
	// offset is its machine's skew when the supervisor started.
	offset time.Duration
}

// tenant is the content of a partition.
type tenant struct {
	allocation, partition, tree, instance string
	plan                                  *plan
	// version of the desired state that was applied last.
	version int
	// epoch of that: in a newer one an older version may come back.
	epoch    uint64
	promises []*promise
	// hosted is the version of each shared instance that it serves.
	hosted map[string]int
	// published is the number of the value that it publishes as connection parameter.
	published int
	// fails makes so many runs fail at a stage.
	fails int
	stage converge.Stage
}

// promise is a promise as its machine knows it.
type promise struct {
	promisePlan
	// repairs is how many runs it takes to repair it; until is when it passes by itself.
	repairs int
	until   time.Duration
	// groups are the newest; local is the window of the agent's own evaluation.
	sequence uint64
	groups   []group
	local    verdict.Promise
}

// group is a sense group in the log of the machine.
type group struct {
	verdict.Group
	acked, asked bool
}

func newMachine(w *World, n *node) *machine {
	m := &machine{w: w, node: n, known: map[string]converge.Partition{}, bangs: map[string]fleet.Bang{}, tokens: map[string]uint64{}, tenants: map[string]*tenant{}, boot: 1}
	for i := range w.cfg.Partitions {
		m.partitions = append(m.partitions, fmt.Sprintf("slappart%d", i))
	}
	return m
}

func (m *machine) bootID() string { return fmt.Sprintf("%s-boot-%08d-0000-0000", m.node.name, m.boot) }

// tenantOf is the content of a partition for an allocation; what an earlier tenant left is gone.
func (m *machine) tenantOf(want converge.Desired) *tenant {
	t := m.tenants[want.Partition]
	if t != nil && t.allocation == want.AllocationID {
		return t
	}
	c := want.Content.(content)
	t = &tenant{allocation: want.AllocationID, partition: want.Partition, tree: c.tree, instance: c.instance, plan: m.w.plan(c.tree, c.title)}
	for _, p := range t.plan.promises {
		t.promises = append(t.promises, &promise{promisePlan: p})
	}
	m.tenants[want.Partition] = t
	return t
}

// failing tells whether the world makes a promise fail now.
func (m *machine) failing(t *tenant, p *promise) bool {
	if p.never || p.repairs > 0 || m.w.now < p.until {
		return true
	}
	if p.service < 0 {
		return false
	}
	u, ok := m.set.Unit(key(t, p.service))
	return !ok || u.State != supervise.Running
}

func key(t *tenant, service int) supervise.Key {
	return supervise.Key{Partition: t.partition, Name: fmt.Sprintf("s%d", service)}
}

// processes are the services that a version of the tenant wants.
func (t *tenant) processes(requested converge.Requested) []supervise.Process {
	var all []supervise.Process
	for i := range t.plan.services {
		if requested != converge.Started {
			break
		}
		all = append(all, supervise.Process{Key: key(t, i), Kind: supervise.Service, Path: "/bin/service", Dir: "/", Watched: true, Revision: fmt.Sprint(t.allocation, t.version)})
	}
	return all
}

// clock is what the supervisor measures with.
func (m *machine) clock() time.Time { return epoch.Add(m.w.now + m.offset) }

// supervise is one step of the supervisor.
func (m *machine) supervise(e supervise.Event) {
	var effects []supervise.Effect
	var reason string
	m.set, effects, reason = supervise.Step(m.set, e, m.clock())
	if reason != "" {
		m.w.say(m.node.name, "supervisor: %s", reason)
	}
	boot := m.boot
	soon := func(low, high time.Duration, event supervise.Event) {
		m.w.after(m.w.between(low, high), func() {
			if m.boot == boot {
				m.supervise(event)
			}
		})
	}
	for _, effect := range effects {
		switch f := effect.(type) {
		case supervise.Launch:
			soon(time.Millisecond, 5*time.Millisecond, supervise.Spawned{Key: f.Process.Key, Incarnation: f.Incarnation, PID: int(f.Incarnation)})
		case supervise.Release:
			soon(time.Millisecond, 5*time.Millisecond, supervise.Started{Key: f.Key, Incarnation: f.Incarnation})
		case supervise.Terminate:
			soon(time.Millisecond, 200*time.Millisecond, supervise.Exited{Key: f.Key, Incarnation: uint64(f.PID), Ending: supervise.Ending{Signal: 15}})
		case supervise.Kill:
			soon(time.Millisecond, 5*time.Millisecond, supervise.Exited{Key: f.Key, Incarnation: uint64(f.PID), Ending: supervise.Ending{Signal: 9}})
		case supervise.Report:
			exit := f.Exit
			exit.Seq = m.acked + uint64(len(m.exits)) + 1
			m.exits = append(m.exits, exit)
			m.w.soon(m.node.host, time.Millisecond, m.node.readJournal)
		case supervise.Record, supervise.Forget, supervise.Finished:
		}
	}
	m.timer++
	if due, ok := m.set.Due(); ok {
		timer := m.timer
		m.w.after(due.Sub(m.clock()), func() {
			if m.timer == timer {
				m.supervise(supervise.Tick{})
			}
		})
	}
}

// exit ends a process that runs.
func (m *machine) exit(k supervise.Key) {
	u, ok := m.set.Unit(k)
	if !ok || u.State != supervise.Running {
		return
	}
	m.w.summary.Exits++
	m.supervise(supervise.Exited{Key: k, Incarnation: u.Incarnation, Ending: supervise.Ending{Code: 1}})
}

// reboot kills the agent and all processes.
func (m *machine) reboot() {
	m.w.say(m.node.name, "reboots")
	m.boot++
	m.sequence, m.offset = 0, m.node.skew
	m.w.crash(m.node.host)
	m.supervise(supervise.Resume{Rebooted: true})
	m.node.rebooted = true
}
