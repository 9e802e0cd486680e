package recipe

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// Limits of an archive. What a profile unpacks are configurations and small programs; software comes with the release.
const (
	// MaxUnpackedFiles bounds the entries of one archive.
	MaxUnpackedFiles = 10_000
	// MaxUnpackedBytes bounds what one archive unpacks to: a few kilobytes can hold gigabytes of zeros.
	MaxUnpackedBytes = 64 << 20
)

// downloadUnpacked is slapos.recipe.build:download-unpacked for archives that are there already.
func downloadUnpacked() *Recipe {
	return &Recipe{
		Name:    "slapos.recipe.build:download-unpacked",
		Summary: "Unpacks an archive of the release: tar, tar.gz, tar.bz2 or zip. An instance profile downloads nothing: URLs of files only.",
		Options: []Option{
			{Name: "url", Required: true, Text: "Path or file:// URL of the archive."},
			{Name: "md5sum", Text: "Its checksum."},
			{Name: "destination", Default: "${buildout:parts-directory}/SECTION", Text: "Directory to unpack into; target is another spelling."},
			{Name: "strip-top-level-dir", Default: "true if the archive holds one directory only", Text: "Whether the outermost directory is left out."},
			{Name: "alternate-url, offline, environment, shared", Text: "Accepted: nothing is downloaded and no program runs."},
		},
		Provides:  []Option{{Name: "target, location", Text: "Path of the directory."}},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			source := strings.TrimPrefix(in.Text("url"), "file://")
			if strings.Contains(source, "://") {
				return profile.Provided{}, in.Error("url", "cannot download %s while deploying an instance: let the software release bring the archive", source)
			}
			provided, err := digest(in, []string{source}, "url")
			if err != nil {
				return provided, err
			}
			if want := in.Text("md5sum"); want != "" && want != provided.Options[digestOption].String() {
				return provided, in.Error("md5sum", "cannot use %s: its checksum is %s", source, provided.Options[digestOption].String())
			}
			target := in.Text("destination")
			if target == "" {
				target = in.Text("target")
			}
			if target == "" {
				parts, err := in.Lookup("buildout", "parts-directory", "url")
				if err != nil {
					return provided, err
				}
				target = path.Join(parts.String(), in.Name())
			}
			provided.Options["target"], provided.Options["location"] = profile.Text(target), profile.Text(target)
			return provided, nil
		},
		Install: func(_ context.Context, w *Work) error {
			content, err := w.Files.Read(strings.TrimPrefix(w.Get("url"), "file://"))
			if err != nil {
				return w.Error("url", "%w", err)
			}
			entries, err := unpack(content)
			if err != nil {
				return w.Error("url", "cannot unpack %s: %w", path.Base(w.Get("url")), err)
			}
			strip := onlyDirectory(entries)
			if text := w.Get("strip-top-level-dir"); text != "" {
				strip = isTrue(text)
			}
			if err := writeEntries(w, entries, w.Get("target"), strip); err != nil {
				return w.Error("url", "%w", err)
			}
			return nil
		},
	}
}

// archived is one entry of an archive.
type archived struct {
	name    string
	content []byte
	mode    fs.FileMode
	link    string
	dir     bool
}

// unpacking counts what an archive unpacks to, and checks names.
type unpacking struct {
	entries []archived
	files   map[string]int
	bytes   int64
}

func (u *unpacking) add(e archived, content io.Reader) error {
	if len(u.entries) >= MaxUnpackedFiles {
		return fmt.Errorf("cannot unpack more than %d files", MaxUnpackedFiles)
	}
	clean := path.Clean(e.name)
	if clean == "." {
		return nil
	}
	if !fs.ValidPath(clean) || path.IsAbs(e.name) || strings.ContainsAny(clean, "\x00\n\\") {
		return fmt.Errorf("cannot unpack %q: it leads out of the archive", e.name)
	}
	e.name = clean
	if e.link != "" {
		if target := path.Join(path.Dir(clean), e.link); path.IsAbs(e.link) || !fs.ValidPath(target) {
			return fmt.Errorf("cannot unpack the link %q: it leads out of the archive", e.name)
		}
	}
	if content != nil {
		data, err := io.ReadAll(io.LimitReader(content, MaxUnpackedBytes-u.bytes+1))
		if err != nil {
			return fmt.Errorf("cannot unpack %q: %w", e.name, err)
		}
		if u.bytes += int64(len(data)); u.bytes > MaxUnpackedBytes {
			return fmt.Errorf("cannot unpack more than %d bytes", MaxUnpackedBytes)
		}
		e.content = data
	}
	u.files[clean] = len(u.entries)
	u.entries = append(u.entries, e)
	return nil
}

