package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

// place is a partition and a release in temporary directories.
func place(t testing.TB, instance string) Partition {
	t.Helper()
	p := Partition{Directory: t.TempDir(), ReleaseDirectory: t.TempDir(), Cache: NewCache(), Environment: profile.Environment{
		SoftwareType: "default", ComputerID: "COMP-1", PartitionID: "slappart0", Executable: "/usr/bin/vow",
	}}
	write(t, p, instance)
	return p
}

func write(t testing.TB, p Partition, instance string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.ReleaseDirectory, "instance.cfg"), []byte(instance), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists a directory: names, modes, contents and times.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		text := fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += string(content)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, _ := os.Readlink(path)
			text += target
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(a, b map[string]string) string {
	for name := range a {
		if a[name] != b[name] {
			return name
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			return name
		}
	}
	return ""
}

func run1(t testing.TB, p Partition, w recipe.World) Result {
	t.Helper()
	result, err := Run(t.Context(), p, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func actions(parts []PartReport) string {
	var all []string
	for _, p := range parts {
		all = append(all, string(p.Action)+" "+p.Name)
	}
	return strings.Join(all, ", ")
}

const wrappers = `[buildout]
parts = one two
[directory]
recipe = slapos.cookbook:mkdirectory
service = ${buildout:directory}/etc/service
data = ${buildout:directory}/srv/data
[one]
recipe = slapos.cookbook:wrapper
command-line = sleep 1
wrapper-path = ${directory:service}/one
[two]
recipe = slapos.cookbook:wrapper
command-line = sleep 2
wrapper-path = ${directory:service}/two
`

func TestPartsAreInstalledSkippedReinstalledAndUninstalled(t *testing.T) {
	p, w := place(t, wrappers), newFakeWorld()
	first := run1(t, p, w)
	if actions(first.Parts) != "install directory, install one, install two" || !first.Changed {
		t.Fatalf("first run: %s", actions(first.Parts))
	}
	before := tree(t, p.Directory)
	second := run1(t, p, w)
	if actions(second.Parts) != "update directory, update one, update two" || second.Changed {
		t.Errorf("second run: %s, changed %v", actions(second.Parts), second.Changed)
	}
	if differs := same(before, tree(t, p.Directory)); differs != "" {
		t.Errorf("a run that changes nothing changed %s", differs)
	}
	write(t, p, strings.Replace(strings.Replace(wrappers, "sleep 1", "sleep 9", 1), "parts = one two", "parts = one", 1))
	third := run1(t, p, w)
	if actions(third.Parts) != "uninstall two, update directory, reinstall one" || third.Parts[2].Reason != "changed: command-line" {
		t.Errorf("third run: %+v", third.Parts)
	}
	if !strings.Contains(read(t, p, "etc/service/one"), "sleep 9") {
		t.Error("one was not written again")
	}
	if _, err := os.Stat(filepath.Join(p.Directory, "etc/service/two")); err == nil {
		t.Error("two vanished from the profile, and its file is still there")
	}
	if _, err := os.Stat(filepath.Join(p.Directory, "srv/data")); err != nil {
		t.Error("a directory was removed")
	}
}

func TestWrongProfilesChangeNothingOnDisk(t *testing.T) {
	p, w := place(t, wrappers), newFakeWorld()
	run1(t, p, w)
	before := tree(t, p.Directory)
	for _, wrong := range []string{
		"nonsense",
		strings.Replace(wrappers, "${directory:service}/two", "${directori:service}/two", 1),
		strings.Replace(wrappers, "slapos.cookbook:wrapper\ncommand-line = sleep 2", "slapos.cookbook:wraper\ncommand-line = sleep 2", 1),
		strings.Replace(wrappers, "command-line = sleep 2\n", "", 1),
		strings.Replace(wrappers, "parts = one two", "parts = nested", 1) + "[nested]\nrecipe = slapos.cookbook:switch-softwaretype\ndefault = inner:output\n" +
			"[inner]\nrecipe = slapos.recipe.template:jinja2\noutput = ${buildout:directory}/inner.cfg\ninline =\n  [buildout]\n  parts = $${nowhere:x}\n",
	} {
		write(t, p, wrong)
		_, err := Run(t.Context(), p, w, nil)
		var e *profile.Error
		if !errors.As(err, &e) || e.Position.Line == 0 {
			t.Errorf("%v has no place", err)
		}
		if differs := same(before, tree(t, p.Directory)); differs != "" {
			t.Errorf("%v: it changed %s", err, differs)
		}
	}
}

func TestWhatSomebodyElseMadeIsNeverOverwritten(t *testing.T) {
	p, w := place(t, wrappers), newFakeWorld()
	mine := filepath.Join(p.Directory, "etc/service/two")
	if err := os.MkdirAll(filepath.Dir(mine), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), p, w, nil)
	var failed *PartError
	if !errors.As(err, &failed) || failed.Part != "two" || !strings.Contains(err.Error(), "instance.cfg:14: [two] wrapper-path: cannot write") {
		t.Fatalf("got %v", err)
	}
	if read(t, p, "etc/service/two") != "mine" {
		t.Error("the file was overwritten")
	}
	if !strings.Contains(read(t, p, "etc/service/one"), "sleep 1") || actions(result.Parts) != "install directory, install one, install two" {
		t.Errorf("the part before was not installed: %s", actions(result.Parts))
	}
}

func TestFilesChangedByHandAreLeftThenKeptAside(t *testing.T) {
	p, w := place(t, wrappers), newFakeWorld()
	run1(t, p, w)
	name := filepath.Join(p.Directory, "etc/service/one")
	if err := os.WriteFile(name, []byte("edited"), 0o700); err != nil {
		t.Fatal(err)
	}
	result := run1(t, p, w)
	if result.Changed || len(result.Parts[1].Edited) != 1 || read(t, p, "etc/service/one") != "edited" {
		t.Errorf("an unchanged part's edited file: %+v", result.Parts[1])
	}
	write(t, p, strings.Replace(wrappers, "sleep 1", "sleep 9", 1))
	result = run1(t, p, w)
	if len(result.Kept) != 1 || read(t, p, result.Kept[0]) != "edited" || !strings.Contains(read(t, p, "etc/service/one"), "sleep 9") {
		t.Errorf("kept %v", result.Kept)
	}
	if err := os.WriteFile(name, []byte("again"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, p, strings.Replace(wrappers, "parts = one two", "parts = two", 1))
	result = run1(t, p, w)
	if _, err := os.Stat(name); err == nil || len(result.Kept) != 1 || read(t, p, result.Kept[0]) != "again" {
		t.Errorf("kept %v", result.Kept)
	}
}

func TestVanishedFilesAreMadeAgain(t *testing.T) {
	p, w := place(t, wrappers), newFakeWorld()
	run1(t, p, w)
	if err := os.Remove(filepath.Join(p.Directory, "etc/service/one")); err != nil {
		t.Fatal(err)
	}
	result := run1(t, p, w)
	if !result.Changed || result.Parts[1].Reason != "etc/service/one vanished" || !strings.Contains(read(t, p, "etc/service/one"), "sleep 1") {
		t.Errorf("%+v", result.Parts)
	}
}

func TestNothingEscapesFromThePartition(t *testing.T) {
	outside := t.TempDir()
	for name, line := range map[string]string{
		"dots":     "${buildout:directory}/../" + filepath.Base(outside) + "/x",
		"absolute": outside + "/x",
		"symlink":  "${buildout:directory}/link/x",
		"record":   "${buildout:directory}/.vow/installed.json",
		"itself":   "${buildout:directory}",
	} {
		p := place(t, "[buildout]\nparts = a\n[a]\nrecipe = slapos.cookbook:wrapper\ncommand-line = x\nwrapper-path = "+line+"\n")
		if err := os.Symlink(outside, filepath.Join(p.Directory, "link")); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), p, newFakeWorld(), nil); err == nil {
			t.Errorf("%s: written", name)
		}
		if left, _ := os.ReadDir(outside); len(left) != 0 {
			t.Errorf("%s: it wrote %v outside", name, left)
		}
	}
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, lines := range map[string]string{
		"template": "recipe = slapos.recipe.template\nurl = " + secret,
		"dots":     "recipe = slapos.recipe.template\nurl = ${buildout:directory}/../" + filepath.Base(outside) + "/secret",
		"symlink":  "recipe = slapos.recipe.template\nurl = ${buildout:directory}/link/secret",
		"include":  "recipe = slapos.recipe.template:jinja2\ninline = {% include '" + secret + "' %}",
		"import":   "recipe = slapos.recipe.template:jinja2\nimport-list = rawfile x " + secret + "\ninline = {% include 'x' %}",
	} {
		p := place(t, "[buildout]\nparts = a\n[a]\n"+lines+"\noutput = ${buildout:directory}/out\n")
		if err := os.Symlink(outside, filepath.Join(p.Directory, "link")); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), p, newFakeWorld(), nil); err == nil {
			t.Errorf("%s: read a file outside", name)
		}
	}
}

