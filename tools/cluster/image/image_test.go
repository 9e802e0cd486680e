package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// commit is a moment that every file of an image has.
var commit = time.Unix(1_790_000_000, 0)

// compiled is a folder with a program that is quickly compiled: the shell of svc-node's image.
var compiled = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vow-image-")
	if err != nil {
		return "", err
	}
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", filepath.Join(dir, "sh"), "../cmd/sh")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("compile: %w\n%s", err, out)
	}
	return dir, nil
})

// TestMain removes what was compiled.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := compiled(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shell makes an image of it.
func shell(t *testing.T) v1.Image {
	t.Helper()
	return shellBy(t, Build{})
}

// shellBy makes it as a build says beyond what is the same in all.
func shellBy(t *testing.T, b Build) v1.Image {
	t.Helper()
	programs, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	b.Root, b.Programs, b.Version, b.Revision, b.Arch, b.Time = "../../..", programs, "1.2.3", "0123", "amd64", commit
	made, err := b.Make(Spec{
		Name: "sh", Programs: []string{"tools/cluster/cmd/sh"}, Links: map[string]string{"bin": "usr/bin"}, Trees: map[string]string{"examples/hello": "usr/share/vow/hello"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAnImageRunsAsNobodyInParticularAndSaysWhatItIs(t *testing.T) {
	made := shell(t)
	file, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != "65532:65532" || strings.Join(file.Config.Entrypoint, " ") != "/usr/bin/sh" || file.OS != "linux" || file.Architecture != "amd64" {
		t.Errorf("configuration %+v", file)
	}
	if l := file.Config.Labels; l["org.opencontainers.image.version"] != "1.2.3" || l["org.opencontainers.image.revision"] != "0123" {
		t.Errorf("labels %v", l)
	}
	if size, err := Size(made); err != nil || size > MaxSize || size < 100_000 {
		t.Errorf("size %d, %v", size, err)
	}
}

func TestNothingInAnImageIsItsUsersButWhatIsMountedOver(t *testing.T) {
	files := map[string]bool{}
	for h := range headers(t, shell(t)) {
		files[strings.TrimSuffix(h.Name, "/")] = true
		mine := h.Uid == UserID || h.Mode&0o002 != 0 && h.Typeflag != tar.TypeSymlink
		if name := strings.TrimSuffix(h.Name, "/"); mine && name != "tmp" && name != "var/lib/vow" {
			t.Errorf("%s is writable by the user: %o, %d", h.Name, h.Mode, h.Uid)
		}
		if !h.ModTime.Equal(commit) {
			t.Errorf("%s has the time %s", h.Name, h.ModTime)
		}
	}
	for _, want := range []string{"usr/bin/sh", "etc/passwd", "usr/share/vow/hello/instance.cfg", "var/lib/vow", "tmp"} {
		if !files[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestTheSameCommitMakesTheSameImage(t *testing.T) {
	first, err1 := shell(t).Digest()
	second, err2 := shell(t).Digest()
	if err := errors.Join(err1, err2); err != nil || first != second {
		t.Errorf("%s and %s, %v", first, second, err)
	}
}

func TestAQuickImageHasTheSameFiles(t *testing.T) {
	var contents [2]v1.Hash
	for i, b := range []Build{{}, {Quick: true}} {
		file, err := shellBy(t, b).ConfigFile()
		if err != nil || len(file.RootFS.DiffIDs) != 1 {
			t.Fatal(file, err)
		}
		contents[i] = file.RootFS.DiffIDs[0]
	}
	if contents[0] != contents[1] {
		t.Errorf("layers are %v", contents)
	}
}

func TestALayoutHoldsTheImageThatWasWritten(t *testing.T) {
	made, dir := shell(t), filepath.Join(t.TempDir(), "sh")
	for range 2 { // over itself
		if err := WriteLayout(dir, made, "vow/sh:1.2.3"); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != digest {
		t.Errorf("the layout has %+v, want %s alone; %v", manifest.Manifests, digest, err)
	}
}

// TestWhatIsInAnImageRuns unpacks one and runs its program: as root in it and as its user, otherwise as who tests.
func TestWhatIsInAnImageRuns(t *testing.T) {
	dir := unpack(t, shell(t))
	run := func(args ...string) string {
		t.Helper()
		out, err := inside(dir, append([]string{"/bin/sh"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("sh %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("-c", "echo $((40 + 2)) $1", "name", "argument"); out != "42 argument\n" {
		t.Errorf("it says %q", out)
	}
	if os.Getuid() != 0 {
		return
	}
	// exec replaces the process: what the supervisor watches is the service, not the script that starts it.
	script := "echo $$\nexport WHO=vow\nexec /bin/sh -c 'echo $$ $WHO $1' sh \"$1\"\n"
	if err := os.WriteFile(filepath.Join(dir, "tmp", "script"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(run("/tmp/script", "a b"), "\n")
	if _, err := strconv.Atoi(lines[0]); err != nil || lines[1] != lines[0]+" vow a b" {
		t.Errorf("it says %q", lines)
	}
	if out, err := inside(dir, "/bin/sh", "-c", "echo > /usr/bin/x").CombinedOutput(); err == nil {
		t.Errorf("its user writes into /usr/bin: %s", out)
	}
}

// inside is a command in an unpacked image.
func inside(dir string, args ...string) *exec.Cmd {
	command := &exec.Cmd{Path: args[0], Args: args, Env: []string{"PATH=/usr/bin"}, Dir: "/"}
	if os.Getuid() != 0 {
		command.Path = filepath.Join(dir, "usr/bin", filepath.Base(args[0]))
		return command
	}
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: UserID, Gid: UserID}}
	return command
}

// headers walks over the files of an image.
func headers(t *testing.T, made v1.Image) func(yield func(*tar.Header) bool) {
	return func(yield func(*tar.Header) bool) {
		each(t, made, func(h *tar.Header, _ io.Reader) { yield(h) })
	}
}

func each(t *testing.T, made v1.Image, fn func(*tar.Header, io.Reader)) {
	t.Helper()
	content := mutate.Extract(made)
	defer content.Close()
	for files := tar.NewReader(content); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		fn(h, files)
	}
}

// unpack lays an image out in a folder, as a runtime does.
func unpack(t *testing.T, made v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	// Whoever is in it must be able to come to it.
	for at := dir; at != filepath.Dir(os.TempDir()) && at != "/"; at = filepath.Dir(at) {
		if at != os.TempDir() {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	each(t, made, func(h *tar.Header, content io.Reader) {
		at := filepath.Join(dir, h.Name)
		var err error
		switch h.Typeflag {
		case tar.TypeDir:
			if err = os.MkdirAll(at, 0o755); err == nil {
				err = os.Chmod(at, h.FileInfo().Mode())
			}
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, at)
		default:
			var b []byte
			if b, err = io.ReadAll(content); err == nil {
				err = os.WriteFile(at, b, h.FileInfo().Mode().Perm())
			}
		}
		if err == nil && os.Getuid() == 0 {
			err = os.Lchown(at, h.Uid, h.Gid)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return dir
}
