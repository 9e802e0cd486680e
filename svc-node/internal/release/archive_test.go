package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/vow-os/vow/svc-node/internal/archive"
)

// entry is one entry of an archive.
type entry struct {
	name, content, link string
	kind                byte // of tar; 0 = file
	mode                int64
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: e.mode, Size: int64(len(e.content)), Format: tar.FormatPAX}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdOf(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

// packedBy packs by a program of the machine: Go has no compressor of the kind.
func packedBy(t testing.TB, program string, content []byte, arguments ...string) []byte {
	t.Helper()
	command := exec.Command(program, append(arguments, "-c")...)
	command.Stdin = bytes.NewReader(content)
	packed, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return packed
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		mode := fs.FileMode(e.mode)
		content := e.content
		switch e.kind {
		case tar.TypeSymlink:
			mode, content = fs.ModeSymlink|0o777, e.link
		case tar.TypeFifo:
			mode = fs.ModeNamedPipe | 0o644
		case 0:
			if mode == 0 {
				mode = 0o644
			}
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file writes an archive and returns its URL.
func file(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return "#sha256=" + hex.EncodeToString(sum[:])
}

// profile is the least that a release holds.
func profile(name string) entry { return entry{name: name, content: "[buildout]\nparts =\n"} }

func TestAnArchiveIsUnpackedWhateverItsNameAndPacking(t *testing.T) {
	entries := []entry{
		profile("hello-1.0/instance.cfg"),
		{name: "hello-1.0/bin/serve", content: "#!/bin/sh\n", mode: 0o4777},
		{name: "hello-1.0/lib/current", link: "../bin", kind: tar.TypeSymlink},
		{name: "./hello-1.0/bin/readme", content: "x", mode: 0o666},
	}
	plain := tarOf(t, append(entries, entry{name: "hello-1.0/bin/again", link: "hello-1.0/bin/serve", kind: tar.TypeLink})...)
	for name, content := range map[string][]byte{"tar": plain, "tar.gz": gzipOf(t, plain), "tar.zst": zstdOf(t, plain), "tar.bz2": packedBy(t, "bzip2", plain), "tar.xz": packedBy(t, "xz", plain), "zip": zipOf(t, entries...)} {
		t.Run(name, func(t *testing.T) {
			r := newRoot(t)
			url := file(t, content) + sha256Of(content)
			if err := r.Install(t.Context(), url, nil); err != nil {
				t.Fatal(err)
			}
			dir := r.Directory(url)
			for path, want := range map[string]fs.FileMode{"instance.cfg": 0o644, "lib/current/serve": 0o755, "bin/readme": 0o644, "bin": 0o755 | fs.ModeDir, ".completed": 0o644} {
				info, err := os.Stat(filepath.Join(dir, path))
				if err != nil || info.Mode() != want {
					t.Errorf("%s is %v, want %v: %v", path, info, want, err)
				}
			}
			if left := beside(t, r); len(left) != 1 || !r.Installed(url) {
				t.Errorf("in the software root are %v", left)
			}
		})
	}
}

func TestWhatLeadsOutOfAReleaseIsRefusedAndNothingIsLeft(t *testing.T) {
	type hostile struct {
		name, want string
		entries    []entry
	}
	for _, h := range []hostile{
		{"absolute", "is absolute", []entry{{name: "/etc/vow-test-escaped", content: "x"}}},
		{"upwards", "leads out", []entry{{name: "../escaped", content: "x"}}},
		{"upwards inside", "leads out", []entry{{name: "a/../../escaped", content: "x"}}},
		{"upwards that stays", "leads out", []entry{{name: "a/../b", content: "x"}}},
		{"symlink absolute", "not inside", []entry{{name: "a", link: "/etc/passwd", kind: tar.TypeSymlink}}},
		{"symlink upwards", "not inside", []entry{{name: "d/a", link: "../../escaped", kind: tar.TypeSymlink}}},
		{"symlink through a symlink", "not inside", []entry{{name: "x/y/z", link: "../..", kind: tar.TypeSymlink}, {name: "t", link: "x/y/z/../../etc", kind: tar.TypeSymlink}}},
		{"file through a symlink", "exists", []entry{{name: "d", link: "/tmp", kind: tar.TypeSymlink}, {name: "d/escaped", content: "x"}}},
		{"symlink over a file", "exists", []entry{{name: "a", content: "x"}, {name: "a", link: "b", kind: tar.TypeSymlink}}},
		{"symlink to nothing", "leads nowhere", []entry{{name: "a", link: "", kind: tar.TypeSymlink}}},
		{"file twice", "exists", []entry{{name: "a", content: "x"}, {name: "a", content: "y"}}},
		{"file as directory", "a: ", []entry{{name: "a", content: "x"}, {name: "a/b", content: "y"}}},
		{"pipe", "is a device, pipe", []entry{{name: "a", kind: tar.TypeFifo}}},
	} {
		t.Run(h.name, func(t *testing.T) {
			entries := append([]entry{profile("instance.cfg")}, h.entries...)
			for packing, content := range map[string][]byte{"tar": tarOf(t, entries...), "zip": zipOf(t, entries...)} {
				refused(t, packing, content, h.want)
			}
		})
	}
	for _, h := range []hostile{
		{"hard link upwards", "leads out", []entry{{name: "a", link: "../../etc/passwd", kind: tar.TypeLink}}},
		{"hard link absolute", "absolute", []entry{{name: "a", link: "/etc/passwd", kind: tar.TypeLink}}},
		{"hard link to a symlink", "no file of the release", []entry{{name: "s", link: "/etc/passwd", kind: tar.TypeSymlink}, {name: "a", link: "s", kind: tar.TypeLink}}},
		{"hard link to a directory", "no file of the release", []entry{{name: "d/x", content: "x"}, {name: "a", link: "d", kind: tar.TypeLink}}},
		{"device", "is a device", []entry{{name: "a", kind: tar.TypeChar}}},
		{"block device", "is a device", []entry{{name: "a", kind: tar.TypeBlock}}},
	} {
		t.Run(h.name, func(t *testing.T) {
			refused(t, "tar", tarOf(t, append([]entry{profile("instance.cfg")}, h.entries...)...), h.want)
		})
	}
}

// refused installs an archive and wants an error, and nothing left of it.
func refused(t *testing.T, packing string, content []byte, want string, s ...Settings) {
	t.Helper()
	r := newRoot(t, s...)
	url := file(t, content)
	err := r.Install(t.Context(), url, nil)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot install "+url) {
		t.Errorf("%s: the error is %v, want %q", packing, err, want)
	}
	if strings.Contains(fmt.Sprint(err), r.dir) {
		t.Errorf("%s: the error names a working folder: %v", packing, err)
	}
	if left := beside(t, r); len(left) != 0 || r.Installed(url) {
		t.Errorf("%s: %v is left", packing, left)
	}
	if escaped, _ := filepath.Glob(filepath.Join(filepath.Dir(r.dir), "escaped*")); len(escaped) > 0 {
		t.Errorf("%s: %v is outside", packing, escaped)
	}
}

func TestWhatIsNoReleaseSaysSo(t *testing.T) {
	whole := gzipOf(t, tarOf(t, profile("instance.cfg"), entry{name: "a", content: strings.Repeat("text ", 5000)}))
	damagedSum := bytes.Clone(whole)
	damagedSum[len(damagedSum)-6] ^= 1
	for want, content := range map[string][]byte{
		"it is no archive":                            []byte("hello"),
		"it is no archive: want tar":                  {},
		"the archive is damaged: xz":                  []byte("\xfd7zXZ\x00\x00"),
		"neither at its root nor in its single":       tarOf(t, profile("a/instance.cfg"), profile("b/instance.cfg")),
		"it has no instance.cfg":                      tarOf(t, profile("a/b/instance.cfg")),
		"the archive is damaged":                      whole[:len(whole)-20],
		"the archive is damaged: gzip: invalid check": damagedSum,
		"damaged: zip":                                zipOf(t, profile("instance.cfg"))[:60],
	} {
		refused(t, want, content, want)
	}
}

func TestArchiveBombsAreBounded(t *testing.T) {
	zeros := strings.Repeat("\x00", 4<<20)
	many := []entry{profile("instance.cfg")}
	for i := range 50 {
		many = append(many, entry{name: fmt.Sprintf("f%d", i)})
	}
	bomb := []entry{profile("instance.cfg"), {name: "zeros", content: zeros}}
	padded := append(tarOf(t, profile("instance.cfg")), zeros...) // behind the archive's end
	size, files, ratio := Settings{MaxBytes: 1 << 20}, Settings{MaxFiles: 20}, Settings{MaxRatio: 10, RatioFloor: 1 << 20}
	for name, c := range map[string]struct {
		content []byte
		s       Settings
		want    string
	}{
		"bytes of a tar":     {gzipOf(t, tarOf(t, bomb...)), size, "unpacks to more than 1024 KiB"},
		"bytes of a zip":     {zipOf(t, bomb...), size, "unpacks to more than 1024 KiB"},
		"bytes behind a tar": {gzipOf(t, padded), size, "unpacks to more than 1024 KiB"},
		"files of a tar":     {tarOf(t, many...), files, "more than 20 files"},
		"files of a zip":     {zipOf(t, many...), files, "more than 20 files"},
		"ratio of a tar":     {gzipOf(t, tarOf(t, bomb...)), ratio, "unpacks to more than 1024 KiB"},
		"ratio of a zip":     {zipOf(t, bomb...), ratio, "unpacks to more than 1024 KiB"},
		"ratio of a xz":      {packedBy(t, "xz", tarOf(t, bomb...)), ratio, "unpacks to more than 1024 KiB"},
		"ratio of a bz2":     {packedBy(t, "bzip2", tarOf(t, bomb...)), ratio, "unpacks to more than 1024 KiB"},
		"ratio of a zst":     {zstdOf(t, tarOf(t, bomb...)), ratio, "unpacks to more than 1024 KiB"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, name, c.content, c.want, c.s) })
	}
	// A zip that lies about the size of what it holds gets no further than what it said.
	lying := zipOf(t, bomb...)
	for at := 0; ; {
		i := bytes.Index(lying[at:], []byte{0, 0, 0x40, 0}) // 4 MiB
		if i < 0 {
			break
		}
		copy(lying[at+i:], []byte{0, 1, 0, 0})
		at += i
	}
	refused(t, "zip that lies", lying, "the archive is damaged", size)

	r := newRoot(t, size)
	err := r.Install(t.Context(), file(t, gzipOf(t, tarOf(t, bomb...))), nil)
	if limit := new(LimitError); !errors.As(err, &limit) || limit.Limit != archive.LimitBytes {
		t.Errorf("%v is no hit of a limit", err)
	}
}

