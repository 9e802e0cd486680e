package model

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/supervise"
)

// run is one run of a partition on its node.
type run struct {
	node     *node
	handle   converge.Handle
	want     converge.Desired
	token    uint64
	stages   converge.Run
	tenant   *tenant
	began    time.Duration
	verdicts []fleet.Verdict
	locally  bool
}

// startRun carries out a run, as the engine of svc-node does.
func (n *node) startRun(h converge.Handle, want converge.Desired) {
	w := n.w
	n.w.checker.runStarted(n, h)
	r := &run{node: n, handle: h, want: want, token: n.machine.tokens[h.AllocationID]}
	n.runs[h.Partition] = r
	if h.Local {
		w.summary.LocalRuns++
		r.carry()
		return
	}
	begin := fleet.BeginRun{AllocationID: h.AllocationID, RunID: h.RunID, Cause: fleet.Cause(h.Cause), Attempt: h.Attempt, DueAt: h.DueAt, OrderedAt: h.OrderedAt}
	patiently(w, n.host, w.master.host, 5*time.Second, func() (begun, error) { return w.master.begin(begin) }, func(a begun, err error, answered bool) {
		switch {
		case !answered:
			r.end(converge.Unbegun)
			return
		case err != nil:
			r.end(converge.Refused)
			return
		}
		r.token = a.Token
		n.machine.tokens[h.AllocationID] = a.Token
		if !(a.desired.AllocationID == want.AllocationID && a.desired.Generation.Less(want.Generation)) {
			r.want = a.desired
			n.step(converge.Learned{Item: a.desired})
		}
		if n.up {
			r.carry()
		}
	})
}

// carry begins the steps.
func (r *run) carry() {
	r.began = r.node.w.now
	r.tenant = r.node.machine.tenantOf(r.want)
	r.node.senseTenant(r.tenant)
	r.next(converge.StepEnded{Stage: converge.Beginning, Result: converge.Success, Requested: r.want.Requested})
}

func (r *run) next(e converge.StepEnded) {
	r.stages, _ = r.stages.Step(e)
	w, n := r.node.w, r.node
	switch r.stages.Stage {
	case converge.AtRelease:
		w.soon(n.host, time.Millisecond, func() { r.ended("release", false) })
	case converge.AtPrepare, converge.AtRetention, converge.AtPrerm, converge.AtDestroy:
		// They do nothing but to the disk, of which this world has none.
		r.next(converge.StepEnded{Stage: r.stages.Stage, Result: converge.Success})
	case converge.AtProfile:
		w.soon(n.host, w.between(5*time.Millisecond, 50*time.Millisecond), r.profile)
	case converge.AtServices:
		w.soon(n.host, time.Millisecond, r.services)
	case converge.AtPromises:
		s := converge.NewSensing(r.names(), r.newestStart(), w.clock(n.host))
		r.sense(s)
	case converge.Reporting:
		r.report()
	case converge.Beginning:
	}
}

// ended is the end of a step, unless the world makes it fail.
func (r *run) ended(kind string, changed bool) {
	t := r.tenant
	if t.fails > 0 && t.stage == r.stages.Stage {
		t.fails--
		r.next(converge.StepEnded{Stage: r.stages.Stage, Result: converge.Failure, Error: "the world says so", ErrorType: kind})
		return
	}
	r.next(converge.StepEnded{Stage: r.stages.Stage, Result: converge.Success, Changed: changed})
}

func (r *run) fail(kind, text string) {
	r.next(converge.StepEnded{Stage: r.stages.Stage, Result: converge.Failure, Error: text, ErrorType: kind})
}

// profile applies the version that is wanted, requests the children with it, and publishes.
func (r *run) profile() {
	c := r.want.Content.(content)
	r.node.w.checker.applied(r.tenant, c.version, r.want.Generation.Epoch)
	changed := r.tenant.version != c.version
	r.tenant.version, r.tenant.epoch, r.tenant.hosted = c.version, r.want.Generation.Epoch, c.hosted
	r.request(0, true, changed)
}

// request requests the children one by one, as a profile does.
func (r *run) request(at int, ready, changed bool) {
	w, n, c := r.node.w, r.node, r.want.Content.(content)
	if at == len(r.tenant.plan.children) {
		if !ready && r.tenant.plan.waits {
			r.fail(converge.TypeNotAvailable, "a child is not ready")
			return
		}
		r.requestShared(func(more bool) { r.publish(changed || more) })
		return
	}
	child := r.tenant.plan.children[at]
	e := fleet.Request{
		RequestID: r.handle.RunID + "/" + child.title, RequesterID: c.instance, Title: child.title, Release: "release", Parameters: map[string]string{"version": strconv.Itoa(c.version)},
	}
	patiently(w, n.host, w.master.host, 5*time.Second, func() (fleet.RequestAnswer, error) { return w.master.request(c.tree, e) }, func(a fleet.RequestAnswer, err error, answered bool) {
		if !answered || err != nil {
			r.fail(converge.TypeNotAvailable, "cannot request "+child.title)
			return
		}
		r.request(at+1, ready && a.Ready, changed || a.Changed)
	})
}

