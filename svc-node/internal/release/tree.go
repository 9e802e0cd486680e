package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/vow-os/vow/svc-node/internal/archive"
)

const (
	// checkEvery is after how many written bytes the free space is looked at again.
	checkEvery = 4 << 20

	modeFile       fs.FileMode = 0o644
	modeExecutable fs.FileMode = 0o755
	modeDirectory  fs.FileMode = 0o755
)

// LimitError is a release that is larger than it may be.
type LimitError = archive.LimitError

// tree writes a release below one folder: directories, files and links that stay inside, and nothing else. Nothing in it
// can be written by group or others, has set-user-id bits or belongs to anybody but the writer.
//
// Links are made last, so that nothing is ever written through one.
type tree struct {
	root      *os.Root
	space     space
	budget    *archive.Budget
	unchecked int64
	// progress is told of written bytes; nil = of nothing.
	progress func(written int64)
	made     map[string]bool
	links    []symlink
	buffer   []byte
}

var (
	_ archive.Sink = (*tree)(nil)
	_ archive.Room = (*tree)(nil)
)

type symlink struct{ name, target string }

func newTree(root *os.Root, sp space, b *archive.Budget) *tree {
	return &tree{root: root, space: sp, budget: b, made: map[string]bool{".": true}, buffer: make([]byte, 256<<10)}
}

// Room tells whether there is room for so many bytes.
func (t *tree) Room(bytes int64) error { return t.space.check(bytes) }

// take takes bytes.
func (t *tree) take(n int64) error {
	if err := t.budget.Take(n); err != nil {
		return err
	}
	if t.unchecked += n; t.unchecked >= checkEvery {
		t.unchecked = 0
		return t.space.check(0)
	}
	return nil
}

// Directory makes a directory and those above it.
func (t *tree) Directory(name string) error {
	if t.made[name] {
		return nil
	}
	if err := t.Directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.budget.Entry(); err != nil {
		return err
	}
	if err := t.root.Mkdir(name, modeDirectory); err != nil {
		return unwrapPath(name, err)
	}
	t.made[name] = true
	return unwrapPath(name, t.root.Chmod(name, modeDirectory)) // whatever the umask
}

// File writes a file. expected is its size as far as it is known.
func (t *tree) File(ctx context.Context, name string, mode fs.FileMode, expected int64, content io.Reader) (err error) {
	if err := t.Directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.budget.Entry(); err != nil {
		return err
	}
	if err := t.budget.Has(expected); err != nil {
		return err
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
		if err != nil {
			return err
		}
	}
}

// Link notes a symbolic link.
func (t *tree) Link(name, target string) error {
	if err := t.Directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.budget.Entry(); err != nil {
		return err
	}
	t.links = append(t.links, symlink{name, target})
	return nil
}

// HardLink makes a second name of a file that is there.
func (t *tree) HardLink(name, existing string) error {
	if err := t.Directory(path.Dir(name)); err != nil {
		return err
	}
	if err := t.budget.Entry(); err != nil {
		return err
	}
	info, err := t.root.Lstat(existing)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("the hard link %s leads to %s, which is no file of the release before it", name, existing)
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
