package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const noticed = `[buildout]
extends = base.cfg
parts = file link
[file]
recipe = slapos.recipe.template
url = ${buildout:directory}/software_release/file.in
value = ${slap-parameter:value}
output = ${buildout:directory}/etc/deep/file
[link]
recipe = slapos.cookbook:wrapper
command-line = sleep ${base:seconds}
wrapper-path = ${buildout:directory}/etc/service/link
`

// place1 is a partition that has settled: its profile and its record are in the cache.
func place1(t *testing.T) (Partition, *fakeWorld) {
	t.Helper()
	p, w := place(t, noticed), newFakeWorld()
	p.Environment.Parameters = map[string]string{"value": "one"}
	put(t, p.ReleaseDirectory, "base.cfg", "[base]\nseconds = 1\n")
	put(t, p.ReleaseDirectory, "file.in", "a ${file:value}")
	run1(t, p, w)
	for range 2 {
		if again := run1(t, p, w); again.Changed || actions(again.Parts) != "skip file, update link" {
			t.Fatalf("it does not settle: %s", actions(again.Parts))
		}
	}
	return p, w
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
}

func TestARunThatHasEverythingInItsCacheNoticesWhatChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, p *Partition)
		// want are the actions, changed whether the disk changes, file what etc/deep/file has then.
		want    string
		changed bool
		file    string
	}{
		"a parameter": {
			func(_ *testing.T, p *Partition) { p.Environment.Parameters = map[string]string{"value": "two"} },
			"reinstall file, update link", true, "a two",
		},
		"a template, of the same length": {
			func(t *testing.T, p *Partition) { put(t, p.ReleaseDirectory, "file.in", "b ${file:value}") },
			"reinstall file, update link", true, "b one",
		},
		"the profile": {
			func(t *testing.T, p *Partition) {
				write(t, *p, strings.Replace(noticed, "etc/service/link", "etc/service/kink", 1))
			},
			"skip file, reinstall link", true, "a one",
		},
		"a file that the profile extends, of the same length": {
			func(t *testing.T, p *Partition) { put(t, p.ReleaseDirectory, "base.cfg", "[base]\nseconds = 2\n") },
			"skip file, reinstall link", true, "a one",
		},
		"the release": {
			func(t *testing.T, p *Partition) {
				p.ReleaseDirectory = t.TempDir()
				write(t, *p, noticed)
				put(t, p.ReleaseDirectory, "base.cfg", "[base]\nseconds = 3\n")
				put(t, p.ReleaseDirectory, "file.in", "c ${file:value}")
			},
			"reinstall file, reinstall link", true, "c one",
		},
		"an installed file that was deleted": {
			func(t *testing.T, p *Partition) {
				if err := os.Remove(filepath.Join(p.Directory, "etc/deep/file")); err != nil {
					t.Fatal(err)
				}
			},
			"reinstall file, update link", true, "a one",
		},
		"a directory of installed files that was deleted": {
			func(t *testing.T, p *Partition) {
				if err := os.RemoveAll(filepath.Join(p.Directory, "etc/deep")); err != nil {
					t.Fatal(err)
				}
			},
			"reinstall file, update link", true, "a one",
		},
		"an installed file that was edited": {
			func(t *testing.T, p *Partition) { put(t, p.Directory, "etc/deep/file", "by hand") },
			"skip file, update link", false, "by hand",
		},
		"the record": {
			func(t *testing.T, p *Partition) {
				put(t, p.Directory, recordName, strings.Replace(read(t, *p, recordName), `"recipe":"slapos.cookbook:wrapper"`, `"recipe":"slapos.cookbook:wrappeR"`, 1))
			},
			"skip file, reinstall link", false, "a one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, w := place1(t)
			c.change(t, &p)
			result := run1(t, p, w)
			if got := actions(result.Parts); got != c.want || result.Changed != c.changed {
				t.Errorf("%s, changed %v; want %s, %v", got, result.Changed, c.want, c.changed)
			}
			if got := strings.TrimSpace(read(t, p, "etc/deep/file")); got != c.file {
				t.Errorf("the file has %q, want %q", got, c.file)
			}
			if name == "an installed file that was edited" && strings.Join(result.Parts[0].Edited, " ") != "etc/deep/file" {
				t.Errorf("edited: %v", result.Parts[0].Edited)
			}
			if again := run1(t, p, w); again.Changed {
				t.Errorf("the run after it changed something: %s", actions(again.Parts))
			}
		})
	}
}