func TestAnArchiveWithAnotherContentThanItsChecksumIsNotUnpacked(t *testing.T) {
	content := tarOf(t, profile("instance.cfg"))
	r := newRoot(t)
	url := file(t, content) + "#md5=" + strings.Repeat("00", 16)
	steps := &watcher{}
	if err := r.Install(t.Context(), url, steps); !errors.Is(err, errChecksum) || steps.String() != "verify" {
		t.Errorf("the steps were %s, the error is %v", steps, err)
	}
	if left := beside(t, r); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func FuzzUnpackingStaysInside(f *testing.F) {
	for _, e := range [][]entry{{profile("instance.cfg")}, {profile("a/instance.cfg"), {name: "a/l", link: "../..", kind: tar.TypeSymlink}}, {{name: "../x"}}} {
		f.Add(tarOf(f, e...))
		f.Add(gzipOf(f, tarOf(f, e...)))
		f.Add(zipOf(f, e...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r := newRoot(t, Settings{MaxBytes: 1 << 20, MaxFiles: 100})
		url := file(t, content)
		err := r.Install(t.Context(), url, nil)
		left := beside(t, r)
		if err == nil != (len(left) == 1) {
			t.Errorf("the error is %v, and %v is left", err, left)
		}
		if outside, _ := os.ReadDir(filepath.Dir(r.dir)); len(outside) != 1 {
			t.Errorf("beside the software root are %v", outside)
		}
	})
}
