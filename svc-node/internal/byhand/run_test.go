package byhand

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// place is a partition's directory with executables, another user's where the tests are root.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "slappart0")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		return dir
	}
	for at := filepath.Dir(dir); at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at, info.Mode()|0o005); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, 65534, 65534))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// files is what is in a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// carryOut runs promises and returns what each says.
func carryOut(t *testing.T, s Settings) map[string]*nodev1.SensePromisesResponse {
	t.Helper()
	answers := map[string]*nodev1.SensePromisesResponse{}
	err := Run(t.Context(), s, sensor.NewKinds(), func(r *nodev1.SensePromisesResponse) error {
		answers[r.GetPromise()] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

const good, bad = "#!/bin/sh\necho good\n", "#!/bin/sh\necho bad; exit 1\n"

func TestTheWindowGrowsFromRunToRunUntilTheRuleIsMet(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/bad": bad, "etc/promise/good": good})
	for i := 1; i <= 3; i++ {
		answers := carryOut(t, Settings{Directory: dir, Anomaly: true, Force: true})
		got := answers["bad"]
		if got.GetFailed() != (i == 3) || int(got.GetAnomaly().GetLooked()) != i || int(got.GetAnomaly().GetFailed()) != i || len(got.GetWindow()) != i || !got.GetTest().GetFails() {
			t.Errorf("run %d: %v", i, got)
		}
		if (got.GetBang() == nodev1.BangDue_BANG_DUE_BANG) != (i == 3) {
			t.Errorf("run %d: bang is %v", i, got.GetBang())
		}
		if answers["good"].GetFailed() || answers["good"].GetVerdict().GetMessage() != "good" {
			t.Errorf("run %d: %v", i, answers["good"])
		}
	}
}

func TestADryRunWritesNothingAndBangsNobody(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/bad": bad, "etc/promise/bad.json": `{"timeout": 3}`})
	for range 3 {
		carryOut(t, Settings{Directory: dir, Force: true})
	}
	before := files(t, dir)
	log, err := os.ReadFile(filepath.Join(dir, ".slapgrid/promise/log/bad.log"))
	if err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "pid")
	got := carryOut(t, Settings{Directory: dir, Dry: true, Force: true, Anomaly: true, PIDFile: pid})["bad"]
	if !got.GetFailed() || got.GetBang() != nodev1.BangDue_BANG_DUE_WITHHELD || len(got.GetWindow()) != 3 {
		t.Errorf("a dry run says %v", got)
	}
	after, err := os.ReadFile(filepath.Join(dir, ".slapgrid/promise/log/bad.log"))
	if err != nil || string(after) != string(log) || !slices.Equal(files(t, dir), before) {
		t.Errorf("it wrote %v, %v", files(t, dir), err)
	}
}

func TestWhatIsNotDueCountsAsItsLastResult(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/bad": bad, "etc/promise/good": good})
	carryOut(t, Settings{Directory: dir})
	again := carryOut(t, Settings{Directory: dir})
	if r := again["bad"]; !r.GetFailed() || !strings.Contains(r.GetSkipped(), "not due before") || r.GetGroup() != nil || r.GetVerdict().GetMessage() != "exit 1: bad" {
		t.Errorf("bad: %v", r)
	}
	if r := again["good"]; r.GetFailed() || r.GetSkipped() == "" {
		t.Errorf("good: %v", r)
	}
	if err := os.Chtimes(filepath.Join(dir, "etc/promise/good"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r := carryOut(t, Settings{Directory: dir})["good"]; r.GetSkipped() != "" {
		t.Errorf("one whose file changed is not sensed: %v", r)
	}
	if r := carryOut(t, Settings{Directory: dir, Force: true})["bad"]; r.GetSkipped() != "" {
		t.Errorf("with force: %v", r)
	}
}

func TestOnlyTheNamedAreRunAndAWrongNameIsToldWithTheRightOnes(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/bad": bad, "etc/promise/good": good, "etc/plugin/up.json": `{"sensor": "check_interface_up", "config": {"ifname": "lo", "testing": "1"}}`})
	got := slices.Sorted(maps.Keys(carryOut(t, Settings{Directory: dir, Names: []string{"good", "up.json"}, Force: true})))
	if !slices.Equal(got, []string{"good", "up"}) {
		t.Errorf("run are %v", got)
	}
	err := Run(t.Context(), Settings{Directory: dir, Names: []string{"goood"}}, sensor.NewKinds(), nil)
	if err == nil || err.Error() != `cannot find promise "goood": there are bad, good, up` {
		t.Errorf("error is %v", err)
	}
	if err := Run(t.Context(), Settings{Directory: filepath.Join(dir, "etc")}, sensor.NewKinds(), nil); !errors.Is(err, ErrNoPartition) {
		t.Errorf("error is %v", err)
	}
}

func TestATimeoutOfTheCommandLineIsThatOfEach(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/slow": "#!/bin/sh\nsleep 600\n"})
	if r := carryOut(t, Settings{Directory: dir, Timeout: 100 * time.Millisecond})["slow"]; !r.GetFailed() || r.GetVerdict().GetMessage() != "timed out after 100ms" {
		t.Errorf("it says %v", r)
	}
}

func TestPromisesRunAsTheOwnerOfTheDirectory(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/who": "#!/bin/sh\nid -u\n"})
	want := os.Getuid()
	if want == 0 {
		want = 65534
	}
	if r := carryOut(t, Settings{Directory: dir})["who"]; r.GetVerdict().GetMessage() != strconv.Itoa(want) || r.GetProblem() != "" {
		t.Errorf("it says %v", r)
	}
	info, err := os.Stat(filepath.Join(dir, ".slapgrid/promise/cache/who"))
	if err != nil || os.Getuid() == 0 && owned(info) != 65534 {
		t.Errorf("the cache is %v, %v", info, err)
	}
}

func TestASecondRunOfThePIDFileLeavesTheFirstAlone(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/good": good})
	pid := filepath.Join(dir, "pid")
	write := func(id int) {
		if err := os.WriteFile(pid, []byte(strconv.Itoa(id)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Chown(pid, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(os.Getppid())
	if err := Run(t.Context(), Settings{Directory: dir, PIDFile: pid}, sensor.NewKinds(), nil); !errors.Is(err, ErrRunning) {
		t.Errorf("error is %v", err)
	}
	write(1 << 30) // nobody
	carryOut(t, Settings{Directory: dir, PIDFile: pid})
	if _, err := os.Stat(pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the PID file stays: %v", err)
	}
}

func TestEachIsToldAsItComesAndAnInterruptBlamesNobody(t *testing.T) {
	dir := place(t, map[string]string{"etc/promise/good": good, "etc/promise/slow": "#!/bin/sh\nsleep 600\n"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told atomic.Int32
	err := Run(ctx, Settings{Directory: dir}, sensor.NewKinds(), func(r *nodev1.SensePromisesResponse) error {
		told.Add(1)
		if r.GetPromise() != "good" {
			t.Errorf("told is %v", r)
		}
		cancel() // the slow one is still under way, if there are two CPUs
		return nil
	})
	if !errors.Is(err, context.Canceled) || told.Load() != 1 {
		t.Errorf("%d told, %v", told.Load(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".slapgrid/promise/log/slow.log")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the slow one has a log: %v", err)
	}
}

func owned(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return 0
}
