package install

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

// fuzzTime bounds one run of a generated profile: real ones take milliseconds.
const fuzzTime = 20 * time.Second

// FuzzInstall installs generated profiles whose parts name real recipes. Whatever they say, the run ends in time, without
// a panic, and nothing outside of the partition's directory changes or is read.
func FuzzInstall(f *testing.F) {
	const outside = "OUTSIDE"
	for _, seed := range [][2]string{
		{"[a]\nrecipe = slapos.cookbook:wrapper\ncommand-line = x\nwrapper-path = OUTSIDE/w\n", ""},
		{"[a]\nrecipe = slapos.cookbook:wrapper\ncommand-line = x\nwrapper-path = ${buildout:directory}/../w\n", ""},
		{"[a]\nrecipe = slapos.recipe.template:jinja2\nurl = OUTSIDE/secret\noutput = x\n", ""},
		{"[a]\nrecipe = slapos.recipe.template:jinja2\ninline = {% include '../secret' %}{{ x }}\ncontext = key x buildout:directory\noutput = link/x\n", ""},
		{"[a]\nrecipe = slapos.recipe.template:jinja2\nurl = ${buildout:directory}/software_release/t\noutput = etc/x\nimport-list = rawfolder f OUTSIDE\n", "{% import 'f/../secret' as s %}{% for x in range(9) recursive %}{{ x }}{% endfor %}"},
		{"[a]\nrecipe = slapos.recipe.template\ninput = inline: ${b:x}\noutput = link/secret\n[b]\nx = ${buildout:directory}\n", ""},
		{"[a]\nrecipe = slapos.cookbook:mkdirectory\nx = link/../../y\ny = OUTSIDE/z\n", ""},
		{"[a]\nrecipe = slapos.cookbook:symbolic.link\ntarget-directory = here\nlink-binary = OUTSIDE/secret\n[c]\nrecipe = slapos.recipe.template\ninput = here/secret\noutput = y\n", ""},
		{"[a]\nrecipe = slapos.recipe.build:download\nurl = file://OUTSIDE/secret\ndestination = OUTSIDE/copy\n", ""},
		{"[a]\nrecipe = slapos.recipe.build:download-unpacked\nurl = ${buildout:directory}/software_release/t\ndestination = link\n", "\x1f\x8b\x08\x00"},
		{"[a]\nrecipe = slapos.cookbook:switch-softwaretype\ndefault = b:output\n[b]\nrecipe = slapos.recipe.template:jinja2\nurl = ${buildout:directory}/software_release/t\noutput = inner.cfg\n", "[buildout]\nparts = a\nextends = OUTSIDE/secret\n[a]\nrecipe = slapos.cookbook:publish\n"},
		{"[a]\nrecipe = slapos.cookbook:slapconfiguration.jsonschema\njsonschema = OUTSIDE/secret\n[buildout]\nextends = ../secret\n", ""},
		{"[a]\nrecipe = slapos.cookbook:generate.password\nstorage-path = link/p\n[b]\nrecipe = slapos.cookbook:logrotate.d\nlog = x\nlogrotate-entries = ..\n", ""},
		{"[a]\nrecipe = slapos.cookbook:zero-knowledge.write\nfilename = ../k\n[c]\nrecipe = slapos.cookbook:zero-knowledge.read\nfilename = link/secret\n", ""},
		{"[a]\nrecipe = slapos.cookbook:request.serialised\nsoftware-url = x\nreturn = y\n[b]\nrecipe = slapos.cookbook:publish-early\n-init = p a:connection-y\n", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, sections, template string) {
		if len(sections) > 8192 || len(template) > 8192 {
			return
		}
		dir := inMemory(t)
		p := Partition{Directory: filepath.Join(dir, "partition"), ReleaseDirectory: filepath.Join(dir, "release"), Environment: profile.Environment{SoftwareType: "default", IPv4: []string{"10.0.0.1"}}}
		away := filepath.Join(dir, "outside")
		for _, d := range []string{p.Directory, p.ReleaseDirectory, away} {
			if err := os.Mkdir(d, 0o750); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range map[string]string{
			filepath.Join(away, "secret"):                     "[s]\nsecret = NOBODY READS THIS\n",
			filepath.Join(dir, "secret"):                      "[s]\nsecret = NOBODY READS THIS\n",
			filepath.Join(p.ReleaseDirectory, "t"):            strings.ReplaceAll(template, outside, away),
			filepath.Join(p.ReleaseDirectory, "instance.cfg"): "[buildout]\nparts = a\n" + strings.ReplaceAll(sections, outside, away),
		} {
			if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(away, filepath.Join(p.Directory, "link")); err != nil {
			t.Fatal(err)
		}
		before := everything(t, dir, p.Directory)
		ctx, cancel := context.WithTimeout(t.Context(), fuzzTime)
		defer cancel()
		w := newFakeWorld()
		w.connections["a"] = map[string]string{"y": "z", "_": `{"y": [1]}`}
		began := time.Now()
		result, err := Run(ctx, p, w, nil)
		if took := time.Since(began); took > fuzzTime/2 {
			t.Errorf("the run took %s", took)
		}
		if after := everything(t, dir, p.Directory); after != before {
			t.Errorf("outside of the partition\n%s\nbecame\n%s", before, after)
		}
		told := fmt.Sprint(result, err, w.published, w.requests, w.commands)
		for _, content := range files(t, p.Directory) {
			told += content
		}
		if strings.Contains(told, "NOBODY READS THIS") {
			t.Error("a file outside of partition and release was read")
		}
	})
}

// inMemory is a directory on a file system in memory, where the machine has one: syncing is most of what a run costs.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "vow-fuzz-") //nolint:usetesting // t.TempDir is on disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// everything lists names, modes and contents in a directory but for one within it.
func everything(t *testing.T, dir, but string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == but {
			return fs.SkipDir
		}
		content := []byte{}
		if d.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		fmt.Fprintf(&b, "%s %s %q\n", path, d.Type(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
