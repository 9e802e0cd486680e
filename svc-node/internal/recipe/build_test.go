package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pythonWorld is a world whose partition is a real directory, DIR in profiles.
func pythonWorld(t *testing.T) *world {
	w := newWorld(t)
	w.environment.BuildoutDirectory = t.TempDir()
	return w
}

// What init sets, text or data, other sections and templates refer to.
func TestPythonSetsOptions(t *testing.T) {
	w := pythonWorld(t)
	w.must(`[a]
recipe = slapos.cookbook:publish
url = ${u:public}
ports = ${u:ports}
text = ${t:output}
[u]
recipe = slapos.recipe.build
user = root
home = ${where:home}
init =
  # a comment
  from urllib.parse import urlparse
  def host(url):
    return urlparse(url).netloc
  options['public'] = 'https://%s@%s/' % (self.options['user'], host("http://h.example/x"))
  options['ports'] = [80, 443]
  print('this goes to the log')
[where]
home = /h
[t]
recipe = slapos.recipe.template:jinja2
inline = {{ ports | sum }} {{ section['public'] }}
output = /p/t
context =
  key ports u:ports
  section section u
`)
	if w.published["url"] != "https://root@h.example/" || w.published["ports"] != "[80, 443]" {
		t.Errorf("published %v", w.published)
	}
	w.wants("/p/t", "523 https://root@h.example/\n", 0o640)
}

// Scripts read other sections by name, also one that refers back to theirs.
func TestPythonReadsOtherSections(t *testing.T) {
	w := pythonWorld(t)
	w.must(`[a]
recipe = slapos.cookbook:publish
x = ${certificate:made} ${made:seen}
[made]
recipe = slapos.recipe.build
init =
  options['seen'] = self.buildout['certificate']['path'] + buildout.get('password')['passwd'][:0] + self.buildout['buildout']['offline']
[certificate]
path = /p/crt
made = ${made:recipe}
[password]
recipe = slapos.cookbook:generate.password
`)
	if w.published["x"] != "slapos.recipe.build /p/crttrue" {
		t.Errorf("published %v", w.published)
	}
	w.fails("[a]\nrecipe = slapos.recipe.build\ninit =\n  name = 'b'\n  options['x'] = self.buildout[name]['y']\n[b]\ny = 1\n", "line 2: KeyError: section [b] is not known here: it does not exist, or the script does not name it as buildout['b']")
	w.fails("[a]\nrecipe = slapos.recipe.build\ninit =\n  self.buildout['r']['connection-x']\n[r]\nrecipe = slapos.cookbook:request\nname = r\nsoftware-url = u\nreturn = x\n", "not available yet")
}

// What install makes becomes the part's files, and what was there before is untouched until they are committed.
func TestPythonMakesFiles(t *testing.T) {
	w := pythonWorld(t)
	dir := w.environment.BuildoutDirectory
	file := filepath.Join(dir, "etc", "config.json")
	const source = `[a]
recipe = slapos.recipe.build
location = ${buildout:directory}/etc/config.json
init =
  self.kept = {'from': 'init'}
install =
  import json, os
  assert not os.path.exists(location)
  with open(options['location'], 'w') as f:
    json.dump(self.kept, f)
  os.chmod(location, 0o600)
`
	w.must(source)
	w.wants(file, `{"from": "init"}`, 0o600)
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is on disk before it is committed")
	}
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	w.must(source)
	if content, err := os.ReadFile(file); err != nil || string(content) != "old" {
		t.Errorf("what was there became %s, %v", content, err)
	}
	w.must(`[a]
recipe = slapos.recipe.build
install =
  import os, shutil
  os.makedirs(location + '/bin')
  os.symlink('bin/run', location + '/link')
  with open(location + '/bin/run', 'w') as f:
    f.write('#!/bin/sh')
  os.chmod(f.name, 0o755)
`)
	parts := filepath.Join(dir, "parts", "a")
	w.wants(filepath.Join(parts, "bin", "run"), "#!/bin/sh", 0o755)
	if w.links[filepath.Join(parts, "link")] != "bin/run" || !w.directories[filepath.Join(parts, "bin")] {
		t.Errorf("links %v, directories %v", w.links, w.directories)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "parts")); len(left) != 0 {
		t.Errorf("left on disk: %v", left)
	}
}

