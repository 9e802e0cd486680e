package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/disk"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/record"
	"github.com/vow-os/vow/svc-node/internal/run"
	"github.com/vow-os/vow/svc-node/internal/sense"
	"github.com/vow-os/vow/svc-node/internal/senselog"
	"github.com/vow-os/vow/svc-node/internal/spool"
)

// Agent runs the partitions of one computer.
type Agent struct {
	s        Settings
	tracer   trace.Tracer
	exits    conv.Counter
	limits   conv.Counter
	engine   *run.Engine
	senses   *sense.Manager
	groups   *senselog.Log
	records  *record.Store
	reports  *spool.Spool
	bangs    *spool.Spool
	usages   *spool.Spool
	disk     *disk.Watch
	software *software

	group  *app.Group
	events chan converge.Event
	node   atomic.Pointer[converge.Node]
	// registered is closed after the first attempt to register.
	registered chan struct{}
	// replayWanted and statusWanted wake their goroutines.
	replayWanted, statusWanted chan struct{}
	gauges                     []metric.Registration

	mu     sync.Mutex // guards what follows; never held while anything waits
	links  map[string]linkState
	window time.Duration
	errors map[string]string // of the latest run, by partition
	uses   map[string]use    // by partition
	// problems are what is wrong with a partition though no run fails of it, by partition.
	problems map[string]problems
}

// New opens what the agent keeps on disk.
func New(s Settings) (*Agent, error) {
	const scope = "svc-node/internal/agent"
	a := &Agent{
		s: s, tracer: s.Telemetry.Tracer(scope),
		exits: conv.ProcessExits.New(s.Telemetry.Meter(scope)), limits: conv.LimitHits.New(s.Telemetry.Meter(scope)),
		events: make(chan converge.Event, 256), registered: make(chan struct{}),
		replayWanted: make(chan struct{}, 1), statusWanted: make(chan struct{}, 1),
		links: map[string]linkState{}, window: s.ReconnectWindow, errors: map[string]string{}, uses: map[string]use{}, problems: map[string]problems{},
	}
	a.group = app.NewGroup(context.Background(), s.Telemetry.Log)
	locks := filepath.Join(s.StateDir, "lock")
	for _, dir := range []string{locks, s.Root.Path()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("cannot start the agent: %w", err)
		}
	}
	var err error
	if a.records, err = record.Open(filepath.Join(s.StateDir, "record"), !s.Unsynced); err != nil {
		return nil, err
	}
	if a.reports, err = spool.Open(filepath.Join(s.StateDir, "spool", "report"), MaxReports, !s.Unsynced); err != nil {
		return nil, err
	}
	if a.bangs, err = spool.Open(filepath.Join(s.StateDir, "spool", "bang"), MaxBangs, !s.Unsynced); err != nil {
		return nil, err
	}
	if a.usages, err = spool.Open(filepath.Join(s.StateDir, "spool", "usage"), MaxUsages, false); err != nil {
		return nil, err
	}
	a.disk = disk.NewWatch([]disk.Folder{{Path: s.StateDir}, {Path: s.Root.Path(), Least: s.MinFree}}, s.DiskEvery, a.diskChanged)
	counter, err := a.records.Counter()
	if err != nil {
		return nil, err
	}
	rebooted := counter.GetBootId() != s.BootID
	if a.groups, err = senselog.Open(filepath.Join(s.StateDir, "sense"), rebooted && counter.GetBootId() != "", a.disk.Failed); err != nil {
		return nil, err
	}
	if err := a.restore(counter, rebooted); err != nil {
		return nil, err
	}
	a.software = newSoftware(s, a.usedReleases)
	a.senses = sense.New(sense.Settings{
		Computer: s.Computer, BootID: s.BootID, Slots: s.Slots, Sensor: s.Sensor, Evaluator: s.Evaluator, Promise: s.Promise,
		Log: a.groups, Telemetry: s.Telemetry, Delay: s.SenseDelay, Batch: s.SenseBatch, Runs: a.runs, Mutes: filepath.Join(s.StateDir, "mutes"),
		Bang: func(_ context.Context, partition string, bang *masterv1.BangRequest) {
			a.group.Go("anomaly", func(ctx context.Context) error {
				a.bang(ctx, partition, bang)
				return nil
			})
		},
	})
	a.engine = run.New(run.Settings{
		Computer: s.Computer, BootID: s.BootID, Root: s.Root, Locks: locks,
		Executable: s.Executable, ServerURL: s.ServerURL, Timeout: s.RunTimeout, Disk: a.disk, Problems: a.problemsOf,
		Master: s.Master, Supervisor: s.Supervisor, Installer: s.Installer, Releases: a.software, Senses: senses{a.senses},
		Revisions: partition.NewRevisions(), Policy: s.Policy, Telemetry: s.Telemetry,
		Learned: func(d *masterv1.DesiredPartition) {
			a.begins(d)
			a.tell(a.group.Context(), converge.Learned{Item: desiredOf(d)})
		},
		Spool: func(r *storev1.NodeReport) error {
			defer a.wantReplay()
			return a.keepReport(r)
		},
	})
	return a, nil
}

