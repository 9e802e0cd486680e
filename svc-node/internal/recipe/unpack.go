package recipe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/vow-os/vow/svc-node/internal/archive"
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
		Summary: "Unpacks an archive of the release: tar, tar.gz, tar.zst, tar.bz2, tar.xz or zip. An instance profile downloads nothing: URLs of files only.",
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
			provided, target, err := fetched(in, "archive")
			if err == nil && target == "" {
				target, err = partDirectory(in)
			}
			if err == nil {
				provided.Options["target"], provided.Options["location"] = profile.Text(target), profile.Text(target)
			}
			return provided, err
		},
		Install: func(ctx context.Context, w *Work) error {
			content, err := w.Files.Read(local(w.Get("url")))
			if err != nil {
				return w.Error("url", "%w", err)
			}
			entries, err := unpack(ctx, content)
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

// unpacking is an archive in memory.
type unpacking struct {
	budget  *archive.Budget
	entries []archived
	files   map[string]int
}

var _ archive.Sink = (*unpacking)(nil)

func unpack(ctx context.Context, content []byte) ([]archived, error) {
	u := &unpacking{budget: archive.NewBudget(MaxUnpackedFiles, MaxUnpackedBytes), files: map[string]int{}}
	err := archive.Unpack(ctx, bytes.NewReader(content), int64(len(content)), u.budget, u, nil)
	return u.entries, err
}

func (u *unpacking) add(e archived) error {
	// The record of installed files is text: it could not name such a file.
	if !utf8.ValidString(e.name) || strings.ContainsAny(e.name, "\n\\") {
		return fmt.Errorf("the name %q has a line break or a backslash, or is no UTF-8", e.name)
	}
	u.files[e.name] = len(u.entries)
	u.entries = append(u.entries, e)
	return u.budget.Entry()
}

// Directory implements archive.Sink.
func (u *unpacking) Directory(name string) error {
	if name == "." {
		return nil
	}
	return u.add(archived{name: name, dir: true})
}

// File implements archive.Sink.
func (u *unpacking) File(_ context.Context, name string, mode fs.FileMode, size int64, content io.Reader) error {
	if err := u.budget.Has(size); err != nil {
		return err
	}
	data, err := io.ReadAll(u.budget.Reader(content))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return u.add(archived{name: name, mode: mode, content: data})
}

// Link implements archive.Sink.
func (u *unpacking) Link(name, target string) error {
	if to := path.Join(path.Dir(name), target); path.IsAbs(target) || !fs.ValidPath(to) {
		return fmt.Errorf("the link %q leads out of it", name)
	}
	return u.add(archived{name: name, link: target})
}

// HardLink implements archive.Sink.
func (u *unpacking) HardLink(name, existing string) error {
	at, ok := u.files[existing]
	if !ok || u.entries[at].dir || u.entries[at].link != "" {
		return fmt.Errorf("the hard link %q leads to what it does not hold", name)
	}
	e := u.entries[at]
	if err := u.budget.Take(int64(len(e.content))); err != nil {
		return err
	}
	e.name = name
	return u.add(e)
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
				return fmt.Errorf("the link %q leads out of it", e.name)
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