// A script that was killed half-way left what was there before beside it.
func TestPythonThatWasKilledIsRunAgain(t *testing.T) {
	w := pythonWorld(t)
	file := filepath.Join(w.environment.BuildoutDirectory, "f")
	for name, content := range map[string]string{file: "half", file + ".vow-before": "whole"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.must("[a]\nrecipe = slapos.recipe.build\nlocation = " + file + "\ninstall =\n  with open(location, 'w') as f: f.write('new')\n")
	if content, _ := os.ReadFile(file); string(content) != "whole" || w.files[file].content != "new" {
		t.Errorf("on disk %s, staged %v", content, w.files[file])
	}
	if _, err := os.Stat(file + ".vow-before"); err == nil {
		t.Error("the copy is left")
	}
}

func TestPythonFromArchivesOfTheRelease(t *testing.T) {
	w := pythonWorld(t)
	dir := w.environment.BuildoutDirectory
	if err := os.WriteFile(filepath.Join(dir, "x.tar.gz"), []byte(tarOf(t, [2]string{"top/"}, [2]string{"top/index.html", "hello"})), 0o600); err != nil {
		t.Fatal(err)
	}
	part := "[a]\nrecipe = slapos.recipe.build\nlocation = ${buildout:directory}/www\nurl = " + dir + "/x.tar.gz\ninstall =\n  self.copyTree(guessworkdir(self.extract(self.download())), location)\n"
	w.must(part)
	w.wants(filepath.Join(dir, "www", "index.html"), "hello", 0o755)
	w.fails(part+"md5sum = 0\n", "its checksum is")
	w.fails(strings.Replace(part, "url = ", "url = http://x", 1), "offline = true")
}

func TestPythonThatFailsIsToldWithItsPlace(t *testing.T) {
	w := pythonWorld(t)
	const part = "[a]\nrecipe = slapos.recipe.build\n"
	for _, c := range [][2]string{
		{"init =\n  x = 1\n  options['missing']\n", "[a] init: cannot run the Python: line 2: KeyError: there is no option missing in section [a]"},
		{"init =\n  def\n", "line 1: SyntaxError"},
		{"init =\n  import sys\n  sys.exit(3)\n", "it exits: 3"},
		{"init =\n  options['x'] = object()\n", "cannot keep the option x"},
		{"init =\n  self.buildout.parse('[x]')\n", "sections cannot be added"},
		{"install =\n  pass\n", "[a] install: cannot run the Python: install made nothing at location"},
		{"init =\n  options['location'] = ''\ninstall =\n  1 / 0\n", "line 1: ZeroDivisionError"},
		{"install =\n  import os\n  os.mkfifo(location)\n", "which is no file, directory or link"},
	} {
		w.fails(part+c[0], c[1])
	}
	w.must(part + "init =\n  options['location'] = ''\ninstall =\n  pass\n")
	w.must(part + "init =\n  \"\"\nupdate =\n")
	w.must(part + "update =\n  open(options['at'], 'w').close()\nat = " + filepath.Join(w.environment.BuildoutDirectory, "updated") + "\n")
	if _, err := os.Stat(filepath.Join(w.environment.BuildoutDirectory, "updated")); err != nil {
		t.Errorf("without install, update is run: %v", err)
	}
	w.failing = ErrNotAvailable
	if err := w.run(part + "init =\n  pass\n"); !errors.Is(err, ErrNotAvailable) {
		t.Errorf("in a plan: %v", err)
	}
}