// restore makes the state of converge from the records.
func (a *Agent) restore(counter *storev1.NodeCounter, rebooted bool) error {
	now := time.Now()
	sequence := counter.GetSequence()
	if rebooted {
		sequence = 0
		if err := a.records.Count(&storev1.NodeCounter{BootId: a.s.BootID}); err != nil {
			// A machine that boots with a bad disk still runs its partitions. Beyond any number that is counted, so that a next agent gives none again.
			sequence = uint64(now.Unix())
			a.s.Telemetry.Log.Error("the runs of this boot are not counted on the disk", "error", err)
		}
	}
	node := converge.NewNode(a.s.Computer, a.s.BootID, a.s.Slots, sequence, now)
	stored, broken, err := a.records.Partitions()
	if err != nil {
		return err
	}
	for _, err := range broken {
		a.s.Telemetry.Log.Error("what was known of a partition is lost until svc-master tells it again", "error", err)
	}
	for _, p := range stored {
		node = node.With(partitionOf(p), now)
		a.errors[p.GetDesired().GetPartition()] = p.GetError()
		a.uses[p.GetDesired().GetPartition()] = use{runs: p.GetRunsRelease()}
		a.problems[p.GetDesired().GetPartition()] = problems{scripts: p.GetProblems()}
	}
	node, _, _ = node.Step(converge.Start{Rebooted: rebooted && counter.GetBootId() != ""}, now)
	a.node.Store(&node)
	return nil
}

// Start starts everything; it waits for nobody.
func (a *Agent) Start(context.Context) error {
	a.observe()
	a.senses.Begin()
	for _, p := range a.node.Load().Partitions() {
		if p.Desired.Requested != converge.Started {
			continue
		}
		directory, err := a.s.Root.Directory(p.Name)
		if err == nil {
			err = a.senses.Watch(directory, p.Desired.AllocationID)
		}
		if err != nil {
			a.s.Telemetry.Log.Error("the promises of a partition are not sensed until its next run", "partition", p.Name, "error", err)
		}
	}
	a.group.Go("loop", a.loop)
	a.group.Go("disk", a.disk.Run)
	a.group.Go("register", a.register)
	a.group.Go("sensing", a.senses.Run)
	a.group.Go("software", a.software.run)
	a.group.Go("watchdog", a.watch)
	a.group.Go("replay", a.replay)
	a.group.Go("usage", a.consume)
	a.keep(linkDesired, a.desired)
	a.keep(linkLink, a.link)
	a.keep(linkOrders, a.orders)
	a.keep(linkSense, a.senses.Stream)
	return nil
}

// Stop ends everything. Services go on: they are the supervisor's.
func (a *Agent) Stop(ctx context.Context) error {
	err := a.group.Stop(ctx)
	a.senses.Close()
	for _, g := range a.gauges {
		_ = g.Unregister() // it was registered
	}
	if closeErr := a.groups.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Done is closed when the agent ends by itself; Err says why.
func (a *Agent) Done() <-chan struct{} { return a.group.Done() }

// Err is why the agent ended.
func (a *Agent) Err() error { return a.group.Err() }

// observe makes the gauges.
func (a *Agent) observe() {
	meter := a.s.Telemetry.Meter("svc-node/internal/agent")
	a.gauges = append(a.gauges, a.senses.Observe(meter), conv.SpoolSize.Observe(meter, func(_ context.Context, observe conv.Observer) {
		groups, _ := a.senses.Waiting()
		observe(int64(groups), conv.SpoolKind.String(conv.SpoolGroups))
		observe(int64(a.bangs.Len()), conv.SpoolKind.String(conv.SpoolBangs))
		observe(int64(a.reports.Len()), conv.SpoolKind.String(conv.SpoolReports))
		observe(int64(a.usages.Len()), conv.SpoolKind.String(conv.SpoolUsage))
	}))
}

// runs is what svc-promise wants to know of a partition's runs.
func (a *Agent) runs(name string) (*promisev1.PartitionRuns, bool) {
	p := a.node.Load().Partition(name)
	if p.Phase == converge.Free || p.Desired.AllocationID == "" {
		return nil, false
	}
	content, _ := p.Desired.Content.(*masterv1.DesiredPartition)
	return &promisev1.PartitionRuns{
		AllocationId: p.Desired.AllocationID, Partition: name, LatestSuccess: p.Latest == converge.Success,
		LastSuccessRunId: p.LastSuccess, RunInProgress: p.InProgress(), SoftwareRelease: content.GetSoftwareRelease(),
	}, true
}

// senses makes a sense.Manager what a run wants of it.
type senses struct{ *sense.Manager }

// Test senses and evaluates all promises of a partition.
func (s senses) Test(ctx context.Context, t run.Test) (run.Tested, error) {
	verdicts, locally, err := s.Manager.Test(ctx, sense.Trial{
		Directory: t.Directory, AllocationID: t.AllocationID, RunID: t.RunID, Started: t.Started, Span: t.Span,
	})
	return run.Tested{Verdicts: verdicts, Locally: locally}, err
}
