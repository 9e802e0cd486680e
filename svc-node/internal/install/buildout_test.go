package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/profile"
)

// pythonRecipe is a release's own egg with one recipe, as an author would write it: it writes the options of its part.
var pythonRecipe = map[string]string{
	"egg/say.egg-info/PKG-INFO":         "Metadata-Version: 1.0\nName: say\nVersion: 1.0\n",
	"egg/say.egg-info/entry_points.txt": "[zc.buildout]\ndefault = say:Recipe\n",
	// Debian 12's zc.buildout 2.13.2 imports a name that its Python 3.11 no longer has.
	"egg/sitecustomize.py": "import collections\nimport collections.abc\ncollections.MutableMapping = collections.abc.MutableMapping\n",
	"egg/say.py": `class Recipe(object):
    def __init__(self, buildout, name, options):
        self.options = options
    def install(self):
        with open(self.options['output'], 'w') as f:
            f.write(self.options['text'])
        return self.options['output']
    update = install
`,
}

// realBuildout is a release whose profile needs Python, and Debian's buildout, which CI has.
func realBuildout(t *testing.T, instance string) (Partition, *fakeWorld) {
	t.Helper()
	executable, err := exec.LookPath("buildout")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("buildout is not installed: make setup")
		}
		t.Skip("buildout is not installed: make setup")
	}
	p := place(t, instance)
	for name, content := range pythonRecipe {
		path := filepath.Join(p.ReleaseDirectory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// As releases do, theirs knows where its eggs are.
	own := filepath.Join(p.ReleaseDirectory, "bin", "buildout")
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("#!/bin/sh\nPYTHONPATH="+filepath.Join(p.ReleaseDirectory, "egg")+" exec "+executable+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.Environment.ServerURL, p.Environment.SoftwareReleaseURL = "http://127.0.0.1:1", "file:///release"
	w := newFakeWorld()
	w.directory = p.Directory
	return p, w
}

const needsPython = `[buildout]
parts = said
eggs-directory = ${buildout:directory}/eggs
develop-eggs-directory = ${buildout:directory}/develop-eggs

[said]
recipe = say
output = ${buildout:directory}/said
text = ${slap-connection:computer-id} ${slap-connection:partition-id} ${slap-connection:server-url} ${slap-connection:requested-state}
`

func TestARecipeThatIsNotBuiltInIsRunByARealBuildout(t *testing.T) {
	p, w := realBuildout(t, "[buildout]\nparts = own\n[own]\nrecipe = slapos.recipe.template\ninline = x\noutput = own\n")
	p.Environment.RequestedState = "started"
	run1(t, p, w)
	if len(w.commands) > 0 {
		t.Fatalf("a profile that needs nothing of buildout ran %v", w.commands)
	}
	write(t, p, needsPython)
	preview, err := Plan(t.Context(), p, w)
	if err != nil || len(preview.Commands) != 1 || len(w.commands) > 0 {
		t.Fatalf("the plan is %+v, %v, and ran %v", preview, err, w.commands)
	}
	result := run1(t, p, w)
	if got := read(t, p, "said"); got != "COMP-1 slappart0 http://127.0.0.1:1 started" {
		t.Errorf("buildout was told %q", got)
	}
	if !result.Changed || actions(result.Parts) != "uninstall own, run buildout" || !strings.Contains(result.Parts[1].Reason, "the recipe say is not built in") {
		t.Errorf("the run did %s: %+v", actions(result.Parts), result)
	}
	if _, err := os.Stat(filepath.Join(p.Directory, "own")); err == nil {
		t.Error("what our recipe made stayed")
	}
	if info, err := os.Stat(filepath.Join(p.Directory, buildoutName)); err != nil || info.Mode().Perm() != buildoutMode {
		t.Errorf("buildout.cfg: %v, %v", info, err)
	}
	if again := run1(t, p, w); again.Changed {
		t.Errorf("the second run changed something: %+v", again.Parts)
	}
}

func TestWhatARealBuildoutSaysIsTheError(t *testing.T) {
	p, w := realBuildout(t, strings.ReplaceAll(needsPython, "output =", "target ="))
	_, err := Run(t.Context(), p, w, nil)
	if err == nil || !errors.As(err, new(*PartError)) || !strings.Contains(err.Error(), "Missing option: said:output") {
		t.Errorf("the error is %v", err)
	}
}

func TestWithoutABuildoutTheErrorSaysWhatToDo(t *testing.T) {
	for name, instance := range map[string]string{
		"recipe": "[buildout]\nparts = a\n\n[a]\nrecipe = slapos.recipe.cmmi\n",
		"import": "[buildout]\nparts = a\n\n[a]\nrecipe = slapos.recipe.template:jinja2\ninline = x\noutput = x\ncontext = import os os\n",
	} {
		p := place(t, instance)
		_, err := Run(t.Context(), p, newFakeWorld(), nil)
		if !errors.Is(err, profile.ErrNotBuiltIn) || !strings.Contains(err.Error(), "instance.cfg:") || !strings.Contains(err.Error(), "[a]") || !strings.Contains(err.Error(), "--buildout") {
			t.Errorf("%s: the error is %v", name, err)
		}
		if left, _ := os.ReadDir(p.Directory); len(left) > 0 {
			t.Errorf("%s: it left %v", name, left)
		}
		p.Buildout = "/usr/bin/buildout"
		if preview, err := Plan(t.Context(), p, newFakeWorld()); err != nil || len(preview.Commands) != 1 {
			t.Errorf("%s: with the node's buildout the plan is %+v, %v", name, preview, err)
		}
	}
}

func TestAPlanTellsNoPasswords(t *testing.T) {
	p := place(t, "[buildout]\nparts = service command\n[password]\nrecipe = slapos.cookbook:generate.password\nstorage-path = ${buildout:directory}/.password\n"+
		"[service]\nrecipe = slapos.cookbook:wrapper\ncommand-line = server --password ${password:passwd}\nwrapper-path = etc/service/server\n"+
		"[command]\nrecipe = plone.recipe.command\ncommand = set ${password:passwd}\n")
	preview, err := Plan(t.Context(), p, newFakeWorld())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(preview.Commands, "") != "set ***" {
		t.Errorf("the commands are %q", preview.Commands)
	}
	for _, f := range preview.Files {
		if f.Path == "etc/service/server" && !strings.Contains(f.Diff, "+exec server --password *** ") {
			t.Errorf("the diff is\n%s", f.Diff)
		}
	}
}
