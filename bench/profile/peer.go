package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// errNoPeer says that there is nothing to compare with.
var errNoPeer = errors.New("cannot compare: zc.buildout is not installed (Debian: python3-zc.buildout); make setup")

// peer is a partition that Debian's zc.buildout deploys.
type peer struct{ dir, eggs, executable string }

// egg is the four recipes: the names and outputs of the originals, and the least work that does it.
var egg = map[string]string{
	"slapos.cookbook.egg-info/PKG-INFO":                    "Metadata-Version: 1.0\nName: slapos.cookbook\nVersion: 1.0\n",
	"slapos.cookbook.egg-info/entry_points.txt":            "[zc.buildout]\nmkdirectory = recipes:Directory\nwrapper = recipes:Wrapper\n",
	"collective.recipe.template.egg-info/PKG-INFO":         "Metadata-Version: 1.0\nName: collective.recipe.template\nVersion: 1.0\n",
	"collective.recipe.template.egg-info/entry_points.txt": "[zc.buildout]\ndefault = recipes:Template\n",
	"plone.recipe.command.egg-info/PKG-INFO":               "Metadata-Version: 1.0\nName: plone.recipe.command\nVersion: 1.0\n",
	"plone.recipe.command.egg-info/entry_points.txt":       "[zc.buildout]\ndefault = recipes:Command\n",
	"sitecustomize.py":                                     sitecustomize,
	"recipes.py":                                           recipes,
}

// sitecustomize gives Debian 12's zc.buildout 2.13.2 a name that its Python 3.11 no longer has.
const sitecustomize = "import collections\nimport collections.abc\ncollections.MutableMapping = collections.abc.MutableMapping\n"

const recipes = `import os, re, subprocess

class Recipe(object):
    def __init__(self, buildout, name, options):
        self.buildout, self.name, self.options = buildout, name, options
    def update(self):
        pass

class Directory(Recipe):
    def install(self):
        for key, path in self.options.items():
            if key != 'recipe' and not os.path.isdir(path):
                os.makedirs(path)
        return []
    update = install

class Wrapper(Recipe):
    def install(self):
        path = self.options['wrapper-path']
        with open(path, 'w') as f:
            f.write('#!/bin/sh\nexec ' + self.options['command-line'] + ' "$@"\n')
        os.chmod(path, 0o700)
        return path

class Template(Recipe):
    def install(self):
        path = self.options['output']
        with open(path, 'w') as f:
            f.write(self.options['input'].split('inline:', 1)[1].lstrip('\n'))
        return path

class Command(Recipe):
    def install(self):
        subprocess.check_call(self.options['command'], shell=True)
        return []
`

func newPeer(dir string) (*peer, error) {
	executable, err := exec.LookPath("buildout")
	if err != nil {
		return nil, errNoPeer
	}
	p := &peer{dir: filepath.Join(dir, "slappart0"), eggs: filepath.Join(dir, "egg"), executable: executable}
	files := map[string]string{filepath.Join(p.dir, "buildout.cfg"): profile()}
	for name, content := range egg {
		files[filepath.Join(p.eggs, name)] = content
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("cannot make the peer's partition: %w", err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("cannot make the peer's partition: %w", err)
		}
	}
	return p, nil
}

// install runs buildout as slapgrid does: a process, offline, without what the user has set for others.
func (p *peer) install(ctx context.Context) error {
	c := exec.CommandContext(ctx, p.executable, "-U", "-o", "-N", "-q", "-c", "buildout.cfg") //nolint:gosec // found on PATH
	c.Dir, c.Env = p.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "PYTHONPATH=" + p.eggs}
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run zc.buildout: %w: %s", err, output)
	}
	return nil
}
