package real

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// faults is a fleet in which faults are prepared, and the two that a person asks about them: `vow why` and the console.
type faults struct {
	*suite
	console string
	units   *supervisor.Client
}

// beginFaults starts a fleet and a console; the partitions are on a disk of their own where the test may mount one.
func beginFaults(t *testing.T) (*faults, disk) {
	t.Helper()
	disk := smallDisk(t)
	f := &faults{suite: beginWith(t, wiring{apart: true, agent: []string{"--instance-root", disk.dir, "--partitions", "16", "--instance-min-free-space", "4"}})}
	f.units = supervisor.NewClient(filepath.Join(f.dir, "supervisor"))
	addresses := freeAddresses(t, 2)
	f.console = addresses[0]
	console := &process{t: t, name: "console", log: filepath.Join(f.dir, "console.log"), ready: "http://" + addresses[1] + "/readyz", args: []string{
		"--address", addresses[0], "--admin-address", addresses[1], "--master", f.address["svc-master"], "--scheduler", f.address["svc-scheduler"], "--promise", f.address["svc-promise"],
	}}
	console.start()
	t.Cleanup(console.kill9)
	return f, disk
}

// disk is what the partitions are on.
type disk struct {
	dir string
	// mounted is false for who is not root: it must not be filled.
	mounted bool
}

// smallDisk mounts a disk of 64 MiB; who is not root gets a folder, and that nobody else does is made sure of.
func smallDisk(t *testing.T) disk {
	t.Helper()
	dir := shortDir(t)
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m")
	if os.Getuid() != 0 && errors.Is(err, syscall.EPERM) {
		return disk{dir: dir}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		const detach = 2 // MNT_DETACH: the services of a failed test may still be on it
		if err := syscall.Unmount(dir, detach); err != nil {
			t.Error(err)
		}
	})
	return disk{dir: dir, mounted: true}
}

// fill writes until it takes nothing more.
func (d disk) fill(t *testing.T) {
	t.Helper()
	file, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if closed := file.Close(); closed != nil || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err, closed)
	}
}

func (d disk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// release writes a software release: its profile, and other files by name.
func (f *faults) release(name, profile string, files map[string]string) string {
	f.t.Helper()
	dir := filepath.Join(f.dir, "release-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "instance.cfg"), []byte(profile), 0o644); err != nil {
		f.t.Fatal(err)
	}
	return "file://" + dir
}

// supply supplies a release to the only computer.
func (f *faults) supply(url string) {
	f.t.Helper()
	await(f.t, "the node has registered its computer", func() bool {
		_, err := f.software.SupplySoftware(f.t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "laptop"})
		return err == nil
	})
}

// request requests a tree of a release, and returns its id.
func (f *faults) request(title, url string) string {
	f.t.Helper()
	var id string
	await(f.t, "svc-master has the request of "+title, func() bool { // a repeated request is the same one: a busy machine may be late to answer
		response, err := f.instances.RequestInstance(f.t.Context(), &masterv1.RequestInstanceRequest{Title: title, SoftwareRelease: url})
		id = response.GetInstance().GetTreeId()
		return err == nil
	})
	return id
}

func (f *faults) treeOf(id string) *masterv1.Tree {
	f.t.Helper()
	response, err := f.trees.GetTree(f.t.Context(), &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: id}})
	if err != nil {
		f.t.Fatal(err)
	}
	return response.GetTree()
}

// kill kills the service of a tree with -9.
func (f *faults) kill(id string) {
	f.t.Helper()
	partition := f.treeOf(id).GetInstances()[0].GetPartition()
	await(f.t, "the service runs, and is killed", func() bool {
		units, err := f.units.List(f.t.Context(), "")
		if err != nil {
			f.t.Fatal(err)
		}
		for _, u := range units {
			if u.Process.Key.Partition == partition && u.PID > 0 {
				return syscall.Kill(u.PID, syscall.SIGKILL) == nil
			}
		}
		return false
	})
}

