package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

// machine makes a folder that looks like a machine's /proc and /sys/fs/cgroup.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// settings reads the files of the groups below a folder, as "group's parent/file": "value".
func settings(t *testing.T, root string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "sys"), func(path string, d os.DirEntry, err error) error {
		if group := filepath.Dir(path); err == nil && !d.IsDir() && strings.HasPrefix(filepath.Base(group), "vow-h.") {
			data, _ := os.ReadFile(path)
			got[filepath.Base(filepath.Dir(group))+"/"+d.Name()] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var (
	key = supervise.Key{Partition: "p0", Name: "web"}
	all = supervise.Limits{Memory: 64 << 20, CPU: 1500, Processes: 20, OpenFiles: 100}
)

const unifiedMount = "42 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"

func TestInVersionTwoOneGroupHoldsAllLimits(t *testing.T) {
	root := machine(t, map[string]string{
		"proc/self/mountinfo": unifiedMount,
		"proc/self/cgroup":    "0::/system.slice/vow\n",
		"sys/fs/cgroup/system.slice/vow/cgroup.controllers": "cpuset cpu memory pids\n",
	})
	tree := NewTree(root, "h", "")
	g, problems := tree.Make(key, all)
	if g == nil || len(problems) > 0 || len(g.dirs) != 1 {
		t.Fatalf("the group is %+v, problems %q", g, problems)
	}
	want := map[string]string{
		"vow/memory.max": "67108864", "vow/memory.swap.max": "0", "vow/memory.oom.group": "1", "vow/cpu.max": "150000 100000", "vow/pids.max": "20",
	}
	for file, value := range want {
		if got := settings(t, root)[file]; got != value {
			t.Errorf("%s is %q, want %q", file, got, value)
		}
	}
	if d := g.Descriptor(); d == nil {
		t.Error("no process can be created in it")
	}

	events := filepath.Join(g.unified, "memory.events")
	if err := os.WriteFile(events, []byte("low 0\noom 1\noom_kill 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if g.OutOfMemory() != 64<<20 {
		t.Error("a kill for want of memory is not seen")
	}
	if g.Begin(); g.OutOfMemory() != 0 {
		t.Error("the kill of an earlier process counts again")
	}
	// A process of nobody's: what is killed has been frozen before, and is not after.
	sleeper := exec.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.unified, "cgroup.procs"), []byte(strconv.Itoa(sleeper.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	if err := sleeper.Wait(); err == nil || sleeper.ProcessState.String() != "signal: killed" {
		t.Errorf("a member ended with %v", err)
	}
	if after := settings(t, root); after["vow/cgroup.freeze"] != "0" || after["vow/cgroup.kill"] != "" {
		t.Errorf("after the kill the group is %v", after)
	}
	if again, _ := NewTree(root, "h", "").Make(key, all); again == nil || again.unified != g.unified {
		t.Errorf("the next supervisor finds %+v", again)
	}
}

func TestASupervisorInItsOwnLeafMakesGroupsBesideIt(t *testing.T) {
	root := machine(t, map[string]string{
		"proc/self/mountinfo":                           unifiedMount,
		"proc/self/cgroup":                              "0::/vow/vow-supervisor\n",
		"sys/fs/cgroup/vow/cgroup.controllers":          "memory\n",
		"sys/fs/cgroup/vow/vow-supervisor/cgroup.procs": "1\n",
	})
	g, problems := NewTree(root, "h", "").Make(key, supervise.Limits{Memory: 1 << 20})
	if g == nil || len(problems) > 0 || filepath.Base(filepath.Dir(g.unified)) != "vow" {
		t.Errorf("the group is %+v, problems %q", g, problems)
	}
}

func TestGroupsAreMadeInTheCgroupThatWasGiven(t *testing.T) {
	files := map[string]string{
		"proc/self/mountinfo": unifiedMount,
		"proc/self/cgroup":    "0::/system.slice/vow-supervisor.service\n",
		"sys/fs/cgroup/system.slice/vow-supervisor.service/cgroup.controllers": "cpu memory pids\n",
	}
	const given = "system.slice/vow-limits.service"
	g, problems := NewTree(machine(t, files), "h", given).Make(key, all)
	if g != nil || len(problems) != 3 || !strings.HasPrefix(problems[0], "its limit of memory is not held: there is no cgroup "+given) {
		t.Errorf("without it the group is %+v, problems %q", g, problems)
	}
	files["sys/fs/cgroup/"+given+"/cgroup.controllers"] = "cpu memory pids\n"
	g, problems = NewTree(machine(t, files), "h", given).Make(key, all)
	if g == nil || len(problems) > 0 || !strings.HasSuffix(filepath.Dir(g.unified), given) {
		t.Errorf("the group is %+v, problems %q", g, problems)
	}
}

func TestInVersionOneEachControllerHasItsFolder(t *testing.T) {
	root := machine(t, map[string]string{
		"proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
			"33 31 0:30 /docker/7 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" + unifiedMount,
		"proc/self/cgroup":                             "3:cpu,cpuacct:/a\n2:memory:/docker/7/b\n0::/\n",
		"sys/fs/cgroup/cpu,cpuacct/a/cgroup.procs":     "",
		"sys/fs/cgroup/memory/b/cgroup.procs":          "",
		"sys/fs/cgroup/cgroup.controllers":             "hugetlb\n",
		"sys/fs/cgroup/memory/b/memory.limit_in_bytes": "",
	})
	g, problems := NewTree(root, "h", "").Make(key, all)
	if g == nil || len(g.dirs) != 2 || g.Descriptor() != nil {
		t.Fatalf("the group is %+v", g)
	}
	if want := []string{"its limit of processes is not held: this machine has no cgroup controller pids"}; !slices.Equal(problems, want) {
		t.Errorf("problems are %q, want %q", problems, want)
	}
	got := settings(t, root)
	for file, value := range map[string]string{"b/memory.limit_in_bytes": "67108864", "a/cpu.cfs_period_us": "100000", "a/cpu.cfs_quota_us": "150000"} {
		if got[file] != value {
			t.Errorf("%s is %q, want %q", file, got[file], value)
		}
	}
	if err := g.Add(77); err != nil || settings(t, root)["a/cgroup.procs"] != "77" || settings(t, root)["b/cgroup.procs"] != "77" {
		t.Errorf("a process is moved with %v to %v", err, settings(t, root))
	}
}

func TestWithoutCgroupsEveryLimitIsAProblemInWords(t *testing.T) {
	g, problems := NewTree(machine(t, nil), "h", "").Make(key, all)
	if g != nil || len(problems) != 3 || !strings.HasPrefix(problems[0], "its limit of memory is not held: this machine has no cgroup controller") {
		t.Errorf("the group is %+v, problems %q", g, problems)
	}
}

func TestDifferentKeysHaveDifferentGroups(t *testing.T) {
	tree := NewTree("", "h", "")
	seen := map[string]supervise.Key{}
	long := strings.Repeat("x", supervise.MaxName)
	for _, k := range []supervise.Key{
		{Partition: "a", Name: "b.c"}, {Partition: "a.b", Name: "c"}, {Partition: long, Name: long}, {Partition: long, Name: long[1:]},
	} {
		name := tree.name(k)
		if other, taken := seen[name]; taken || len(name) > 255 {
			t.Errorf("%s and %s have group %s", k, other, name)
		}
		seen[name] = k
	}
}
