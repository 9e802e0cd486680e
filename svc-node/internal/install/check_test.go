package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/profile"
)

func TestCheckTellsAnAuthorWhatAProfileDeploys(t *testing.T) {
	for kind, want := range map[string]string{
		"root":  "web-url=web:url",
		"web":   "url=http://127.0.0.1:20000/",
		"store": "url=tcp://127.0.0.1:16379",
	} {
		preview, err := Check(t.Context(), "../../../examples/hello/instance.cfg", profile.Environment{SoftwareType: kind, Parameters: map[string]string{"port": map[string]string{"store": "16379"}[kind]}}, false)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		name, value, _ := strings.Cut(want, "=")
		if preview.Published[name] != value {
			t.Errorf("%s publishes %v, want %s", kind, preview.Published, want)
		}
		if kind != "root" && (len(preview.Services) != 1 || preview.Services[0].Action != "create") {
			t.Errorf("%s: services %v", kind, preview.Services)
		}
	}
	p := place(t, "[buildout]\nparts = a\n[a]\nrecipe = slapos.recipe.cmmi\n")
	_, err := Check(t.Context(), filepath.Join(p.ReleaseDirectory, "instance.cfg"), profile.Environment{}, false)
	if err == nil || !strings.Contains(err.Error(), "instance.cfg:4: [a] recipe: cannot install this part: the recipe slapos.recipe.cmmi is not built in") {
		t.Errorf("got %v", err)
	}
}

// Python of the profile is run by a check only when asked to, and never by a plan; what needs it waits, the rest is planned.
func TestPlansRunNoPython(t *testing.T) {
	const source = "[buildout]\nparts = needs other\n[needs]\nrecipe = slapos.cookbook:publish\nx = ${python:x}\n" +
		"[python]\nrecipe = slapos.recipe.build\ninit =\n  open('made', 'w').close()\n  options['x'] = 'from Python'\n" +
		"[other]\nrecipe = slapos.cookbook:wrapper\ncommand-line = x\nwrapper-path = ${buildout:directory}/etc/service/x\n"
	p, w := place(t, source), newFakeWorld()
	w.directory = p.Directory
	check := func(python bool) Preview {
		preview, err := Check(t.Context(), filepath.Join(p.ReleaseDirectory, "instance.cfg"), profile.Environment{}, python)
		if err != nil || len(preview.Services) != 1 {
			t.Errorf("%+v, %v", preview, err)
		}
		return preview
	}
	if preview := check(false); len(preview.Waiting) != 2 || !strings.Contains(preview.Waiting[0].Reason, "--python") {
		t.Errorf("without Python: %+v", preview.Waiting)
	}
	if preview := check(true); len(preview.Waiting) != 0 || preview.Published["x"] != "from Python" {
		t.Errorf("with Python: %+v", preview)
	}
	preview, err := Plan(t.Context(), p, w)
	if err != nil || len(preview.Waiting) != 2 || w.pythons != 0 {
		t.Errorf("the plan: %+v, %v", preview, err)
	}
	run1(t, p, w)
	if w.published["x"] != "from Python" || read(t, p, "made") != "" {
		t.Errorf("published %v", w.published)
	}
}

// A file that Python makes is a part's file: replaced when it changes, removed with the part, made again when it vanished;
// a run that changes nothing runs only init.
func TestWhatPythonMakesIsThePartsFile(t *testing.T) {
	const source = "[buildout]\nparts = a\n[a]\nrecipe = slapos.recipe.build\nlocation = ${buildout:directory}/etc/x\ntext = one\ninstall =\n  with open(location, 'w') as f: f.write(options['text'])\n"
	p, w := place(t, source), newFakeWorld()
	w.directory = p.Directory
	run1(t, p, w)
	if again := run1(t, p, w); read(t, p, "etc/x") != "one" || again.Changed || w.pythons != 1 {
		t.Errorf("%s, ran %d times, changed %v", read(t, p, "etc/x"), w.pythons, again.Changed)
	}
	write(t, p, strings.Replace(source, "text = one", "text = two", 1))
	if result := run1(t, p, w); read(t, p, "etc/x") != "two" || len(result.Kept) != 0 {
		t.Errorf("%s, kept %v", read(t, p, "etc/x"), result.Kept)
	}
	file := filepath.Join(p.Directory, "etc/x")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	run1(t, p, w)
	if read(t, p, "etc/x") != "two" {
		t.Error("it was not made again")
	}
	write(t, p, "[buildout]\nparts =\n")
	run1(t, p, w)
	if _, err := os.Stat(file); err == nil {
		t.Error("it outlived its part")
	}
}
