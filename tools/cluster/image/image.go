package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// UserID is the user and group that everything runs as. Beyond the ids that distributions give out, and a number, so that Kubernetes can see that it is not root.
const UserID = 65532

// MaxSize bounds what a registry stores and a machine pulls of one image, in bytes.
const MaxSize = 30_000_000

// Spec is one image.
type Spec struct {
	// Name is the service, which is the entrypoint in /usr/bin.
	Name string
	// Entrypoint is the program in /usr/bin that runs; Name if empty.
	Entrypoint string
	// Programs are commands of this repository in /usr/bin: their folders, from the root.
	Programs []string
	// Trees are folders of this repository, from the root, to where they are in the image.
	Trees map[string]string
	// Files are files of this machine, from where they are in the image to where they are here: images of others that stand in on a machine without a registry.
	Files map[string]string
	// Links are symbolic links, from where to what.
	Links map[string]string
	// Environment is KEY=value.
	Environment []string
}

// Specs are the images of vow.
func Specs() []Spec {
	return []Spec{
		{Name: "svc-master", Programs: []string{"svc-master/cmd/svc-master"}},
		{Name: "svc-scheduler", Programs: []string{"svc-scheduler/cmd/svc-scheduler"}},
		{Name: "svc-promise", Programs: []string{"svc-promise/cmd/svc-promise"}},
		{Name: "console", Programs: []string{"console/cmd/console"}},
		{
			// The supervisor is what the container runs, as on a machine; it keeps the agent. The sample release and its software are small and make every cluster able to show itself.
			Name: "svc-node", Entrypoint: "vow-supervisor",
			// It has a shell, alone of all: the scripts that instance profiles write need one.
			Programs:    []string{"svc-node/cmd/svc-node", "svc-node/cmd/vow-supervisor", "vow/cmd/vow-sample", "tools/cluster/cmd/sh"},
			Links:       map[string]string{"bin": "usr/bin"},
			Trees:       map[string]string{"examples/hello": "usr/share/vow/hello"},
			Environment: []string{"HOME=/var/lib/vow", "VOW_NODE_EXECUTABLE=/usr/bin/vow-sample"},
		},
	}
}

// Build says where things are and what to call them.
type Build struct {
	// Root is the repository, Programs the folder of the compiled programs.
	Root, Programs string
	// Version is what the image and --version say; Revision the commit.
	Version, Revision string
	// Arch is as GOARCH.
	Arch string
	// Quick spares the time of the best compression, nine tenths of the packing of a program: the image goes no further than this machine.
	Quick bool
	// Time is that of every file: the commit's, so that the same commit makes the same image.
	Time time.Time
}

// Make makes an image.
func (b Build) Make(s Spec) (v1.Image, error) {
	content, err := b.layer(s)
	if err != nil {
		return nil, fmt.Errorf("cannot make the image of %s: %w", s.Name, err)
	}
	level := gzip.BestCompression
	if b.Quick {
		level = gzip.BestSpeed
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithCompressionLevel(level), tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("cannot compress the image of %s: %w", s.Name, err)
	}
	created := v1.Time{Time: b.Time.UTC()}
	made, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), mutate.Addendum{
		Layer: layer, History: v1.History{Created: created, CreatedBy: "make images"},
	})
	if err != nil {
		return nil, err
	}
	file, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	entrypoint := s.Entrypoint
	if entrypoint == "" {
		entrypoint = s.Name
	}
	file.OS, file.Architecture, file.Created = "linux", b.Arch, created
	file.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", UserID, UserID), Entrypoint: []string{"/usr/bin/" + entrypoint}, WorkingDir: "/var/lib/vow",
		Env: append([]string{"PATH=/usr/bin"}, s.Environment...),
		Labels: map[string]string{
			"org.opencontainers.image.title": s.Name, "org.opencontainers.image.version": b.Version, "org.opencontainers.image.revision": b.Revision,
			"org.opencontainers.image.source": "https://github.com/vow-os/vow", "org.opencontainers.image.base.name": "scratch",
		},
	}
	return mutate.ConfigFile(made, file)
}

