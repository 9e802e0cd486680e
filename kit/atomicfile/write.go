package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces the content of path. It survives the death of the process; after a crash of the machine the old
// content may be back.
func Write(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, false)
}

// Synced is Write that also survives a crash of the machine; it costs a write of the disk.
func Synced(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, true)
}

func write(path string, content []byte, mode os.FileMode, synced bool) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("cannot write %s: %w", path, err)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && synced {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !synced {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller's own folder
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Link makes path a symbolic link to target, in the place of what it was.
func Link(target, path string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	defer os.Remove(dir) //nolint:errcheck // empty by now
	name := filepath.Join(dir, "link")
	if err := os.Symlink(target, name); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	if err := os.Rename(name, path); err != nil {
		_ = os.Remove(name)
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	return nil
}
