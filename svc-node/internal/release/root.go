package release

import (
	"context"
	"crypto/md5" //nolint:gosec // a name, the one SlapOS gives
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/kit/schema"
	"github.com/vow-os/vow/svc-node/internal/archive"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// completed is the file that says that the release is whole.
	completed = ".completed"
	// installing and downloading begin the names of partial state; the rest is the release's.
	installing  = ".installing-"
	downloading = ".download-"
	// maxOption is how much of an option's file is read, in bytes.
	maxOption = 256
)

// Root is a folder of installed releases.
type Root struct {
	dir string
	s   Settings
}

// NewRoot makes the folder if need be, and removes what installations left that were cut short, but for downloads.
func NewRoot(dir string, s Settings) (*Root, error) {
	r := &Root{dir: dir, s: s.withDefaults()}
	u, err := r.user()
	if err != nil {
		return r, nil // what is installed can be used; whoever wants to install hears of it
	}
	if !u.Switch { // another's was made when the computer was formatted
		if err := os.MkdirAll(dir, modeDirectory); err != nil {
			return nil, fmt.Errorf("cannot keep software releases: %w", err)
		}
	}
	unlock, err := r.tryLock(u)
	if errors.Is(err, errLocked) {
		return r, nil // it is not ours to clean
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	err = u.Do(func() error {
		left, err := filepath.Glob(filepath.Join(dir, installing+"*"))
		for _, path := range left {
			err = errors.Join(err, removeAll(path))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot keep software releases: %w", err)
	}
	return r, nil
}

// Check tells what keeps releases from being installed and removed: a user that is missing, a folder that is another's.
func (r *Root) Check() error {
	if _, err := r.user(); err != nil {
		return fmt.Errorf("cannot install software releases: %w", err)
	}
	return nil
}

func (r *Root) space() space { return space{dir: r.dir, reserve: r.s.MinFree} }

// Directory is where a release is or will be.
func (r *Root) Directory(releaseURL string) string {
	sum := md5.Sum([]byte(releaseURL)) //nolint:gosec // a name
	return filepath.Join(r.dir, hex.EncodeToString(sum[:]))
}

// hidden is the name of partial state of the release in dir.
func (r *Root) hidden(prefix, dir string) string {
	return filepath.Join(r.dir, prefix+filepath.Base(dir))
}

// Installed tells whether a release is on the disk, whole.
func (r *Root) Installed(releaseURL string) bool {
	_, err := os.Stat(filepath.Join(r.Directory(releaseURL), completed))
	return err == nil
}

// Install brings a release onto the disk. Idempotent; of several calls for one release, by whichever processes, one does
// it and the others wait. A download that is cut short, also by kill -9, is continued by the next call. o may be nil.
// Errors name the URL, without user and password, and what is wrong with it.
func (r *Root) Install(ctx context.Context, releaseURL string, o Observer) error {
	if r.Installed(releaseURL) {
		return nil
	}
	if o == nil {
		o = nobody{}
	}
	s, err := parseSource(releaseURL)
	var u privilege.User
	if err == nil {
		u, err = r.user()
	}
	if err == nil {
		err = denied(u, r.install(ctx, releaseURL, s, u, o))
	}
	if err != nil {
		return fmt.Errorf("cannot install %s: %w", s.shown, err)
	}
	return nil
}

// install does what touches the disk as the user, on its thread; a build is a process of that user.
func (r *Root) install(ctx context.Context, releaseURL string, s source, u privilege.User, o Observer) error {
	unlock, err := r.lock(ctx, u)
	if err != nil {
		return err
	}
	defer unlock()
	if r.Installed(releaseURL) {
		return nil // by whoever had the lock
	}
	if err := r.space().check(0); err != nil {
		return err
	}
	target := r.Directory(releaseURL)
	temporary := r.hidden(installing, target)
	p := &partialFile{path: r.hidden(downloading, target)}
	if s.profile {
		err = r.build(ctx, s, u, target, p, o)
	} else {
		err = u.Do(func() error {
			if err := removeAll(temporary); err != nil {
				return err
			}
			if err := r.fill(ctx, s, temporary, p, o); err != nil {
				return err
			}
			return r.move(temporary, target, s)
		})
	}
	return u.Do(func() error {
		// A download that is of no use is not kept. One that was cut short is, and so is a build, unless their space is needed.
		if err == nil || full(err) || errors.Is(err, errUseless) {
			err = errors.Join(err, p.remove())
		}
		if s.profile && full(err) {
			err = errors.Join(err, removeAll(target))
		}
		return errors.Join(err, removeAll(temporary))
	})
}

// errUseless marks a download that nothing can be made of.
var errUseless = errors.New("useless")

// useless marks it, unless it was cut short by the caller.
func useless(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return uselessError{err}
}

type uselessError struct{ error }

func (u uselessError) Unwrap() error      { return u.error }
func (uselessError) Is(target error) bool { return target == errUseless }

// fill makes the folder of a directory or archive.
func (r *Root) fill(ctx context.Context, s source, temporary string, p *partialFile, o Observer) error {
	if err := os.Mkdir(temporary, modeDirectory); err != nil {
		return err
	}
	root, err := os.OpenRoot(temporary)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // files are closed where they are written
	to := newTree(root, r.space(), archive.NewBudget(r.s.MaxFiles, r.s.MaxBytes))
	if s.path != "" {
		info, err := os.Stat(s.path)
		if err != nil {
			return unwrapPath(s.path, err)
		}
		if info.IsDir() {
			return r.copy(ctx, s, to, o)
		}
	}
	from, err := r.fetch(ctx, s, p, o)
	if err != nil {
		return err
	}
	defer from.Close() // only read from
	info, err := from.Stat()
	if err != nil {
		return err
	}
	most := min(r.s.MaxBytes, max(r.s.RatioFloor, r.s.MaxRatio*min(info.Size(), r.s.MaxBytes/r.s.MaxRatio+1)))
	to.budget = archive.NewBudget(r.s.MaxFiles, most)
	return useless(observe(ctx, o, Unpack, func(ctx context.Context) error {
		if err := archive.Unpack(ctx, from, info.Size(), to.budget, to, o.Progress); err != nil {
			return err
		}
		return to.finish()
	}))
}

// copy copies a directory.
func (r *Root) copy(ctx context.Context, s source, to *tree, o Observer) error {
	if s.sum.given() {
		return errors.New("a directory has no checksum: want an archive")
	}
	from, err := os.OpenRoot(s.path)
	if err != nil {
		return unwrapPath(s.path, err)
	}
	defer from.Close() //nolint:errcheck // only read from
	copied := int64(0)
	to.progress = func(n int64) {
		copied += n
		o.Progress(copied, 0)
	}
	return observe(ctx, o, Copy, func(ctx context.Context) error { return copyTree(ctx, from, to) })
}

// fetch opens the content of an archive or profile, verified.
func (r *Root) fetch(ctx context.Context, s source, p *partialFile, o Observer) (f *os.File, err error) {
	path := s.path
	if path == "" {
		path = p.path
		if err := observe(ctx, o, Download, func(ctx context.Context) error { return r.download(ctx, s, p, o) }); err != nil {
			return nil, err
		}
	}
	if f, err = os.Open(path); err != nil {
		return nil, unwrapPath(s.path, err)
	}
	if s.sum.given() {
		if err := observe(ctx, o, Verify, func(ctx context.Context) error { return verify(ctx, f, s.sum, o) }); err != nil {
			return nil, errors.Join(useless(err), f.Close())
		}
	}
	return f, nil
}

// move gives a filled folder its name. Whatever has that name and is not whole goes.
func (r *Root) move(temporary, target string, s source) error {
	root, err := os.OpenRoot(temporary)
	if err != nil {
		return err
	}
	top, err := cleanTop(root)
	if err = errors.Join(err, root.Close()); err != nil {
		return useless(err)
	}
	from := filepath.Join(temporary, top)
	if err := r.complete(from, s); err != nil {
		return err
	}
	if err := removeAll(target); err != nil {
		return err
	}
	if err := os.Rename(from, target); err != nil {
		return err
	}
	return atomicfile.SyncDir(r.dir)
}

// complete makes all of a release durable, then says that it is whole. One sync of the file system takes as long as that
// of a few files; a release has thousands.
func (r *Root) complete(dir string, s source) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(d.Fd())) //nolint:gosec // a descriptor
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("cannot make it durable: %w", err)
	}
	return atomicfile.Synced(filepath.Join(dir, completed), []byte(s.shown+"\n"), modeFile)
}

