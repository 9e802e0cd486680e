package model

import (
	"fmt"
	"time"
)

// World is everything there is in one run of the simulator.
type World struct {
	loop
	cfg     Config
	plans   []*treePlan
	master  *master
	agendas *agendaStore
	// replicas of svc-scheduler.
	replicas []*replica
	promise  *promiseService
	nodes    []*node
	client   *client
	streams  []*stream
	cuts     map[link]int // how often a pair is cut
	// storming is true while faults are injected.
	storming bool
	// losses of the last seconds of the store.
	losses  int
	checker *checker
	summary Summary
}

// Summary is what happened in a world.
type Summary struct {
	Seed uint64
	// Steps of the loop, and the virtual time that passed.
	Steps   uint64
	Virtual time.Duration
	// Converged is how long after the storm everything was well.
	Converged time.Duration
	// Faults that were injected: crashes of processes, cuts of links, jumps of clocks, exits of services, promises that broke, losses of the store's last seconds; and
	// messages lost.
	Crashes, Cuts, Jumps, Exits, Breakages, Losses, Evictions, Lost uint64
	// Bangs that were acknowledged, by outcome of fleet; convergences that ended; runs that were reported, and those that failed.
	Bangs                       [7]uint64
	Convergences, Runs, Failed  uint64
	Orders, OrdersAgain, Folded uint64
	LocalRuns, Commits          uint64
	// Hosted is how often a shared instance got a host.
	Hosted uint64
}

// Run lets a world happen: a storm, then quiet until everything converged, then the days that were asked for. It returns the first broken rule.
func Run(cfg Config) (Summary, error) {
	w := newWorld(cfg)
	err := w.run()
	w.summary.Seed, w.summary.Steps, w.summary.Virtual = cfg.Seed, w.steps, w.now
	return w.summary, err
}

func newWorld(cfg Config) *World {
	w := &World{loop: newLoop(cfg.Seed), cfg: cfg, cuts: map[link]int{}, storming: cfg.Storm > 0}
	w.checker = newChecker(w)
	w.plant()
	instances := 0
	for _, p := range w.plans {
		instances += len(p.all)
	}
	w.cfg.Partitions = max(cfg.Partitions, (instances+cfg.Nodes-1)/cfg.Nodes) // there is room for all
	w.agendas = &agendaStore{records: map[string]*agendaRecord{}}
	w.master = newMaster(w)
	for i := range cfg.Replicas {
		w.replicas = append(w.replicas, newReplica(w, fmt.Sprintf("scheduler%d", i)))
	}
	w.promise = newPromiseService(w)
	for i := range cfg.Nodes {
		w.nodes = append(w.nodes, newNode(w, fmt.Sprintf("node%02d", i)))
	}
	w.client = newClient(w)
	for _, h := range w.hosts() {
		if cfg.Skew > 0 {
			h.skew = w.between(-cfg.Skew, cfg.Skew)
		}
		w.after(w.between(0, 5*time.Second), func() { w.start(h) }) // they start in any order
	}
	if cfg.Storm > 0 {
		w.after(w.between(0, cfg.Calm), w.fault)
	}
	return w
}

// hosts are all processes, in a fixed order. The supervisors of machines are not among them: they share the fate of their machine.
func (w *World) hosts() []*host {
	all := []*host{w.master.host, w.promise.host, w.client.host}
	for _, r := range w.replicas {
		all = append(all, r.host)
	}
	for _, n := range w.nodes {
		all = append(all, n.host)
	}
	return all
}

// run is the storm, the quiet after it, and the days.
func (w *World) run() error {
	if err := w.until(w.cfg.Storm, nil); err != nil {
		return err
	}
	w.heal()
	healed := w.now
	if err := w.until(w.now+w.cfg.Quiet, w.wrong); err != nil {
		return err
	}
	if wrong := w.wrong(); wrong != "" {
		return w.checker.fail("after %s without faults everything should have converged, and %s", w.cfg.Quiet, wrong)
	}
	w.summary.Converged = w.now - healed
	if err := w.checker.atRest(); err != nil {
		return err
	}
	if w.cfg.Days == 0 {
		return nil
	}
	w.checker.days = w.now
	if w.cfg.sabotage == impatient {
		w.client.hurry()
	}
	for range 24 * w.cfg.Days {
		if err := w.until(w.now+time.Hour, nil); err != nil {
			return err
		}
		if wrong := w.wrong(); wrong != "" { // a promise that can never pass is no reason for its neighbours
			return w.checker.fail("without faults everything should stay well, and %s", wrong)
		}
	}
	return w.checker.atRest()
}

// until steps to a time, or until nothing is wrong any more, which is looked at once a minute.
func (w *World) until(end time.Duration, wrong func() string) error {
	look := w.now + time.Minute
	for w.checker.broken == nil {
		to := end
		if wrong != nil {
			to = min(look, end)
		}
		if w.step(to) {
			continue
		}
		if w.now >= end || wrong != nil && wrong() == "" {
			return w.checker.broken
		}
		look = w.now + time.Minute
	}
	return w.checker.broken
}

// say writes a line of the transcript.
func (w *World) say(who, format string, args ...any) {
	if w.cfg.Transcript != nil {
		fmt.Fprintf(w.cfg.Transcript, "%14.6f %-10s %s\n", w.now.Seconds(), who, fmt.Sprintf(format, args...))
	}
}
