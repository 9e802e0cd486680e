package partition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Directory is one partition's directory.
type Directory struct {
	// Name is the partition's.
	Name string
	// Path is absolute.
	Path string
	// User is the name of the user that its processes run as.
	User string
}

// NewDirectory names a partition under an instance root. A name that would leave it is refused.
func NewDirectory(root, name, user string) (Directory, error) {
	if name == "" || name == "." || strings.ContainsRune(name, filepath.Separator) || !filepath.IsLocal(name) {
		return Directory{}, fmt.Errorf("cannot use partition %q: it is no name of a directory", name)
	}
	return Directory{Name: name, Path: filepath.Join(root, name), User: user}, nil
}

// Ensure makes the directory and the folders in it that every partition has. Idempotent.
func (d Directory) Ensure() error {
	if err := os.MkdirAll(d.Path, 0o750); err != nil {
		return fmt.Errorf("cannot make partition %s: %w", d.Name, err)
	}
	for _, folder := range []string{"etc", "etc/service", "etc/services", "etc/run", "etc/promise", "sbin", "var", ".slapgrid", ".slapgrid/log"} {
		path := filepath.Join(d.Path, folder)
		if info, err := os.Lstat(path); err == nil && (info.IsDir() || info.Mode()&os.ModeSymlink != 0) {
			continue // a profile may have made it a link to where data is
		}
		if err := os.Mkdir(path, 0o750); err != nil {
			return fmt.Errorf("cannot make partition %s: %w", d.Name, err)
		}
	}
	return nil
}

// Environment is the environment of the partition's processes and sensors: nothing of the agent's own.
func (d Directory) Environment() []string {
	return []string{
		"HOME=" + d.Path, "USER=" + d.User, "LOGNAME=" + d.User, "LANG=C.UTF-8", "SHELL=/bin/sh",
		"PATH=" + filepath.Join(d.Path, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// LogPath is where the output of a process goes.
func (d Directory) LogPath(process string) string {
	return filepath.Join(d.Path, ".slapgrid", "log", process+".log")
}

// Hook is the path of the executable to run before the content is removed; empty = there is none.
func (d Directory) Hook() string {
	path := filepath.Join(d.Path, "sbin", "destroy")
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return path
	}
	return ""
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