// observe carries out one step.
func observe(ctx context.Context, o Observer, step Step, do func(context.Context) error) error {
	ctx, end := o.Begin(ctx, step)
	err := do(ctx)
	end(err)
	return err
}

// removeAll removes a folder, also one whose folders may not be written.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(name string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			return os.Chmod(name, 0o700) //nolint:gosec // before it is removed
		}
		return nil
	})
	return os.RemoveAll(path)
}

// readOption reads a one-line file of an installed release; absent = "". A build can have made anything of it, a link to
// what the software user may not read or a pipe that nobody writes to: it is opened as that user, and waited for by nobody.
func (r *Root) readOption(u privilege.User, releaseURL, name string) (text string, err error) {
	err = u.Do(func() error {
		f, err := os.OpenFile(filepath.Join(r.Directory(releaseURL), name), os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return unwrapPath(name, err)
		}
		defer f.Close() // only read from
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return errors.Join(err, errors.New("it is no file"))
		}
		content, err := io.ReadAll(io.LimitReader(f, maxOption))
		text = strings.TrimSpace(string(content))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// readSchema reads a file of an installed release, as readOption does, and never one outside of it: it is told to svc-master.
func (r *Root) readSchema(u privilege.User, releaseURL, name string) (content []byte, err error) {
	err = u.Do(func() error {
		root, err := os.OpenRoot(r.Directory(releaseURL))
		if err != nil {
			return unwrapPath(name, err)
		}
		defer func() { _ = root.Close() }() // only read from
		f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return unwrapPath(name, err)
		}
		defer f.Close() // only read from
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return errors.Join(err, fmt.Errorf("%s is no file", name))
		}
		content, err = io.ReadAll(io.LimitReader(f, schema.MaxBytes+1))
		return err
	})
	return content, err
}
