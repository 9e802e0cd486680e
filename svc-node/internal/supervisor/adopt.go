package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vow-os/vow/svc-node/internal/cgroup"
	"github.com/vow-os/vow/svc-node/supervise"
)

// newMachine reads what an earlier supervisor left and takes it over.
func newMachine(ctx context.Context, cfg Config, dir string) (*machine, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	hash, err := dirHash(dir)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(dir)
	if err != nil {
		return nil, err
	}
	if j.damaged > 0 {
		cfg.Log.WarnContext(ctx, "lines of the journal could not be read and are ignored", "lines", j.damaged)
	}
	m := &machine{
		ctx: ctx, log: cfg.Log, journal: j, boot: boot, hash: hash, since: cfg.since, executable: cfg.Executable, before: cfg.before, children: map[int]child{},
		limits: map[supervise.Key]*limited{}, tree: cgroup.NewTree("", hash, cfg.Cgroup), gates: map[uint64]*gate{}, events: make(chan supervise.Event), calls: make(chan call), rotated: make(chan struct{}),
	}
	units := make([]supervise.Unit, 0, len(j.units))
	for _, unit := range j.units {
		units = append(units, unit)
	}
	m.set = supervise.Restore(units, j.incarnation)
	rebooted := j.boot != "" && j.boot != boot
	if j.boot != boot {
		j.boot = boot
		j.append(entry{Boot: boot})
	}
	alive := m.survivors(units)
	m.tree.Clean()
	if len(alive) > 0 {
		m.log.InfoContext(ctx, "taking over processes of an earlier supervisor", "processes", len(alive))
	}
	m.step(supervise.Resume{Rebooted: rebooted, Alive: alive})

	agent, err := agentProcess(cfg, dir)
	if err != nil {
		j.close()
		return nil, err
	}
	m.step(supervise.Apply{Processes: agent})
	return m, nil
}

// survivors finds what still runs: processes that the journal names, and processes with our marker that are newer than
// the journal, which happens only when it was lost or its disk was full.
func (m *machine) survivors(units []supervise.Unit) map[supervise.Key]supervise.Alive {
	alive := map[supervise.Key]supervise.Alive{}
	known := map[int]bool{}
	newest := map[supervise.Key]uint64{}
	for _, unit := range units {
		key := unit.Process.Key
		newest[key] = unit.Incarnation
		if unit.PID == 0 || !unit.State.Live() {
			continue
		}
		stat, err := readStat(unit.PID)
		if err != nil || identity(m.boot, stat) != unit.Identity {
			continue
		}
		if unit.Process.Limits.Group() {
			m.limit(unit.Process)
		}
		a := supervise.Alive{PID: unit.PID, Identity: unit.Identity, Child: stat.parent == os.Getpid()}
		if m.watch(key, unit.Process.Kind, unit.Incarnation, a, stat.state) {
			alive[key] = a
			known[a.PID] = true
		}
	}
	for key, a := range scan(m.hash, m.boot) {
		if _, taken := alive[key]; taken || known[a.PID] || a.Incarnation <= newest[key] {
			continue
		}
		if m.watch(key, supervise.Service, a.Incarnation, a, 'S') {
			alive[key] = a
		}
	}
	return alive
}

// watch makes sure that we hear of the end of a process; false = it has ended already.
func (m *machine) watch(key supervise.Key, kind supervise.Kind, incarnation uint64, a supervise.Alive, state byte) bool {
	if a.Child { // also as a zombie: its status waits for us
		m.children[a.PID] = child{key, incarnation, kind}
		return true
	}
	if state == 'Z' || state == 'X' {
		return false
	}
	l := m.limits[key]
	err := watchAdopted(a.PID, a.Identity, m.boot, func() {
		ending := supervise.Ending{Unknown: true}
		if kind != supervise.Run {
			endAdopted(m.hash, key, incarnation)
		}
		if l != nil && l.group != nil {
			ending.Memory = l.group.OutOfMemory()
			if kind != supervise.Run {
				l.group.Kill()
			}
		}
		m.tell(supervise.Exited{Key: key, Incarnation: incarnation, Ending: ending})
	})
	return err == nil
}

// agentProcess is the definition of the agent, or none. It changes, and so restarts the agent, when the executable does.
func agentProcess(cfg Config, dir string) ([]supervise.Process, error) {
	if len(cfg.Agent) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(cfg.Agent[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the agent %q: %w", cfg.Agent[0], err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot find the agent %q: %w", cfg.Agent[0], cause(err))
	}
	work, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("cannot start the agent: the working directory: %w", err)
	}
	return []supervise.Process{{
		Key: supervise.AgentKey(), Kind: supervise.Agent, Path: path, Argv: cfg.Agent, Env: agentEnvironment(), Dir: work,
		Revision: fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano)),
		Log:      supervise.Log{Path: filepath.Join(dir, "agent.log"), MaxBytes: 10 << 20, Keep: 3},
	}}, nil
}
