package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/spool"
	"github.com/vow-os/vow/svc-node/internal/usage"
)

const (
	// usageReads is how often what partitions use is read for one report, at least every maxUsageRead: every minute as a rule. A process that lives
	// shorter is seen by its parent alone.
	usageReads   = 15
	maxUsageRead = 5 * time.Minute
	// usageScripts is how often the scripts of etc/report run, as SlapOS's `slapos node report` does.
	usageScripts = time.Hour
	// maxUsageSamples is how many samples svc-master takes at once.
	maxUsageSamples = 1000
	// usageJournals is how many days of the tioxml journal are kept for whoever collects them.
	usageJournals = 62
)

// UsageReader reads what partitions use.
type UsageReader interface {
	// Read reads it; roots are the supervised processes, partition by process id. It is called by one goroutine.
	Read(ctx context.Context, tenants []usage.Tenant, roots map[int]string) (map[string]usage.Reading, error)
	Close()
}

// consumption is what the agent does about usage: it decides nothing, and no run waits for it.
type consumption struct {
	a     *Agent
	meter *usage.Meter
	day   *storev1.NodeUsageDay
}

// consume reads, batches and journals what partitions consume, until ctx ends.
func (a *Agent) consume(ctx context.Context) error {
	defer a.s.Usage.Close()
	c := &consumption{a: a, meter: usage.NewMeter(), day: &storev1.NodeUsageDay{}}
	if content, err := os.ReadFile(a.usageDayPath()); err == nil {
		if err := proto.Unmarshal(content, c.day); err != nil {
			a.s.Telemetry.Log.WarnContext(ctx, "what was consumed today is lost to the journal", "error", err)
			c.day = &storev1.NodeUsageDay{}
		}
	}
	// Each computer has its own place in the grids: a fleet reports evenly.
	now := time.Now()
	read := now
	report := backoff.NextInGrid(a.s.Computer+"/usage", a.s.UsageEvery, now)
	scripts := backoff.NextInGrid(a.s.Computer+"/report", usageScripts, now)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		now = time.Now()
		if !read.After(now) || !report.After(now) {
			c.read(ctx, now)
			read = now.Add(min(a.s.UsageEvery/usageReads, maxUsageRead))
		}
		if !scripts.After(now) {
			scripts = backoff.NextInGrid(a.s.Computer+"/report", usageScripts, now)
			a.group.Go("report scripts", func(ctx context.Context) error {
				c.scripts(ctx)
				return nil
			})
		}
		if !report.After(now) {
			report = backoff.NextInGrid(a.s.Computer+"/usage", a.s.UsageEvery, now)
			c.report(ctx, now)
		}
		next := read
		for _, at := range []time.Time{report, scripts} {
			if at.Before(next) {
				next = at
			}
		}
		timer.Reset(time.Until(next))
	}
}

// tenants are the partitions that hold something.
func (a *Agent) tenants() (tenants []usage.Tenant, directories []partition.Directory) {
	for _, p := range a.node.Load().Partitions() {
		if p.Desired.AllocationID == "" {
			continue
		}
		d, err := a.s.Root.Directory(p.Name)
		if err != nil {
			continue // it is not formatted, and said at each run
		}
		t := usage.Tenant{Partition: p.Name, AllocationID: p.Desired.AllocationID, Directory: d.Path}
		if d.User.Switch {
			t.UID = d.User.UID
		}
		tenants, directories = append(tenants, t), append(directories, d)
	}
	return tenants, directories
}

func (c *consumption) read(ctx context.Context, now time.Time) {
	units, err := c.a.s.Supervisor.List(ctx, "")
	if err != nil {
		c.a.s.Telemetry.Log.DebugContext(ctx, "usage is not read", "error", err)
		return
	}
	roots := map[int]string{}
	for _, u := range units {
		if u.PID > 0 && u.Process.Partition != "" {
			roots[u.PID] = u.Process.Partition
		}
	}
	tenants, _ := c.a.tenants()
	readings, err := c.a.s.Usage.Read(ctx, tenants, roots)
	if err != nil {
		c.a.s.Telemetry.Log.WarnContext(ctx, "usage is not read", "error", err)
		return
	}
	c.meter.Add(tenants, readings, now)
}