func TestPlansTellAndDoNothing(t *testing.T) {
	p, w := place(t, wrappers+"[command]\nrecipe = plone.recipe.command\ncommand = touch x\n[publish]\nrecipe = slapos.cookbook:publish\nurl = u\n"), newFakeWorld()
	run1(t, p, w)
	changed := strings.Replace(strings.Replace(wrappers, "sleep 1", "sleep 9", 1), "parts = one two", "parts = one command publish secret", 1) +
		"[command]\nrecipe = plone.recipe.command\ncommand = touch x\n[publish]\nrecipe = slapos.cookbook:publish\nurl = u\n" +
		"[secret]\nrecipe = slapos.recipe.template\ninline = hunter2\noutput = secret\nmode = 600\n"
	write(t, p, changed)
	before, commands := tree(t, p.Directory), len(w.commands)
	preview, err := Plan(t.Context(), p, w)
	if err != nil {
		t.Fatal(err)
	}
	if differs := same(before, tree(t, p.Directory)); differs != "" || len(w.commands) != commands || w.publishes != 0 {
		t.Errorf("a plan changed %q, ran %v, published %d times", differs, w.commands, w.publishes)
	}
	if len(preview.Services) != 2 || preview.Services[0] != (ServiceChange{"two", "remove"}) || preview.Services[1] != (ServiceChange{"one", "replace"}) {
		t.Errorf("services: %+v", preview.Services)
	}
	for _, f := range preview.Files {
		if f.Path == "etc/service/one" && f.Diff != " #!/bin/sh\n # Written for [one]; changes here are lost at the next deployment.\n-exec sleep 1 \"$@\"\n+exec sleep 9 \"$@\"\n" {
			t.Errorf("the diff is\n%s", f.Diff)
		}
		if strings.Contains(f.Diff, "hunter2") {
			t.Error("the diff tells a secret")
		}
	}
	if preview.Published["url"] != "u" || strings.Join(preview.Commands, ";") != "touch x" {
		t.Errorf("%+v", preview)
	}
}