// bang bangs the root of a tree by hand.
func (f *faults) bang(t *testing.T, id string) {
	t.Helper()
	_, err := f.bangs.Bang(t.Context(), &masterv1.BangRequest{
		RequestId: t.Name(), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test", Target: &masterv1.BangRequest_AllocationId{AllocationId: f.treeOf(id).GetInstances()[0].GetAllocationId()},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// vow is what a command says, on whatever it says it, and its exit code.
func (f *faults) vow(args ...string) (string, int) {
	f.t.Helper()
	command := exec.Command(executable(f.t, "vow"), append(args, "--master", f.address["svc-master"], "--scheduler", f.address["svc-scheduler"], "--promise", f.address["svc-promise"])...)
	out, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func (f *faults) doctor() (string, int) { return f.vow("doctor", "--data", f.dir) }

// why is the first line of `vow why`.
func (f *faults) why(thing string) string {
	f.t.Helper()
	out, _ := f.vow("why", thing)
	first, _, _ := strings.Cut(out, "\n")
	return first
}

var causeOfPage = regexp.MustCompile(`(?s)<p class="cause">(.*?)</p>`)

// page is the first line of a page of the console.
func (f *faults) page(path string) string {
	f.t.Helper()
	asking := &http.Client{Timeout: patience}
	response, err := asking.Get("http://" + f.console + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	found := causeOfPage.FindSubmatch(body)
	if found == nil {
		f.t.Fatalf("%s has no cause:\n%s", path, body)
	}
	return html.UnescapeString(string(found[1]))
}

// named waits until both name the cause of a thing in their first line.
func (f *faults) named(t *testing.T, thing, path string, want ...string) {
	t.Helper()
	line, page := "", ""
	defer func() { t.Logf("vow why: %s\nconsole: %s", line, page) }()
	await(t, fmt.Sprintf("both first lines have %q", want), func() bool {
		line, page = f.why(thing), f.page(path)
		return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(line, w) || !strings.Contains(page, w) })
	})
}

const (
	service = `
[service]
recipe = slapos.cookbook:wrapper
command-line = %s
wrapper-path = ${buildout:directory}/etc/service/%s
`
	promise = `
[promise]
recipe = slapos.recipe.template:jinja2
inline =
  #!/bin/sh
  %s
output = ${buildout:directory}/etc/promise/%s
mode = 700
`
)

// TestTheFirstLineNamesTheCauseOfEachFault prepares ten faults for real, and reads the first line of `vow why` and of the console's page.
func TestTheFirstLineNamesTheCauseOfEachFault(t *testing.T) {
	f, disk := beginFaults(t)
	gate, archive := filepath.Join(f.dir, "gate"), filepath.Join(f.dir, "release.tar")
	if err := os.WriteFile(archive, []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	sleeper := fmt.Sprintf(service, "/bin/sleep 1000000", "web")
	releases := map[string]string{
		"dies":    f.release("dies", "[buildout]\nparts = service promise\n"+sleeper+fmt.Sprintf(promise, "while [ -e "+gate+" ]; do sleep 0.05; done", "gate"), nil),
		"fails":   f.release("fails", "[buildout]\nparts = promise\n"+fmt.Sprintf(promise, "echo connection refused; exit 1", "listens"), nil),
		"profile": f.release("profile", "[buildout]\nparts = a\n\n[a]\nrecipe = slapos.cookbook:mkdirectory\npath = ${nowhere:directory}\n", nil),
		"waits":   f.release("waits", "[buildout]\nparts = a\n\n[a]\nrecipe = slapos.cookbook:request\nsoftware-url = file:///nowhere\nname = database\nreturn = url\n", nil),
		"release": "file://" + archive,
		"spent":   f.release("quota", "[buildout]\nparts = service\n"+sleeper, map[string]string{"bang-quota": "1\n"}),
		"storm":   f.release("storm", "[buildout]\nparts = service\n"+fmt.Sprintf(service, "/bin/sleep 0.2", "flapping"), nil),
	}
	trees := map[string]string{}
	for title, url := range releases {
		f.supply(url)
		trees[title] = f.request(title, url)
	}
	if out, code := f.doctor(); code != 0 || !regexp.MustCompile(`ok +svc-promise +answers`).MatchString(out) || !strings.Contains(out, "node laptop") || strings.Contains(out, "fail ") {
		t.Errorf("vow doctor of a fleet that is well ended with %d:\n%s", code, out)
	}
	fault := func(name, title string, want []string, prepare func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			if prepare != nil {
				prepare(t)
			}
			path := "/computers/" + title
			if id := trees[title]; id != "" {
				path = "/trees/" + id
			}
			f.named(t, title, path, want...)
		})
	}
	fault("process dies", "dies", []string{"process web"}, func(t *testing.T) {
		f.green(trees["dies"])
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		f.kill(trees["dies"])
	})
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	fault("promise fails", "fails", []string{"promise listens fails", "connection refused"}, nil)
	fault("profile error", "profile", []string{"profile error", "instance.cfg:6"}, nil)
	fault("request not available", "waits", []string{"database: no partition", "file:///nowhere"}, nil)
	fault("release does not install", "release", []string{"software release", "does not install on laptop"}, nil)
	fault("quota reached", "spent", []string{"process web", "refused", "the quota opens again"}, func(t *testing.T) {
		f.green(trees["spent"])
		f.kill(trees["spent"])
		await(t, "the first bang is satisfied", func() bool {
			all := f.bangsOf(t.Context(), trees["spent"])
			return len(all) == 1 && all[0].GetSatisfiedAt() != nil
		})
		f.kill(trees["spent"])
	})
	fault("bang storm", "storm", []string{"bang storm", "process flapping"}, nil)
	if disk.mounted {
		fault("disk full", "dies", []string{"bad disk of laptop", "0 MiB free"}, func(t *testing.T) {
			disk.fill(t)
			f.bang(t, trees["dies"])
		})
		disk.empty(t)
		f.green(trees["dies"])
	}
	fault("node gone", "laptop", []string{"node does not answer over its link", "heard of last"}, func(*testing.T) {
		f.node.kill9()
	})
	// Of its tree it is the cause as soon as something is to run.
	fault("node gone, its tree", "dies", []string{"the node of laptop takes no orders"}, func(t *testing.T) { f.bang(t, trees["dies"]) })
	f.node.start()
	fault("master gone", "dies", []string{"svc-master"}, func(*testing.T) {
		f.master.kill9()
	})
	if out, code := f.doctor(); code != 1 || !strings.Contains(out, "nothing answers at "+f.address["svc-master"]) || !regexp.MustCompile(`ok +svc-scheduler +answers`).MatchString(out) {
		t.Errorf("vow doctor without svc-master ended with %d:\n%s", code, out)
	}
	f.master.start()
}
