package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// Root is where the partitions are, and whose they are.
type Root struct {
	path  string
	own   privilege.User
	users atomic.Pointer[map[string]privilege.User]
}

// NewRoot is an instance root, absolute, in which no partition's user may write. Until Use is called, all partitions are own's.
func NewRoot(path string, own privilege.User) *Root { return &Root{path: path, own: own} }

// Path is the instance root.
func (r *Root) Path() string { return r.path }

// Use says who the partitions belong to, by partition; from then on one without a user cannot be used.
func (r *Root) Use(users map[string]privilege.User) { r.users.Store(&users) }

// Directory names a partition. A name that would leave the root is refused.
func (r *Root) Directory(name string) (Directory, error) {
	if name == "" || name == "." || strings.ContainsRune(name, filepath.Separator) || !filepath.IsLocal(name) {
		return Directory{}, fmt.Errorf("cannot use partition %q: it is no name of a directory", name)
	}
	user := r.own
	if users := r.users.Load(); users != nil {
		formatted, ok := (*users)[name]
		if !ok {
			return Directory{}, fmt.Errorf("cannot use partition %s: it is not formatted (`vow node format`)", name)
		}
		user = formatted
	}
	return Directory{Name: name, Path: filepath.Join(r.path, name), User: user}, nil
}

// Directory is a partition's directory.
type Directory struct {
	// Name is the partition's.
	Name string
	// Path is absolute.
	Path string
	// User is who the partition's processes run as, and who the agent is while it touches what is in the directory.
	User privilege.User
}

// Mode is that of a partition's directory: its user's and its group's alone.
const Mode = 0o750

// Ensure makes the directory and the folders that processes and promises are found in. The directory is the user's with
// mode 0750, whatever the user made of it; one that belongs to somebody else is refused.
func (d Directory) Ensure() error {
	if err := d.own(); err != nil {
		return fmt.Errorf("cannot make partition %s: %w", d.Name, err)
	}
	return d.User.Do(func() error {
		for _, folder := range []string{"etc", "etc/service", "etc/services", "etc/run", "etc/promise", "sbin", "var", ".slapgrid", ".slapgrid/log"} {
			path := filepath.Join(d.Path, folder)
			if info, err := os.Lstat(path); err == nil && (info.IsDir() || info.Mode()&os.ModeSymlink != 0) {
				continue // a profile may have made it a link to where data is
			}
			if err := os.Mkdir(path, Mode); err != nil {
				return fmt.Errorf("cannot make partition %s: %w", d.Name, err)
			}
		}
		return nil
	})
}

// own makes the directory itself, in a folder that its user cannot write in.
func (d Directory) own() error {
	if !d.User.Switch {
		return os.MkdirAll(d.Path, Mode)
	}
	if err := d.User.Validate(); err != nil {
		return err
	}
	err := os.Mkdir(d.Path, Mode)
	if err == nil {
		err = os.Lchown(d.Path, int(d.User.UID), int(d.User.GID))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(d.Path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", d.Path)
	case !ok || stat.Uid != d.User.UID || stat.Gid != d.User.GID:
		return fmt.Errorf("%s does not belong to %s (user %d, group %d): `vow node format` gives it", d.Path, d.User.Name, d.User.UID, d.User.GID)
	case info.Mode().Perm() != Mode || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
		return os.Chmod(d.Path, Mode)
	}
	return nil
}

// Environment is the environment of the partition's processes and sensors: nothing of the agent's own.
func (d Directory) Environment() []string {
	return []string{
		"HOME=" + d.Path, "USER=" + d.User.Name, "LOGNAME=" + d.User.Name, "LANG=C.UTF-8", "SHELL=/bin/sh",
		"PATH=" + filepath.Join(d.Path, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// LogPath is where the output of a process goes.
func (d Directory) LogPath(process string) string {
	return filepath.Join(d.Path, ".slapgrid", "log", process+".log")
}

// Hook is the path of the executable to run before the content is removed; empty = there is none.
func (d Directory) Hook() string {
	if hooks, _ := d.Executables("sbin"); slices.Contains(hooks, "destroy") { // an error is that there is none
		return filepath.Join(d.Path, "sbin", "destroy")
	}
	return ""
}

// Executables are the names of the executables in a folder of the partition, sorted; a folder that is not there has none.
func (d Directory) Executables(folder string) (names []string, err error) {
	err = d.User.Do(func() error {
		entries, err := os.ReadDir(filepath.Join(d.Path, folder))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, entry := range entries {
			info, statErr := os.Stat(filepath.Join(d.Path, folder, entry.Name()))
			if statErr == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !strings.HasPrefix(entry.Name(), ".") {
				names = append(names, entry.Name())
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of %s: %w", folder, d.Name, err)
	}
	return names, nil
}

// LinkRelease makes `software_release` lead to the installed release, as SlapOS's profiles expect it.
func (d Directory) LinkRelease(release string) (changed bool, err error) {
	err = d.User.Do(func() error {
		link := filepath.Join(d.Path, "software_release")
		if now, err := os.Readlink(link); err == nil && now == release {
			return nil
		}
		changed = true
		return atomicfile.Link(release, link)
	})
	return changed, err
}

// Clear removes the content; the directory itself stays. Idempotent.
func (d Directory) Clear() error {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot remove the content of %s: %w", d.Name, err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(d.Path, entry.Name())); err != nil {
			return fmt.Errorf("cannot remove the content of %s: %w", d.Name, err)
		}
	}
	return nil
}