// report spools what was measured and what scripts left. What cannot be spooled is measured on, and stays where it is.
func (c *consumption) report(ctx context.Context, now time.Time) {
	samples := c.meter.Samples(now)
	if err := c.a.keepUsage(samples); err != nil {
		c.a.s.Telemetry.Log.WarnContext(ctx, "usage waits for the disk", "error", err)
		return
	}
	c.meter.Taken()
	c.day = usage.AddDay(c.day, samples)
	tenants, directories := c.a.tenants()
	for i, d := range directories {
		files, invalid := usage.Files(c.a.s.Root.Path(), d, tenants[i].AllocationID)
		c.a.setProblems(d.Name, invalid, func(p *problems) *[]string { return &p.journals })
		if invalid != nil {
			c.a.s.Telemetry.Log.WarnContext(ctx, "a report script left what is no journal", "partition", d.Name, "error", invalid)
		}
		for _, f := range files {
			err := c.a.keepUsage([]*masterv1.UsageSample{f.Sample})
			if err == nil {
				err = f.Remove()
			}
			if err != nil {
				c.a.s.Telemetry.Log.WarnContext(ctx, "what a report script says waits", "partition", d.Name, "error", err)
				break
			}
			c.day = usage.AddDay(c.day, []*masterv1.UsageSample{f.Sample})
		}
	}
	if err := c.journal(); err != nil {
		c.a.s.Telemetry.Log.WarnContext(ctx, "the journal of usage is not written", "error", err)
	}
	c.a.wantReplay()
}

// journal writes the tioxml journal of the day, and forgets the oldest.
func (c *consumption) journal() error {
	if c.day.GetDay() == "" {
		return nil
	}
	content, err := proto.Marshal(c.day)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.a.usageDayPath(), content, 0o600); err != nil {
		return err
	}
	text, err := usage.Journal(c.a.s.Computer, c.day)
	if err != nil {
		return err
	}
	folder := filepath.Join(c.a.s.Root.Path(), "var", "xml_report", c.a.s.Computer)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(folder, c.day.GetDay()+".xml"), text, 0o644); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder) // sorted by name, which is the day
	for i := 0; err == nil && i < len(entries)-usageJournals; i++ {
		if _, dated := time.Parse(time.DateOnly, strings.TrimSuffix(entries[i].Name(), ".xml")); dated == nil {
			err = os.Remove(filepath.Join(folder, entries[i].Name()))
		}
	}
	return err
}

// scripts runs those of etc/report, one partition after the other.
func (c *consumption) scripts(ctx context.Context) {
	for _, p := range c.a.node.Load().Partitions() {
		if p.Desired.Requested != converge.Started || ctx.Err() != nil {
			continue
		}
		d, err := c.a.s.Root.Directory(p.Name)
		if err == nil {
			err = usage.Scripts(telemetry.NewRootContext(ctx), c.a.tracer, d)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // it never ran
		}
		if ctx.Err() == nil {
			c.a.setProblems(p.Name, err, func(p *problems) *[]string { return &p.scripts })
		}
		if err != nil && ctx.Err() == nil {
			c.a.s.Telemetry.Log.WarnContext(ctx, "a report script failed", "partition", p.Name, "error", err)
		}
	}
}

func (a *Agent) usageDayPath() string { return filepath.Join(a.s.StateDir, "usage-day.pb") }

// keepUsage spools samples in batches that svc-master takes.
func (a *Agent) keepUsage(samples []*masterv1.UsageSample) error {
	for len(samples) > 0 {
		n := min(len(samples), maxUsageSamples)
		batch := &storev1.NodeUsage{Report: &masterv1.ReportUsageRequest{Computer: a.s.Computer, Samples: samples[:n]}, SpooledAt: timestamppb.Now()}
		if err := a.put(a.usages, limitUsages, "", batch); err != nil {
			return err
		}
		samples = samples[n:]
	}
	return nil
}

func (a *Agent) sendUsage(ctx context.Context, s *spool.Spool) (bool, error) {
	m := new(storev1.NodeUsage)
	return a.sendFirst(ctx, s, m, func() *typev1.TraceContext { return nil }, func(ctx context.Context) error {
		return a.s.Master.ReportUsage(ctx, m.GetReport())
	})
}
