package interpreter

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAReleaseBringsItsPythonAndItsEggs(t *testing.T) {
	machine, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		script, python string
		paths          []string
	}{
		"no buildout":     {"", machine, nil},
		"its own":         {"#!/opt/r/bin/python3.11 -E\n\nimport sys\nsys.path[0:0] = [\n  '/opt/r/eggs/a.egg',\n  \"/opt/r/eggs/b.egg\",\n  ]\n", "/opt/r/bin/python3.11", []string{"/opt/r/eggs/a.egg", "/opt/r/eggs/b.egg"}},
		"a shell script":  {"#!/bin/sh\nexec x\n", machine, nil},
		"the machine's":   {"#!/usr/bin/env python3\nsys.path[0:0] = ['/x']\n", machine, nil},
		"no path literal": {"#!/usr/bin/python3\nimport sys\n", "/usr/bin/python3", nil},
	} {
		dir := t.TempDir()
		if c.script != "" {
			if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "bin", "buildout"), []byte(c.script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		python, paths, err := OfRelease(dir)
		if err != nil || python != c.python || !slices.Equal(paths, c.paths) {
			t.Errorf("%s: %s, %v, %v", name, python, paths, err)
		}
	}
	if _, err := Paths([]byte("sys.path[0:0] = [" + strings.Repeat("'/x', ", MaxPaths+1) + "]\n")); err == nil {
		t.Error("there is no limit to sys.path")
	}
}
