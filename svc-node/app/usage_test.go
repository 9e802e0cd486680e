package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-node/app"
)

// steady reads that each partition uses a second of CPU a minute, 10 MB of memory and 20 MB of disk.
type steady struct{ last time.Time }

func (s *steady) Read(_ context.Context, tenants []app.UsageTenant, _ map[int]string) (map[string]app.UsageReading, error) {
	readings := map[string]app.UsageReading{}
	for _, t := range tenants {
		r := app.UsageReading{Memory: 10e6, Disk: 20e6, Processes: 1}
		if !s.last.IsZero() {
			r.CPU = time.Since(s.last) / 60
		}
		readings[t.Partition] = r
	}
	s.last = time.Now()
	return readings, nil
}

func (*steady) Close() {}

func TestUsageIsReportedAlsoOfTheTimeWhenSvcMasterWasAwayAndCountedOnce(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		began := time.Now()
		n.cut("master")
		time.Sleep(24 * time.Hour)
		n.heal("master")
		time.Sleep(time.Hour)
		samples, covered, cpu, at := 0, 0.0, 0.0, map[time.Time]bool{}
		for _, r := range look(n.control, func() []*masterv1.ReportUsageRequest { return n.usage }) {
			for _, s := range r.GetSamples() {
				if s.GetAllocationId() != "t1.a1" || s.GetMemoryBytes() != 10e6 || s.GetDiskBytes() != 20e6 || s.GetProcesses() != 1 || at[s.GetAt().AsTime()] {
					t.Fatalf("sample %v", s)
				}
				at[s.GetAt().AsTime()] = true
				samples, covered, cpu = samples+1, covered+s.GetPeriodSeconds(), cpu+s.GetCpuSeconds()
			}
		}
		if want := time.Since(began).Seconds(); covered < want-20*60 || covered > want+60 || samples < 100 || samples > 110 || cpu < covered/60-1 || cpu > covered/60+1 {
			t.Errorf("%d samples cover %.0f s of %.0f with %.0f s of CPU", samples, covered, want, cpu)
		}
		journals, err := filepath.Glob(filepath.Join(n.dir, "instance", "var", "xml_report", computer, "*.xml"))
		if err != nil || len(journals) != 2 {
			t.Fatalf("journals are %v, %v", journals, err)
		}
		if content, err := os.ReadFile(journals[0]); err != nil || !strings.Contains(string(content), "<resource>service_module/memory_used</resource>") || !strings.Contains(string(content), "<quantity>10000000</quantity>") {
			t.Errorf("the first is %s, %v", content, err)
		}
	})
}
