package install

import (
	"bufio"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

const killVariable = "VOW_TEST_INSTALL_IN"

// killPartitions are deployed side by side by the process that is killed, so that each kill meets several runs.
const killPartitions = 3

// killProfile is a profile whose parts of all kinds change from one version to the next: files that come and go, links,
// wrappers named by a hash, a command with a commit before it, a password, a profile within the profile.
func killProfile(version int) string {
	v := fmt.Sprint(version)
	var parts, sections []string
	for i := range 8 {
		if i%3 == version%3 {
			continue
		}
		n := fmt.Sprint(i)
		parts = append(parts, "conf-"+n, "service-"+n)
		sections = append(sections,
			"[conf-"+n+"]\nrecipe = slapos.recipe.template:jinja2\ninline = {{ v }}{{ '"+strings.Repeat("x", 5000*(i%2))+"' }} of "+v+"\ncontext = raw v "+v+"\noutput = ${directory:etc}/conf-"+n+"\n",
			"[service-"+n+"]\nrecipe = slapos.cookbook:wrapper\ncommand-line = server ${conf-"+n+":output} "+v+"\nhash-files = ${conf-"+n+":output}\nwrapper-path = ${directory:service}/s"+n+"\nenvironment = P=${password:passwd}\n")
	}
	return "[buildout]\nparts = directory " + strings.Join(parts, " ") + " command links\n" +
		"[directory]\nrecipe = slapos.cookbook:mkdirectory\netc = ${buildout:directory}/etc\nservice = ${:etc}/service\n" +
		"[password]\nrecipe = slapos.cookbook:generate.password\nstorage-path = ${buildout:directory}/var/password\n" +
		"[command]\nrecipe = plone.recipe.command\ncommand = true " + v + "\n" +
		"[links]\nrecipe = slapos.cookbook:symbolic.link\ntarget-directory = ${buildout:directory}/bin\nlink-binary = /bin/tool" + v + "\n" +
		strings.Join(sections, "")
}

func killed(where string, n int) Partition {
	dir := filepath.Join(where, fmt.Sprint(n))
	return Partition{Directory: filepath.Join(dir, "partition"), ReleaseDirectory: filepath.Join(dir, "release"), Environment: profile.Environment{SoftwareType: "default"}}
}

// runAndNothingElse is what TestKilledRunsConverge does in a process of its own, to kill it.
func runAndNothingElse(t *testing.T, where string) {
	t.Helper()
	fmt.Println("running")
	for n := range killPartitions {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := killed(where, n)
			for version := os.Getpid(); ; version++ {
				write(t, p, killProfile(version%3))
				run1(t, p, newFakeWorld())
			}
		})
	}
}

var wrapperHashes = regexp.MustCompile(`-[0-9a-f]{32}$`)

// files lists what parts made, with modes and contents, as they would be in any directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if name == vowDirectory {
			return fs.SkipDir
		}
		if d.IsDir() || name == releaseLink {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		// The hash of a wrapper's name is of paths too. Several of a name, after a kill, are told apart by the plus signs.
		name = wrapperHashes.ReplaceAllString(name, "")
		for all[name] != "" {
			name += "+"
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			all[name], err = os.Readlink(path)
			return err
		}
		content, err := os.ReadFile(path)
		all[name] = info.Mode().String() + strings.ReplaceAll(string(content), dir, "DIRECTORY")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestKilledRunsConverge kills the process that deploys at random moments inside of runs. What is left is whole files of
// one version or another, a record that can be read, and a partition that the next run brings to where an undisturbed one
// is, whichever version that has.
func TestKilledRunsConverge(t *testing.T) {
	if where := os.Getenv(killVariable); where != "" {
		runAndNothingElse(t, where)
		return
	}
	kills, bound := 200, 45*time.Second // as many as fit: with the race detector a start alone takes half a second
	switch {
	case os.Getenv("VOW_SOAK") != "":
		bound = 30 * time.Minute
	case testing.Short():
		kills = 10
	}
	calm, whole := map[int]map[string]string{}, map[string]map[string]bool{}
	for version := range 3 {
		p := place(t, killProfile(version))
		run1(t, p, newFakeWorld())
		calm[version] = files(t, p.Directory)
		for name, content := range calm[version] {
			if whole[name] == nil {
				whole[name] = map[string]bool{}
			}
			whole[name][content] = true
		}
	}
	where := t.TempDir()
	for n := range killPartitions {
		p := killed(where, n)
		for _, dir := range []string{p.Directory, p.ReleaseDirectory} {
			if err := os.MkdirAll(dir, 0o750); err != nil {
				t.Fatal(err)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	began, done := time.Now(), 0
	for kill := range kills {
		if time.Since(began) > bound {
			break
		}
		done++
		killAfter(t, where, time.Duration(random.IntN(60_000))*time.Microsecond)
		for n := range killPartitions {
			for name, content := range files(t, killed(where, n).Directory) {
				if !whole[strings.TrimRight(name, "+")][content] {
					t.Fatalf("after kill %d, %s is of no version: %.200q", kill, name, content)
				}
			}
		}
		converge(t, killed(where, kill%killPartitions), calm, random.IntN(3))
	}
	for n := range killPartitions {
		converge(t, killed(where, n), calm, 0)
	}
	t.Logf("killed %d times", done)
	if done < 10 {
		t.Errorf("only %d kills within %s", done, bound)
	}
}

// killAfter starts a process that deploys, and kills it so long after it began.
func killAfter(t *testing.T, where string, after time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledRunsConverge$")
	child.Env = append(os.Environ(), killVariable+"="+where)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "running\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	timer := time.AfterFunc(after, func() { _ = child.Process.Kill() })
	err = child.Wait()
	timer.Stop()
	if child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child failed before it was killed: %v", err)
	}
}

// converge deploys a version over what a kill left.
func converge(t *testing.T, p Partition, calm map[int]map[string]string, version int) {
	t.Helper()
	write(t, p, killProfile(version))
	w := newFakeWorld()
	run1(t, p, w)
	if again := run1(t, p, w); again.Changed {
		t.Fatalf("after a kill it does not settle: %s", actions(again.Parts))
	}
	got := files(t, p.Directory)
	if differs := same(got, calm[version]); differs != "" {
		t.Fatalf("after a kill %s is %.200q, want %.200q", differs, got[differs], calm[version][differs])
	}
	if kept, err := os.ReadDir(filepath.Join(p.Directory, keptName)); err == nil {
		t.Fatalf("our own files were taken for somebody else's: %v", kept)
	}
}
