package real

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

const (
	// whole is how many lines a file of the profile has: several pages, so that a torn write would be seen.
	whole = 600
	// installed is how many such files a partition has.
	installed = 24
	// tenants is how many partitions run at once.
	tenants = 4
)

// growing is a profile whose files say their version on every line.
func growing() string {
	var parts, sections strings.Builder
	for i := range installed {
		fmt.Fprintf(&parts, "  file-%d\n", i)
		fmt.Fprintf(&sections, "[file-%d]\nrecipe = slapos.recipe.template:jinja2\ninline = {%% for i in range(%d) %%}{{ version }} of file %d\n  {%% endfor %%}\ncontext = key version parameters:configuration.version\noutput = ${buildout:directory}/etc/file-%d\n\n", i, whole, i, i)
	}
	return "[buildout]\nparts =\n" + parts.String() + "\n[parameters]\nrecipe = slapos.cookbook:slapconfiguration\nconfiguration.version = none\n\n" + sections.String()
}

// versions reads every file of a partition: each is of one version from its first line to its last.
func versions(t *testing.T, directory string) map[string]int {
	t.Helper()
	found := map[string]int{}
	files, err := filepath.Glob(filepath.Join(directory, "etc", "file-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		version, _, _ := strings.Cut(string(content), " ")
		name := strings.TrimPrefix(filepath.Base(path), "file-")
		if got := strings.Count(string(content), version+" of file "+name+"\n"); got != whole {
			t.Fatalf("%s is half-written: %d lines of version %q in %d bytes", path, got, version, len(content))
		}
		found[version]++
	}
	return found
}

// TestTheAgentKilledInsideProfileRunsLeavesNothingHalfWritten changes what is requested of four partitions, kills the whole
// agent with -9 at a random moment of the runs that follow, and looks at every file; in the end every partition converges.
func TestTheAgentKilledInsideProfileRunsLeavesNothingHalfWritten(t *testing.T) {
	kills, bound := 200, 45*time.Second // as many as fit
	if os.Getenv("VOW_SOAK") != "" {
		bound = 20 * time.Minute
	}
	s := beginWith(t, wiring{apart: true})
	release := filepath.Join(s.dir, "release")
	if err := os.MkdirAll(release, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(release, "instance.cfg"), []byte(growing()), 0o644); err != nil {
		t.Fatal(err)
	}
	url, ctx := "file://"+release, t.Context()
	await(t, "the node has registered its computer", func() bool {
		_, err := s.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "laptop"})
		return err == nil
	})
	// change requests another version of every instance.
	change := func(version int) []*masterv1.Instance {
		var all []*masterv1.Instance
		for i := range tenants {
			response, err := s.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{
				Title: fmt.Sprint("tenant-", i), SoftwareRelease: url, Parameters: map[string]string{"version": fmt.Sprint(version)},
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, response.GetInstance())
		}
		return all
	}
	state := func(of *masterv1.Instance) *masterv1.Instance {
		response, err := s.instances.GetInstance(ctx, &masterv1.GetInstanceRequest{InstanceId: of.GetInstanceId()})
		if err != nil {
			t.Fatal(err)
		}
		return response.GetInstance()
	}
	settled := func(all []*masterv1.Instance) bool {
		for _, of := range all {
			now := state(of)
			status := now.GetStatus()
			if status.GetColour().GetColour() != typev1.Colour_COLOUR_GREEN || status.GetSettled().GetNumber() < now.GetGeneration().GetNumber() {
				return false
			}
		}
		return true
	}
	all := change(0)
	await(t, "the partitions are Green", func() bool { return settled(all) })

	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	began, done, inside, between := time.Now(), 0, 0, 0
	for done < kills && time.Since(began) < bound {
		done++
		was := map[string]bool{}
		for _, of := range all {
			was[state(of).GetStatus().GetRunInProgress()] = true
		}
		all = change(done)
		await(t, "a run is in progress", func() bool {
			for _, of := range all {
				if !was[state(of).GetStatus().GetRunInProgress()] {
					return true
				}
			}
			return settled(all)
		})
		<-time.After(time.Duration(random.IntN(25_000)) * time.Microsecond)
		s.node.kill9()
		for _, of := range all {
			if run := state(of).GetStatus().GetRunInProgress(); run != "" && !was[run] {
				inside++
				break
			}
		}
		for i := range tenants {
			if found := versions(t, filepath.Join(s.dir, "instance", fmt.Sprint("slappart", i))); len(found) > 1 {
				between++
			}
		}
		s.node.start()
	}
	all = change(kills + 1)
	await(t, "the partitions are Green again", func() bool { return settled(all) })
	for i := range tenants {
		directory := filepath.Join(s.dir, "instance", fmt.Sprint("slappart", i))
		if found := versions(t, directory); len(found) != 1 || found[fmt.Sprint(kills+1)] != installed {
			t.Errorf("%s has files of %v, want %d of version %d", directory, found, installed, kills+1)
		}
	}
	t.Logf("killed %d times in %s, %d times with a run in progress; %d times a partition was between two versions", done, time.Since(began).Round(time.Second), inside, between)
	if inside*2 < done {
		t.Errorf("only %d of %d kills were inside a run", inside, done)
	}
}
