package release

import (
	"context"
	"crypto/md5" //nolint:gosec // a name, the one SlapOS gives
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/atomicfile"
)

const (
	// completed is the file that says that the copy is whole.
	completed = ".completed"
	// MaxFiles bounds what one release may hold; the largest in production have some 100,000.
	MaxFiles = 500_000
	partial  = ".installing-"
)

// Root is a folder of installed releases.
type Root struct{ dir string }

// NewRoot makes the folder if need be, and removes what installations left that were cut short.
func NewRoot(dir string) (Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // releases are read by the partitions' users
		return Root{}, fmt.Errorf("cannot keep software releases: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, partial+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return Root{}, fmt.Errorf("cannot keep software releases: %w", err)
	}
	return Root{dir: dir}, nil
}

// Directory is where a release is or will be.
func (r Root) Directory(releaseURL string) string {
	sum := md5.Sum([]byte(releaseURL)) //nolint:gosec // a name
	return filepath.Join(r.dir, hex.EncodeToString(sum[:]))
}

// Installed tells whether a release is on the disk, whole.
func (r Root) Installed(releaseURL string) bool {
	_, err := os.Stat(filepath.Join(r.Directory(releaseURL), completed))
	return err == nil
}

// Install copies a release. Idempotent. Errors name the URL and what is wrong with it.
func (r Root) Install(ctx context.Context, releaseURL string) error {
	if r.Installed(releaseURL) {
		return nil
	}
	source, err := sourceOf(releaseURL)
	if err != nil {
		return err
	}
	from, err := os.OpenRoot(source)
	if err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	defer from.Close() //nolint:errcheck // only read from
	target := r.Directory(releaseURL)
	temporary, err := os.MkdirTemp(r.dir, partial)
	if err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	defer os.RemoveAll(temporary) //nolint:errcheck // nothing is there after success, NewRoot removes the rest
	if err := copyTree(ctx, from, temporary); err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	if err := atomicfile.Synced(filepath.Join(temporary, completed), []byte(releaseURL+"\n"), 0o644); err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	// A directory without .completed is one of an older way of installing.
	if err := os.RemoveAll(target); err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	if err := os.Rename(temporary, target); err != nil {
		return fmt.Errorf("cannot install %s: %w", releaseURL, err)
	}
	return atomicfile.SyncDir(r.dir)
}

// Remove removes a release. Idempotent.
func (r Root) Remove(releaseURL string) error {
	target := r.Directory(releaseURL)
	// .completed goes first: what is half removed must not look whole.
	for _, path := range []string{filepath.Join(target, completed), target} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", releaseURL, err)
		}
	}
	return nil
}

// sourceOf is the directory that a file: URL names.
func sourceOf(releaseURL string) (string, error) {
	u, err := url.Parse(releaseURL)
	if err != nil {
		return "", fmt.Errorf("cannot install %q: %w", releaseURL, err)
	}
	if u.Scheme != "file" {
		return "", fmt.Errorf("cannot install %s: only file: URLs can be installed, not %s", releaseURL, u.Scheme)
	}
	path := u.Path
	if u.Opaque != "" || u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(path) {
		return "", fmt.Errorf("cannot install %s: want file:///absolute/directory", releaseURL)
	}
	return path, nil
}

// copyTree copies what the root holds: directories, files with their modes, and links that stay inside.
func copyTree(ctx context.Context, from *os.Root, to string) error {
	count := 0
	return fs.WalkDir(from.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if count++; count > MaxFiles {
			return fmt.Errorf("it has more than %d files", MaxFiles)
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		switch {
		case name == completed:
			return nil
		case entry.IsDir():
			if name == "." {
				return os.Chmod(to, 0o755) //nolint:gosec // read by the partitions' users
			}
			return os.Mkdir(target, 0o755) //nolint:gosec // likewise
		case entry.Type() == fs.ModeSymlink:
			return copyLink(from, name, target)
		case entry.Type().IsRegular():
			return copyFile(from, name, target)
		}
		return fmt.Errorf("%s is neither file, directory nor link", name)
	})
}

// copyLink copies a link as it is. The root refuses to follow one that leaves it, through however many others.
func copyLink(from *os.Root, name, target string) error {
	leads, err := from.Readlink(name)
	if err != nil {
		return err
	}
	if _, err := from.Stat(name); err != nil {
		return fmt.Errorf("the link %s leads to %s, which is not inside of the release", name, leads)
	}
	return os.Symlink(leads, target)
}

func copyFile(from *os.Root, name, target string) (err error) {
	source, err := from.Open(name)
	if err != nil {
		return err
	}
	defer source.Close() // only read from
	info, err := source.Stat()
	if err != nil {
		return err
	}
	// Set-user-id bits are of no use in a release and a danger in one that root copies.
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // inside of our folder
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	if err == nil {
		err = f.Chmod(info.Mode().Perm() | 0o444)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// readOption reads a one-line file of an installed release; absent = "".
func (r Root) readOption(releaseURL, name string) (string, error) {
	f, err := os.Open(filepath.Join(r.Directory(releaseURL), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() // only read from
	content, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(content)), err
}
