package usage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// world is a /proc of the test.
type world struct {
	t   *testing.T
	dir string
}

func (w world) up(seconds float64) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "uptime"), fmt.Appendf(nil, "%.2f 0.00\n", seconds), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// process writes one; cpu and start are in ticks, children's in reaped.
func (w world) process(pid, parent, cpu, reaped, start, pages int) {
	w.t.Helper()
	dir := filepath.Join(w.dir, fmt.Sprint(pid))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	stat := fmt.Sprintf("%d (a ) name) S %d 1 1 0 -1 4194304 0 0 0 0 %d 0 %d 0 20 0 1 0 %d 1000000 %d 0\n", pid, parent, cpu, reaped, start, pages)
	if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) end(pid int) { _ = os.RemoveAll(filepath.Join(w.dir, fmt.Sprint(pid))) }

func TestCPUIsCountedOnceWhoeverEndsAndWhoeverIsStillThere(t *testing.T) {
	w := world{t, t.TempDir()}
	w.up(100)
	w.process(10, 1, 500, 0, 1, 10) // lived before: what it used before is not counted
	m := newMachine(w.dir)
	tenants, roots := []Tenant{{Partition: "p0", Directory: t.TempDir()}}, map[int]string{10: "p0", 30: "p0"}
	read := func(up float64) Reading {
		t.Helper()
		w.up(up)
		r, err := m.Read(t.Context(), tenants, roots)
		if err != nil {
			t.Fatal(err)
		}
		return r["p0"]
	}
	if r := read(101); r.CPU != 0 || r.Processes != 1 {
		t.Errorf("at first: %+v", r)
	}
	w.process(10, 1, 600, 0, 1, 10)
	w.process(11, 10, 50, 0, 10150, 5) // a child
	w.process(20, 1, 900, 0, 1, 99)    // somebody else's
	if r := read(160); r.CPU != 1500*time.Millisecond || r.Processes != 2 || r.Memory != 15*uint64(os.Getpagesize()) {
		t.Errorf("a minute later: %+v", r)
	}
	w.end(11) // its 50 ticks and 10 more are its parent's now
	w.process(10, 1, 600, 60, 1, 10)
	w.process(30, 1, 7, 0, 20000, 1) // a new service
	if r := read(220); r.CPU != 170*time.Millisecond || r.Processes != 2 {
		t.Errorf("two minutes later: %+v", r)
	}
	w.end(10)
	w.process(10, 1, 3, 0, 25000, 1) // the same number, another process
	if r := read(280); r.CPU != 30*time.Millisecond {
		t.Errorf("after a restart: %+v", r)
	}
}

func TestTheRealProcOfThisProcessIsRead(t *testing.T) {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read x")
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	m := NewMachine()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close(); _ = child.Wait() }()
	var cpu time.Duration
	var last Reading
	for end := time.Now().Add(time.Minute); cpu == 0 && time.Now().Before(end); {
		r, err := m.Read(t.Context(), []Tenant{{Partition: "p0", Directory: t.TempDir()}}, map[int]string{child.Process.Pid: "p0"})
		if err != nil {
			t.Fatal(err)
		}
		last = r["p0"]
		cpu += last.CPU
	}
	if cpu == 0 || last.Memory == 0 || last.Processes == 0 {
		t.Errorf("it uses %+v, %s of CPU", last, cpu)
	}
}

func TestTheDiskIsWalkedALittleAtATimeAndNoLinkIsFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for i := range 2*MaxEntries + 100 {
		if i%500 == 0 {
			if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i/500)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i/500), fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	big := filepath.Join(outside, "big")
	if err := os.WriteFile(big, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"file", "folder"} {
		to := map[string]string{"file": big, "folder": outside}[link]
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ours"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var w walk
	now := time.Now()
	tenants := []Tenant{{Partition: "p0", Directory: dir}, {Partition: "p1", Directory: filepath.Join(dir, "nothing")}}
	w.step(tenants, now)
	if _, done := w.found["p0"]; done {
		t.Fatal("all was walked at once")
	}
	for range 1000 {
		w.step(tenants, now)
	}
	if found := w.found["p0"].bytes; found < 1<<20 || found > 9<<20 || w.open != nil || w.found["p1"].bytes != 0 {
		t.Errorf("found are %d bytes, %+v", found, w.found)
	}
	w.step(tenants[1:], now.Add(2*Rest))
	if _, held := w.found["p0"]; held {
		t.Error("a partition that is gone is remembered")
	}
}

func TestWhatIsNotTakenIsMeasuredOn(t *testing.T) {
	m, now := NewMeter(), time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	tenants := []Tenant{{Partition: "p0", AllocationID: "t.a1"}}
	for i := range 6 {
		m.Add(tenants, map[string]Reading{"p0": {CPU: time.Second, Memory: uint64(i) * 100, Disk: 7, Processes: 2}}, now.Add(time.Duration(i)*time.Minute))
	}
	for range 2 {
		s := m.Samples(now.Add(5 * time.Minute))
		if len(s) != 1 || s[0].GetPeriodSeconds() != 300 || s[0].GetCpuSeconds() != 5 || s[0].GetMemoryBytes() != 300 || s[0].GetProcesses() != 2 || s[0].GetDiskBytes() != 7 {
			t.Fatalf("samples are %v", s)
		}
	}
	m.Taken()
	if s := m.Samples(now); len(s) != 0 {
		t.Errorf("taken, and still %v", s)
	}
}

