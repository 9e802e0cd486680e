package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

const (
	// maxPath and maxLink bound a name within a release and what a link leads to, in bytes.
	maxPath = 4096
	maxLink = 4096
	// checkEvery is after how many written bytes the free space is looked at again.
	checkEvery = 4 << 20

	modeFile       fs.FileMode = 0o644
	modeExecutable fs.FileMode = 0o755
	modeDirectory  fs.FileMode = 0o755
)

// The names of the limits, as telemetry shows them.
const (
	LimitBytes = "release bytes"
	LimitFiles = "release files"
)

// LimitError is a release that is larger than it may be.
type LimitError struct{ Limit, Text string }

func (e *LimitError) Error() string { return e.Text }

// tree writes a release below one folder: directories, files and links that stay inside, and nothing else. Nothing in it
// can be written by group or others, has set-user-id bits or belongs to anybody but the writer.
//
// Links are made last, so that nothing is ever written through one.
type tree struct {
	root  *os.Root
	space space
	// entries and bytes are what may still come; most and limit are what they began with.
	entries, most int
	bytes, limit  int64
	unchecked     int64
	// progress is told of written bytes; nil = of nothing.
	progress func(written int64)
	made     map[string]bool
	links    []symlink
	buffer   []byte
}

type symlink struct{ name, target string }

func newTree(root *os.Root, sp space, entries int, bytes int64) *tree {
	return &tree{root: root, space: sp, entries: entries, most: entries, bytes: bytes, limit: bytes, made: map[string]bool{".": true}, buffer: make([]byte, 256<<10)}
}

// place is the name of an entry, cleaned; what would be outside of the release is an error.
func place(name string) (string, error) {
	switch {
	case name == "" || len(name) > maxPath || strings.ContainsRune(name, 0):
		return "", fmt.Errorf("the name %.80q is empty, longer than %d bytes or holds a zero byte", name, maxPath)
	case path.IsAbs(name):
		return "", fmt.Errorf("the name %q is absolute", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", fmt.Errorf("the name %q leads out of the release", name)
		}
	}
	return path.Clean(name), nil
}

// count takes one entry.
func (t *tree) count() error {
	if t.entries--; t.entries < 0 {
		return t.tooMany()
	}
	return nil
}

func (t *tree) tooMany() error {
	return &LimitError{Limit: LimitFiles, Text: fmt.Sprintf("it has more than %d files", t.most)}
}

func (t *tree) tooLarge() error {
	return &LimitError{Limit: LimitBytes, Text: "it unpacks to more than " + size(t.limit)}
}

// take takes bytes.
func (t *tree) take(n int64) error {
	if t.bytes -= n; t.bytes < 0 {
		return t.tooLarge()
	}
	if t.unchecked += n; t.unchecked >= checkEvery {
		t.unchecked = 0
		return t.space.check(0)
	}
	return nil
}

// directory makes a directory and those above it.
func (t *tree) directory(name string) error {
	if t.made[name] {
		return nil
	}
	if err := t.directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.count(); err != nil {
		return err
	}
	if err := t.root.Mkdir(name, modeDirectory); err != nil {
		return unwrapPath(name, err)
	}
	t.made[name] = true
	return unwrapPath(name, t.root.Chmod(name, modeDirectory)) // whatever the umask
}

// file writes a file. expected is its size as far as it is known.
func (t *tree) file(ctx context.Context, name string, mode fs.FileMode, expected int64, content io.Reader) (err error) {
	if err := t.directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.count(); err != nil {
		return err
	}
	if expected > t.bytes {
		return t.take(expected)
	}
	if expected > checkEvery {
		if err := t.space.check(expected); err != nil {
			return err
		}
	}
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unwrapPath(name, err)
	}
	err = t.pour(ctx, f, content)
	if err == nil {
		mode, execute := modeFile, mode&0o111 != 0
		if execute {
			mode = modeExecutable
		}
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return unwrapPath(name, err)
}

// pour copies a file. Between two files the kernel copies, in pieces, so that limits and progress are looked at.
func (t *tree) pour(ctx context.Context, to *os.File, from io.Reader) error {
	source, kernel := from.(*os.File)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var n int64
		var err error
		if kernel {
			n, err = io.CopyN(to, source, checkEvery)
		} else {
			var read int
			if read, err = from.Read(t.buffer); read > 0 {
				n = int64(read)
				if takeErr := t.take(n); takeErr != nil {
					return takeErr
				}
				if _, writeErr := to.Write(t.buffer[:read]); writeErr != nil {
					return writeErr
				}
			}
		}
		if kernel {
			if takeErr := t.take(n); takeErr != nil {
				return takeErr
			}
		}
		if t.progress != nil {
			t.progress(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !kernel {
			return damaged(err)
		}
		if err != nil {
			return err
		}
	}
}

// link notes a symbolic link.
func (t *tree) link(name, target string) error {
	if err := t.directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.count(); err != nil {
		return err
	}
	if target == "" || len(target) > maxLink || strings.ContainsRune(target, 0) {
		return fmt.Errorf("the link %s leads nowhere, or its target is longer than %d bytes", name, maxLink)
	}
	t.links = append(t.links, symlink{name, target})
	return nil
}

// hardLink makes a second name of a file that is there.
func (t *tree) hardLink(name, target string) error {
	existing, err := place(target)
	if err != nil {
		return fmt.Errorf("the hard link %s: %w", name, err)
	}
	if err := t.directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.count(); err != nil {
		return err
	}
	info, err := t.root.Lstat(existing)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("the hard link %s leads to %s, which is no file of the release before it", name, target)
	}
	return unwrapPath(name, t.root.Link(existing, name))
}

// finish makes the links and checks where they lead: the root follows none that leaves it, through however many others.
func (t *tree) finish() error {
	for _, l := range t.links {
		if err := t.root.Symlink(l.target, l.name); err != nil {
			return unwrapPath(l.name, err)
		}
	}
	for _, l := range t.links {
		if _, err := t.root.Stat(l.name); err != nil {
			return fmt.Errorf("the link %s leads to %s, which is not inside of the release", l.name, l.target)
		}
	}
	return nil
}

// unwrapPath replaces the path in an error, which is one of our working folders, by the name within the release.
func unwrapPath(name string, err error) error {
	if err == nil {
		return nil
	}
	var of *fs.PathError
	var two *os.LinkError
	switch {
	case errors.As(err, &of):
		return fmt.Errorf("%s: %w", name, of.Err)
	case errors.As(err, &two):
		return fmt.Errorf("%s: %w", name, two.Err)
	}
	return err
}
