package release

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// directory makes a directory of files (path → content) and links (path → "-> target").
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, full); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(full, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newRoot(t *testing.T, s ...Settings) *Root {
	t.Helper()
	r, err := NewRoot(filepath.Join(t.TempDir(), "software"), append(s, Settings{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// beside lists what is in a software root, but for its lock.
func beside(t *testing.T, r *Root) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestAReleaseIsCopiedWithModesAndLinksAndIsCompleteOnlyThen(t *testing.T) {
	r := newRoot(t)
	url := "file://" + directory(t, map[string]string{"instance.cfg": "[buildout]\n", "bin/serve": "#!/bin/sh\n", "lib/current": "-> ../bin", "deep/er/link": "-> ../../lib/current/serve"})
	if r.Installed(url) {
		t.Fatal("installed before it was")
	}
	for range 2 { // installing what is installed does nothing
		if err := r.Install(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
	}
	dir := r.Directory(url)
	if !r.Installed(url) || len(filepath.Base(dir)) != 32 {
		t.Errorf("not installed in %s", dir)
	}
	if info, err := os.Stat(filepath.Join(dir, "deep", "er", "link")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("bin/serve through links is %v, %v", info, err)
	}
	if left := beside(t, r); len(left) != 1 {
		t.Errorf("beside it are %v", left)
	}
	if err := r.Remove(t.Context(), url); err != nil || r.Installed(url) {
		t.Errorf("removed: %v, installed: %t", err, r.Installed(url))
	}
}

func TestLinksThatLeaveTheReleaseAreRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"absolute":           {"a": "-> /etc/passwd"},
		"upwards":            {"a": "-> ../../../../../../etc/passwd"},
		"through a link":     {"x/y/z": "-> ../..", "t": "-> x/y/z/../../etc"},
		"leads nowhere":      {"a": "-> missing"},
		"to itself":          {"a": "-> a"},
		"absolute, in a dir": {"d/a": "-> /"},
	} {
		r := newRoot(t)
		url := "file://" + directory(t, files)
		err := r.Install(t.Context(), url, nil)
		if err == nil || !strings.Contains(err.Error(), "link") || !strings.Contains(err.Error(), url) {
			t.Errorf("%s: %v", name, err)
		}
		if left := beside(t, r); len(left) != 0 || r.Installed(url) {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

func TestWhatCannotBeInstalledSaysSo(t *testing.T) {
	r := newRoot(t)
	for url, want := range map[string]string{
		"http://host/release.cfg":                                "want https:, or a checksum",
		"http://host/a.tar#md5=d41d8cd98f00b204e9800998ecf8427e": "want https:, or a checksum",
		"ftp://host/a.tar":                                       "not of ftp",
		"https:///a.tar":                                         "want https://host/path",
		"https://host/a.tar#sha256=12":                           "64 hexadecimal digits",
		"https://host/a.tar#sha1=12":                             "want #sha256=",
		"https://host/software.cfg":                              "--buildout",
		"file://host/somewhere":                                  "file:///absolute/path",
		"file:relative":                                          "file:///absolute/path",
		"file:///no/such/folder/x":                               "no such file",
	} {
		if err := r.Install(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot install") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAnInstallationCutShortLeavesNothing(t *testing.T) {
	r := newRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	url := "file://" + directory(t, map[string]string{"a": "x"})
	if err := r.Install(ctx, url, nil); err == nil || r.Installed(url) {
		t.Fatal("installed although it was cut short")
	}
	// kill -9 leaves the copy; the next agent removes it.
	left := filepath.Join(filepath.Dir(r.Directory(url)), installing+"123")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRoot(filepath.Dir(left), Settings{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the copy that was cut short is still there")
	}
}

func TestOptionsAreReadFromTheRelease(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Options
	}{
		"nothing said":      {nil, Options{}},
		"all said":          {map[string]string{"periodicity": "3600\n", "bang-quota": "0", "bang-policy": "ancestors\n"}, Options{Periodicity: time.Hour, HasQuota: true, Policy: PolicyAncestors}},
		"zero is the floor": {map[string]string{"periodicity": "0"}, Options{Periodicity: time.Minute}},
		"negative is none":  {map[string]string{"periodicity": "-1"}, Options{}},
		"unreadable": {map[string]string{"periodicity": "soon", "bang-policy": "all"}, Options{
			Error: `cannot use the file periodicity: "soon" is no number of seconds; cannot use the file bang-policy: "all" is neither tree nor ancestors`,
		}},
	} {
		r := newRoot(t)
		c.files = mapWith(c.files, "instance.cfg", "x")
		url := "file://" + directory(t, c.files)
		if err := r.Install(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
		if got := r.Options(url); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheSchemaOfAReleaseNeverLeadsOutOfIt(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"const": "top"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		schema, problem string
	}{
		"its own": {`{"type": "object", "properties": {"a": {"$ref": "deep/a.json"}}}`, ""},
		"a link":  {`{"$ref": "link.json"}`, "link.json"},
		"a path":  {`{"$ref": "../../../../../../../../../..` + secret + `"}`, "secret.json"},
		"a URL":   {`{"$ref": "https://example.com/a.json"}`, "only files of the release are read"},
	} {
		r := newRoot(t)
		url := "file://" + directory(t, map[string]string{
			"instance.cfg": "x", "input.json": c.schema, "deep/a.json": `{"type": "integer"}`,
			"software.cfg.json": `{"serialisation": "xml", "software-type": {"default": {"request": "input.json"}}}`,
		})
		if err := r.Install(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(r.Directory(url), "link.json")); err != nil { // a build makes what it likes
			t.Fatal(err)
		}
		got := r.Options(url)
		if c.problem == "" && (got.Error != "" || len(got.Schema) != 3) || c.problem != "" && !strings.Contains(got.Error, c.problem) {
			t.Errorf("%s: %d files, %s", name, len(got.Schema), got.Error)
		}
		for _, f := range got.Schema {
			if strings.Contains(string(f.Content), "top") {
				t.Errorf("%s: %s has %s", name, f.Path, f.Content)
			}
		}
	}
}

func mapWith(m map[string]string, key, value string) map[string]string {
	with := map[string]string{key: value}
	for k, v := range m {
		with[k] = v
	}
	return with
}
