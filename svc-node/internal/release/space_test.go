package release

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of 2 MiB; nil without the right to mount one, which CI has.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("vow-test", dir, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("CI") != "" || os.Getuid() == 0 {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Log("no small disk without root: only the reserve of a large one is tested")
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskFailsAnInstallationWhichGivesAllBack(t *testing.T) {
	disk := smallDisk(t)
	if disk == "" {
		return
	}
	large, small := noise(t, 3<<20), noise(t, 100_000)
	packed := gzipOf(t, tarOf(t, profile("instance.cfg"), entry{name: "zeros", content: strings.Repeat("\x00", 3<<20)}))
	s, p := serve(t, large), serve(t, packed)
	unknown := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for piece := range slices.Chunk(large, 100_000) {
			_, _ = w.Write(piece)
			w.(http.Flusher).Flush() // so that its length is not told
		}
	}))
	t.Cleanup(unknown.Close)
	dir := t.TempDir()
	script(t, filepath.Join(dir, "buildout"), "#!/bin/sh\nmkdir -p eggs; dd if=/dev/zero of=eggs/large bs=64k count=64\n")
	script(t, filepath.Join(dir, "software.cfg"), "[buildout]\n")
	tree := directory(t, map[string]string{"instance.cfg": "[buildout]\n", "large": string(large)})
	for name, c := range map[string]struct{ url, want string }{
		"copy":                                  {"file://" + tree, "no space left"},
		"unpack":                                {file(t, packed), "no space left"},
		"download":                              {s.URL + "/x.tar", "are needed"},
		"download of a length that is not told": {unknown.URL + "/x.tar", "no space left"},
		"build":                                 {"file://" + dir + "/software.cfg", "is free on the file system"},
		"download, unpack":                      {p.URL + "/x.tar.gz", "no space left"},
	} {
		r, err := NewRoot(filepath.Join(disk, "software"), Settings{Buildout: filepath.Join(dir, "buildout")})
		if err != nil {
			t.Fatal(err)
		}
		err = r.Install(t.Context(), c.url, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left := beside(t, r); len(left) != 0 {
			t.Errorf("%s: %v is left", name, left)
		}
		if err := r.Install(t.Context(), file(t, small), nil); err != nil {
			t.Errorf("%s: a release that fits does not: %v", name, err)
		}
		if err := os.RemoveAll(r.dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnInstallationLeavesTheReserveFree(t *testing.T) {
	r := newRoot(t)
	var st unix.Statfs_t
	if err := unix.Statfs(r.dir, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Bsize
	url := file(t, tarOf(t, profile("instance.cfg")))
	r.s.MinFree = 2 * free
	err := r.Install(t.Context(), url, nil)
	if !errors.As(err, new(*SpaceError)) || !strings.Contains(err.Error(), "have to stay free") {
		t.Errorf("with a reserve larger than what is free: %v", err)
	}
	r.s.MinFree = 1
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Error(err)
	}
	// A file that would eat the reserve is refused before it is written.
	huge := filepath.Join(t.TempDir(), "huge")
	if err := os.MkdirAll(huge, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(huge, "instance.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(huge, "sparse"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(huge, "sparse"), min(free, 10<<30)); err != nil {
		t.Fatal(err)
	}
	r.s.MinFree = free - min(free, 10<<30)/2
	if err := r.Install(t.Context(), "file://"+huge, nil); !errors.As(err, new(*SpaceError)) {
		t.Errorf("a file that eats the reserve: %v", err)
	}
}