func unpack(content []byte) ([]archived, error) {
	u := &unpacking{files: map[string]int{}}
	var err error
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")) || bytes.HasPrefix(content, []byte("PK\x05\x06")):
		err = u.zip(content)
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(content)); err == nil {
			err = u.tar(r)
		}
	case bytes.HasPrefix(content, []byte("BZh")):
		err = u.tar(bzip2.NewReader(bytes.NewReader(content)))
	case bytes.HasPrefix(content, []byte("\xfd7zXZ\x00")) || bytes.HasPrefix(content, []byte("LZIP")):
		err = errors.New("it is compressed by xz or lzip, which is not built in; tar, tar.gz, tar.bz2 and zip are")
	default:
		err = u.tar(bytes.NewReader(content))
	}
	return u.entries, err
}

func (u *unpacking) tar(r io.Reader) error {
	// Headers count too: an archive of nothing but extended headers would never end otherwise.
	archive := tar.NewReader(io.LimitReader(r, MaxUnpackedBytes+MaxUnpackedFiles*4096))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no archive that is known: %w", err)
		}
		e := archived{name: h.Name, mode: fs.FileMode(h.Mode).Perm()}
		switch h.Typeflag {
		case tar.TypeReg:
			err = u.add(e, archive)
		case tar.TypeDir:
			e.dir = true
			err = u.add(e, nil)
		case tar.TypeSymlink:
			e.link = h.Linkname
			err = u.add(e, nil)
		case tar.TypeLink:
			at, ok := u.files[path.Clean(h.Linkname)]
			if !ok || u.entries[at].dir || u.entries[at].link != "" {
				return fmt.Errorf("cannot unpack %q: it is a link to what the archive does not hold", h.Name)
			}
			err = u.add(e, bytes.NewReader(u.entries[at].content))
		case tar.TypeXGlobalHeader:
		default:
			return fmt.Errorf("cannot unpack %q: only files, directories and links are", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacking) zip(content []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("it is no archive that is known: %w", err)
	}
	for _, f := range archive.File {
		e := archived{name: f.Name, mode: f.Mode().Perm()}
		if f.Mode().IsDir() {
			e.dir = true
			if err := u.add(e, nil); err != nil {
				return err
			}
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("cannot unpack %q: %w", f.Name, err)
		}
		if f.Mode()&fs.ModeSymlink != 0 {
			target, readErr := io.ReadAll(io.LimitReader(r, 4096))
			e.link = string(target)
			err = errors.Join(readErr, u.add(e, nil))
		} else {
			err = u.add(e, r)
		}
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyDirectory says whether everything is beneath one directory.
func onlyDirectory(entries []archived) bool {
	top := ""
	for _, e := range entries {
		first, _, beneath := strings.Cut(e.name, "/")
		if !beneath && !e.dir || top != "" && first != top {
			return false
		}
		top = first
	}
	return top != ""
}

func writeEntries(w *Work, entries []archived, target string, strip bool) error {
	for _, e := range entries {
		name := e.name
		if strip {
			_, rest, ok := strings.Cut(name, "/")
			if !ok {
				continue
			}
			name = rest
		}
		to := path.Join(target, name)
		var err error
		switch {
		case e.dir:
			err = w.Files.MakeDirectory(to, 0o750)
		case e.link != "":
			if linked := path.Join(path.Dir(name), e.link); !fs.ValidPath(linked) {
				return fmt.Errorf("cannot unpack the link %q: it leads out of the archive", e.name)
			}
			err = w.Files.Link(e.link, to)
		default:
			mode := fs.FileMode(0o640)
			if e.mode&0o100 != 0 {
				mode = 0o750
			}
			err = w.Files.Write(to, e.content, mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