func TestTheJournalOfADayIsOneThatCanBeReadAgain(t *testing.T) {
	day := AddDay(&storev1.NodeUsageDay{Day: "2026-03-03"}, []*masterv1.UsageSample{
		sample("p0", "2026-03-04T10:00:00Z", 30, 60), sample("p0", "2026-03-04T11:00:00Z", 30, 60), sample("p1", "2026-03-04T11:00:00Z", 0, 0),
	})
	content, err := Journal("one", day)
	if err != nil {
		t.Fatal(err)
	}
	consumed, err := parseJournal(content)
	if err != nil || consumed[resourceCPU] != 50 || consumed["mails"] != 3 {
		t.Errorf("it says %v, %v\n%s", consumed, err, content)
	}
	for _, want := range []string{`<transaction type="Sale Packing List">`, "<start_date>2026-03-04 00:00:00</start_date>", "<reference>p0</reference>"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("it has no %s:\n%s", want, content)
		}
	}
}

const written = `<?xml version='1.0' encoding='utf-8'?>
<journal><transaction type="Sale Packing List"><title>Mails</title><start_date>2026-03-04 10:00:00</start_date><stop_date>2026-03-04 11:00:00</stop_date>
<reference>r</reference><currency></currency><payment_mode></payment_mode><category></category><arrow type="Administration"><source></source><destination></destination></arrow>
<movement><resource>service_module/mail</resource><title>Mail</title><reference>p0</reference><quantity>12.5</quantity><price>0.00</price><VAT>None</VAT><category>None</category></movement>
</transaction></journal>`

func TestWhatIsNoJournalIsRefusedWhole(t *testing.T) {
	if consumed, err := parseJournal([]byte(written)); err != nil || consumed["service_module/mail"] != 12.5 {
		t.Fatalf("%v, %v", consumed, err)
	}
	for name, content := range map[string]string{
		"text": "hello", "nothing": "", "another root": strings.ReplaceAll(written, "journal>", "diary>"), "cut short": written[:200],
		"another type": strings.Replace(written, "Sale Packing List", "Gift", 1), "no number": strings.Replace(written, "12.5", "many", 1),
		"infinite": strings.Replace(written, "12.5", "Inf", 1), "no resource": strings.Replace(written, "service_module/mail", "", 1),
		"no date": strings.Replace(written, "2026-03-04 10", "yesterday", 1), "unknown parts": strings.Replace(written, "<price>", "<discount>1</discount><price>", 1),
		"no movement": `<journal></journal>`,
	} {
		if consumed, err := parseJournal([]byte(content)); err == nil {
			t.Errorf("%s is taken: %v", name, consumed)
		}
	}
}

func TestScriptsAreGivenAJournalToWriteAndItIsCollectedOnce(t *testing.T) {
	root := t.TempDir()
	d, err := partition.NewRoot(root, privilege.Own("")).Directory("p0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ensure(); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"10-good": "#!/bin/sh\ncat > \"$1\" <<'END'\n" + written + "\nEND\n", "20-bad": "#!/bin/sh\necho no mail >&2\nexit 3\n", "30-odd": "#!/bin/sh\necho odd > \"$1\"\n",
	} {
		path := filepath.Join(d.Path, "etc", "report", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Scripts(t.Context(), noop.NewTracerProvider().Tracer(""), d); err == nil || !strings.Contains(err.Error(), "20-bad") || !strings.Contains(err.Error(), "no mail") {
		t.Errorf("a script that failed is told as %v", err)
	}
	shared := filepath.Join(root, "var", "xml_report", "p0")
	if err := os.MkdirAll(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shared, "collected.xml"), []byte(written), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(d.Path, "var", "xml_report", "slapreport.link")); err != nil {
		t.Fatal(err)
	}
	first, invalid := Files(root, d, "t.a1")
	again, _ := Files(root, d, "t.a1")
	if len(first) != 2 || invalid == nil || !first[0].Sample.GetAt().AsTime().Equal(again[0].Sample.GetAt().AsTime()) || first[0].Sample.GetAt().AsTime().Equal(first[1].Sample.GetAt().AsTime()) {
		t.Fatalf("collected are %v, invalid %v", first, invalid)
	}
	for _, f := range first {
		if f.Sample.GetConsumed()["service_module/mail"] != 12.5 {
			t.Errorf("%s says %v", f.Path, f.Sample)
		}
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	}
	left, invalid := Files(root, d, "t.a1")
	if len(left) != 0 || invalid == nil {
		t.Errorf("left are %v, %v", left, invalid)
	}
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(written))
	f.Fuzz(func(t *testing.T, content []byte) {
		consumed, err := parseJournal(content)
		if err == nil && (len(consumed) == 0 || len(consumed) > MaxConsumed) {
			t.Errorf("taken with %d resources", len(consumed))
		}
	})
}