// WriteLayout writes an image as an OCI layout, over what was there.
func WriteLayout(dir string, i v1.Image, reference string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("cannot write the image: %w", err)
	}
	return at.AppendImage(i, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": reference}))
}

// WriteArchive writes an image as `docker load` and `ctr image import` read it.
func WriteArchive(file string, i v1.Image, reference string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("cannot call an image %q: %w", reference, err)
	}
	return tarball.WriteToFile(file, tag, i)
}

// Size is what a registry stores: the compressed layers.
func Size(i v1.Image) (int64, error) {
	manifest, err := i.Manifest()
	if err != nil {
		return 0, err
	}
	size := manifest.Config.Size
	for _, l := range manifest.Layers {
		size += l.Size
	}
	return size, nil
}

// layer is the one layer of an image, as a tar.
func (b Build) layer(s Spec) ([]byte, error) {
	var out bytes.Buffer
	l := &layer{tar: tar.NewWriter(&out), time: b.Time.UTC(), made: map[string]bool{}}
	id := strconv.Itoa(UserID)
	l.dir("tmp", 0o1777, 0)
	l.dir("var/lib/vow", 0o755, UserID)
	l.file("etc/passwd", []byte("vow:x:"+id+":"+id+":vow:/var/lib/vow:/nonexistent\n"), 0o644)
	l.file("etc/group", []byte("vow:x:"+id+":\n"), 0o644)
	for _, program := range s.Programs {
		content, err := os.ReadFile(filepath.Join(b.Programs, path.Base(program)))
		if err != nil {
			return nil, err
		}
		l.file("usr/bin/"+path.Base(program), content, 0o755)
	}
	for _, at := range slices.Sorted(maps.Keys(s.Files)) {
		content, err := os.ReadFile(s.Files[at])
		if err != nil {
			return nil, err
		}
		l.file(at, content, 0o755)
	}
	for _, from := range slices.Sorted(maps.Keys(s.Links)) {
		l.header(tar.Header{Typeflag: tar.TypeSymlink, Name: from, Linkname: s.Links[from], Mode: 0o777})
	}
	for _, from := range slices.Sorted(maps.Keys(s.Trees)) {
		if err := l.tree(filepath.Join(b.Root, from), s.Trees[from]); err != nil {
			return nil, err
		}
	}
	if l.err == nil {
		l.err = l.tar.Close()
	}
	return out.Bytes(), l.err
}

// layer writes a tar in which only what is said matters: no names, no times of the machine that makes it.
type layer struct {
	tar  *tar.Writer
	time time.Time
	made map[string]bool
	err  error
}

func (l *layer) header(h tar.Header) {
	if l.err == nil {
		h.ModTime, h.Format = l.time, tar.FormatPAX
		l.err = l.tar.WriteHeader(&h)
	}
}

// parents makes the folders above a path.
func (l *layer) parents(at string) {
	if parent := path.Dir(at); parent != "." && !l.made[parent] {
		l.dir(parent, 0o755, 0)
	}
}

func (l *layer) dir(at string, mode int64, owner int) {
	l.parents(at)
	l.made[at] = true
	l.header(tar.Header{Typeflag: tar.TypeDir, Name: at + "/", Mode: mode, Uid: owner, Gid: owner})
}

func (l *layer) file(at string, content []byte, mode int64) {
	l.parents(at)
	l.header(tar.Header{Typeflag: tar.TypeReg, Name: at, Mode: mode, Size: int64(len(content))})
	if l.err == nil {
		_, l.err = l.tar.Write(content)
	}
}

// tree copies a folder; WalkDir goes in lexical order, whatever the disk's is.
func (l *layer) tree(from, to string) error {
	return filepath.WalkDir(from, func(at string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, at)
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		l.file(path.Join(to, filepath.ToSlash(relative)), content, 0o644)
		return l.err
	})
}