func (r *run) publish(changed bool) {
	if r.handle.Local {
		r.ended(converge.TypeProfile, changed)
		return
	}
	w, n := r.node.w, r.node
	e := fleet.Publish{AllocationID: r.handle.AllocationID, Token: r.token, Parameters: map[string]string{"value": fmt.Sprint(r.tenant.published)}}
	patiently(w, n.host, w.master.host, 5*time.Second, func() (fleet.PublishAnswer, error) { return w.master.publish(e) }, func(a fleet.PublishAnswer, err error, answered bool) {
		if !answered || err != nil {
			r.fail(converge.TypeProfile, "cannot publish")
			return
		}
		r.publishShared(sortedKeys(r.tenant.hosted), func() { r.ended(converge.TypeProfile, changed || a.Changed) })
	})
}

// services hands the processes to the supervisor, repairs what a run repairs, and waits until the supervisor has them.
func (r *run) services() {
	m, t := r.node.machine, r.tenant
	m.supervise(supervise.Apply{Partition: t.partition, Processes: t.processes(r.want.Requested)})
	repaired := false
	for _, p := range t.promises {
		if p.repairs > 0 {
			p.repairs--
			repaired = true
		}
	}
	tries := 0
	var wait func()
	wait = func() {
		if tries++; !m.set.Settled(t.partition) && tries < 200 {
			r.node.w.soon(r.node.host, 50*time.Millisecond, wait)
			return
		}
		r.ended(converge.TypeServices, repaired)
	}
	wait()
}

func (r *run) names() []string {
	var names []string
	for _, p := range r.tenant.promises {
		names = append(names, p.name)
	}
	return names
}

// newestStart is when the newest service of the partition started.
func (r *run) newestStart() time.Time {
	var newest time.Time
	for i := range r.tenant.plan.services {
		if u, ok := r.node.machine.set.Unit(key(r.tenant, i)); ok && u.RanSince.After(newest) {
			newest = u.RanSince
		}
	}
	return newest
}

// sense senses what the core asks for, again until it says enough, then has it evaluated.
func (r *run) sense(s converge.Sensing) {
	w, n := r.node.w, r.node
	if len(s.Names) == 0 {
		n.evaluate(r)
		return
	}
	w.soon(n.host, max(s.At.Sub(w.clock(n.host)), time.Millisecond), func() {
		var failed []string
		for _, p := range r.tenant.promises {
			if slices.Contains(s.Names, p.name) && n.record(r.tenant, p, true).Failed {
				failed = append(failed, p.name)
			}
		}
		next, _ := s.Sensed(failed, w.clock(n.host))
		r.sense(next)
	})
}

// tested ends the promises step.
func (r *run) tested(tested []converge.Tested, verdicts []fleet.Verdict, locally bool) {
	r.verdicts, r.locally = verdicts, locally
	if result, text := converge.Verdict(tested); result != converge.Success {
		r.fail(converge.TypePromise, text)
		return
	}
	r.ended(converge.TypePromise, false)
}

// report sends the report, or spools it.
func (r *run) report() {
	w, n, h := r.node.w, r.node, r.handle
	e := fleet.ReportRun{
		AllocationID: h.AllocationID, RunID: h.RunID, Token: r.token, Result: fleet.Result(r.stages.Result), Error: r.stages.Error, ErrorType: r.stages.ErrorType,
		Changed: r.stages.Changed, Verdicts: r.verdicts, EvaluatedLocally: r.locally, Duration: w.now - r.began, Cause: fleet.Cause(h.Cause),
	}
	if r.want.Requested == converge.Destroyed && r.stages.Result == converge.Success {
		n.empty(h.Partition)
	}
	if h.Local {
		e.Local = &fleet.LocalRun{BootID: n.machine.bootID(), Sequence: h.Sequence}
		n.spool(e)
		if e.Result == fleet.Success {
			delete(n.machine.bangs, h.Partition) // it tells of what has passed
		}
		r.end(converge.Done)
		n.drain()
		return
	}
	losses := w.losses
	patiently(w, n.host, w.master.host, 3*time.Second, func() (fleet.ReportRunAnswer, error) { return w.master.report(e) }, func(a fleet.ReportRunAnswer, err error, answered bool) {
		if answered {
			w.checker.reportAcked(&e, a, err, losses)
		} else {
			n.spool(e)
		}
		r.end(converge.Done)
		n.drain()
	})
}

// maxReports is how many reports the spool of a machine holds.
const maxReports = 1000

func (n *node) spool(e fleet.ReportRun) {
	if len(n.machine.reports) < maxReports {
		n.machine.reports = append(n.machine.reports, e)
	}
}

// end releases the lock and tells converge.
func (r *run) end(outcome converge.Outcome) {
	n := r.node
	n.w.checker.runOver(n, r.handle.Partition)
	delete(n.runs, r.handle.Partition)
	n.step(converge.Ended{Partition: r.handle.Partition, RunID: r.handle.RunID, Outcome: outcome, Result: r.stages.Result, ErrorType: r.stages.ErrorType})
}
