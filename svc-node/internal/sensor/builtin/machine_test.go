package builtin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// prepare makes a check of a sensor with a faked machine.
func prepare(t *testing.T, s Sensor, config map[string]string) *Check {
	t.Helper()
	c := &Config{values: config}
	made := s.prepare(c)
	if c.err != nil {
		t.Fatal(c.err)
	}
	return &made
}

func TestTheDiskHasFreeSpaceAndInodes(t *testing.T) {
	const g = gigabyte
	for _, one := range []struct {
		disk   disk
		config map[string]string
		want   string
	}{
		{disk{free: 269.1 * g, used: 147.9 * g, inodes: 100, freeInodes: 50}, nil, "INFO Current disk usage: OK"},
		{disk{free: 20 * g, used: 397 * g}, nil, "ERROR Free disk space low: remaining 20.00 G (disk size: 417 G, threshold: 21 G)."},
		{disk{free: 269.1 * g, used: 147.9 * g}, map[string]string{"threshold": "278"}, "ERROR Free disk space low: remaining 269.10 G (disk size: 417 G, threshold: 278 G)."},
		{disk{free: 50 * g, used: 50 * g, inodes: 1000, freeInodes: 20}, nil, "ERROR Disk Inodes usage is really high: 98.0000%\nINFO Current disk usage: OK"},
		{disk{free: 50 * g, used: 50 * g}, map[string]string{"display-prediction": "1"}, "INFO Current disk usage: OK\nWARNING Trying to use statsmodels and pandas but at least one module is not installed. Prediction skipped."},
	} {
		s := freeDiskSpaceOf(func(string) (disk, error) { return one.disk, nil }, func(string) bool { return false })
		expect(t, sense(t, place(t), prepare(t, s, one.config)), one.want)
	}
	windows(t, check(t, "check_free_disk_space", nil), Rule{}, Rule{3, 3}, false)
	if got := sense(t, place(t), check(t, "check_free_disk_space", map[string]string{"threshold": "0"})); !strings.Contains(got, "INFO Current disk usage: OK") {
		t.Errorf("of this machine's disk it says %s", got)
	}
}

func TestMemoryIsAvailableNowAndOnAverage(t *testing.T) {
	now, bytes := time.Unix(1e9, 0), 300e6
	s := ramUsageOf(func() (float64, error) { return bytes, nil }, func() time.Time { return now })
	m := NewMachine(child.NewRunner())
	c := prepare(t, s, map[string]string{"min-threshold-ram": "150", "min-avg-ram": "200", "avg-ram-period": "600"})
	step := func(available float64) string {
		bytes = available
		now = now.Add(2 * time.Minute)
		return said(c.Sense(t.Context(), m, place(t)))
	}
	expect(t, step(300e6), "INFO RAM usage OK")
	expect(t, step(200e6), "INFO RAM usage OK") // on average 250 MB
	expect(t, step(100e6), "ERROR RAM usage reached critical threshold:   95.4M  (threshold is  150.0M)\n"+
		"ERROR Average RAM usage over the last 600 seconds reached threshold:  190.7M (threshold is  200.0M)")
	for range 6 {
		step(300e6)
	}
	expect(t, step(300e6), "INFO RAM usage OK") // what was low is more than ten minutes ago
	windows(t, c, Rule{}, Rule{3, 2}, true)
	if got := sense(t, place(t), check(t, "check_ram_usage", map[string]string{"min-threshold-ram": "0", "min-avg-ram": "0"})); got != "INFO RAM usage OK" {
		t.Errorf("of this machine it says %s", got)
	}
}

func TestSamplesOfMemoryAreBounded(t *testing.T) {
	var m memory
	at := time.Unix(1e9, 0)
	for range 10 * maxSamples {
		at = at.Add(time.Minute)
		m.add(at, 1, time.Hour)
	}
	if len(m.samples) > maxSamples {
		t.Errorf("%d samples are kept", len(m.samples))
	}
	if oldest := at.Sub(m.samples[0].at); oldest < 8*time.Hour {
		t.Errorf("the oldest sample is %s old", oldest)
	}
}

func TestTheLoadIsJudgedForEachCPU(t *testing.T) {
	s := serverCPULoadOf(func() (load, error) {
		return load{averages: [3]float64{3, 4.25, 4.5}, tasks: "3/400", cpus: 2}, nil
	})
	expect(t, sense(t, place(t), prepare(t, s, nil)), "ERROR CPU load is high: 3.0 4.25 4.5\n\n\ntasks running/all: 3/400, CPUs: 2")
	expect(t, sense(t, place(t), prepare(t, s, map[string]string{"cpu-load-threshold": "2.3"})), "INFO CPU load is OK")
	expect(t, sense(t, place(t), prepare(t, s, map[string]string{"cpu-load-threshold": "much"})), "ERROR CPU load threshold 'much' is not valid: could not convert string to float: 'much'")
	c := check(t, "check_server_cpu_load", map[string]string{"cpu-load-threshold": "1e6"})
	windows(t, c, Rule{10, 10}, Rule{10, 10}, false)
	expect(t, sense(t, place(t), c), "INFO CPU load is OK")
}

func TestAnInterfaceIsUp(t *testing.T) {
	folder := t.TempDir()
	for name, state := range map[string]string{"eth0": "up\n", "eth1": "down\n", "lo": "unknown\n"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name, "operstate"), []byte(state), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := interfaceUpIn(folder)
	none := filepath.Join(folder, "none", "operstate")
	for name, want := range map[string]string{
		"eth0": "INFO eth0 is up", "eth1": "ERROR eth1 is down", "lo": "ERROR lo is down",
		"none": "ERROR [Errno 2] No such file or directory: '" + none + "'",
	} {
		expect(t, sense(t, place(t), prepare(t, s, map[string]string{"ifname": name})), want)
	}
	expect(t, sense(t, place(t), prepare(t, s, map[string]string{"ifname": "none", "testing": "true"})), "INFO skipping promise")
	windows(t, check(t, "check_interface_up", map[string]string{"ifname": "lo"}), Rule{}, Rule{3, 2}, true)
	if _, _, err := Prepare("check_interface_up", map[string]string{"ifname": "../../x"}); err == nil {
		t.Error("a path is the name of an interface")
	}
}

func TestAFailedDeploymentIsToldAndLinked(t *testing.T) {
	p := place(t)
	if err := p.User.Do(func() error { return os.MkdirAll(filepath.Join(p.Directory, "var", "log"), 0o755) }); err != nil { //nolint:gosec // the partition's
		t.Fatal(err)
	}
	link := filepath.Join(p.Directory, "var", "log", "slapgrid-slappart7-error.log")
	c := check(t, "check_partition_deployment_state", map[string]string{"monitor-url": "https://m"})
	expect(t, sense(t, p, c), "INFO buildout is OK")
	name := file(t, p, ".slapgrid-slappart7-error.log", "it broke")
	expect(t, sense(t, p, c), "ERROR Buildout failed to process slappart7.\nSee https://m/log/slapgrid-slappart7-error.log for more information.")
	expect(t, sense(t, p, check(t, "check_partition_deployment_state", nil)), "ERROR Buildout failed to process slappart7.")
	if content, err := os.ReadFile(link); err != nil || string(content) != "it broke" {
		t.Errorf("the link shows %q, %v", content, err)
	}
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	expect(t, sense(t, p, c), "INFO buildout is OK")
	if _, err := os.Lstat(link); err == nil {
		t.Error("the link is still there")
	}
	windows(t, c, Rule{}, Rule{2, 2}, false)
}