func TestARecordThatIsDeletedMakesFilesNobodysAlsoWithACache(t *testing.T) {
	p, w := place1(t)
	if err := os.Remove(filepath.Join(p.Directory, recordName)); err != nil {
		t.Fatal(err)
	}
	put(t, p.Directory, "etc/deep/file", "by hand")
	if _, err := Run(t.Context(), p, w, nil); err == nil || !strings.Contains(err.Error(), "something is there that no part of this profile made") {
		t.Errorf("got %v", err)
	}
}

func TestRecordsInTheCacheAreBounded(t *testing.T) {
	c := NewCache()
	content := []byte(`{"version": 1, "profiles": {}, "memory": {"a": {"b": "` + strings.Repeat("x", CacheRecordBytes/10) + `"}}}`)
	for i := range 100 {
		r, err := c.record(fmt.Sprintf("/p%d", i%20), content)
		if err != nil || len(r.Memory["a"]["b"]) != CacheRecordBytes/10 {
			t.Fatalf("%v, %v", r, err)
		}
		bytes := 0
		for _, k := range c.records {
			bytes += k.bytes
		}
		if bytes != c.bytes || bytes > CacheRecordBytes || len(c.records) == 0 {
			t.Fatalf("%d records of %d bytes, counted as %d", len(c.records), bytes, c.bytes)
		}
	}
	if _, err := c.record("/p1", append(content, '}')); err == nil {
		t.Error("a record that cannot be read is taken from the cache")
	}
}

func TestASightSeesWhatTheRootSees(t *testing.T) {
	dir := t.TempDir()
	for i := range MaxSightDirectories + 5 {
		d := filepath.Join(dir, fmt.Sprintf("d%d", i))
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
		put(t, d, "file", "x")
	}
	put(t, dir, "file", "x")
	for target, name := range map[string]string{"d1": "inside", "/etc": "outside", "d1/file": "d2/link", "..": "above", "nowhere": "dangling"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"file", "nothing", "file/below", "nothing/below", "inside/file", "outside/passwd", "above/x", "dangling", "dangling/x", "d2/link", "d2/link/x", "d1/.."}
	for i := range MaxSightDirectories + 5 {
		names = append(names, fmt.Sprintf("d%d/file", i), fmt.Sprintf("d%d/nothing", i))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	seen := sight{root: root}
	defer seen.close()
	for range 2 {
		for _, name := range names {
			want, wantErr := root.Lstat(name)
			got, err := seen.lstat(name)
			if (err == nil) != (wantErr == nil) || os.IsNotExist(err) != os.IsNotExist(wantErr) || err == nil && !os.SameFile(got, want) {
				t.Errorf("%s: %v, %v; the root says %v, %v", name, got, err, want, wantErr)
			}
		}
	}
	if len(seen.open) != MaxSightDirectories {
		t.Errorf("%d directories are open", len(seen.open))
	}
}

func TestPartitionsOfOneReleaseRunAtOnce(t *testing.T) {
	p, _ := place1(t)
	var all sync.WaitGroup
	for i := range 8 {
		q := p
		q.Directory, q.Environment.Parameters = t.TempDir(), map[string]string{"value": fmt.Sprint(i)}
		all.Go(func() {
			for n := range 20 {
				if result, err := Run(t.Context(), q, newFakeWorld(), nil); err != nil || result.Changed != (n == 0) {
					t.Errorf("run %d: %v, %v", n, result.Changed, err)
				}
			}
		})
	}
	all.Wait()
}
