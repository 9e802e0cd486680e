package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directory is the data directory of a fleet.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes the directory and locks it for this process.
func openDirectory(path string) (*directory, error) {
	for _, sub := range []string{"", "bin", "log", "redis", "store", "node", "instance", "software", "releases"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the data directory: %w; name another with --data", err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the data directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("cannot use %s: another vow up runs on it; stop that one, or name another directory with --data", path)
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return &directory{path: path, lock: lock}, nil
}

// join is a path below the directory.
func (d *directory) join(parts ...string) string {
	return filepath.Join(append([]string{d.path}, parts...)...)
}

// close gives the directory up.
func (d *directory) close() error { return d.lock.Close() }

// log opens the log file of one service for appending.
func (d *directory) log(service string) (*os.File, error) {
	return os.OpenFile(d.join("log", service+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// installExecutable copies this process's executable to bin/vow: the supervisor, the agent and the sample's services outlive this process, and the file that `go run` made does not. It returns the
// copy's path, and whether it differs from the one that was there.
func (d *directory) installExecutable() (path string, changed bool, err error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", false, fmt.Errorf("cannot find vow's own executable: %w", err)
	}
	defer self.Close()
	path = d.join("bin", "vow")
	if same, err := sameContent(self, path); err != nil || same {
		return path, false, err
	}
	copied, err := os.CreateTemp(d.join("bin"), ".vow-*")
	if err != nil {
		return "", false, fmt.Errorf("cannot copy vow's executable: %w", err)
	}
	defer func() { _ = os.Remove(copied.Name()) }() // it is gone when the rename worked
	_, err = io.Copy(copied, self)
	if err = errors.Join(err, copied.Chmod(0o755), copied.Close()); err != nil {
		return "", false, fmt.Errorf("cannot copy vow's executable: %w", err)
	}
	if err := os.Rename(copied.Name(), path); err != nil {
		return "", false, fmt.Errorf("cannot copy vow's executable: %w", err)
	}
	return path, true, nil
}

// sameContent compares a file with one at a path, and leaves it at its beginning.
func sameContent(f *os.File, path string) (bool, error) {
	other, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer other.Close()
	a, errA := f.Stat()
	b, errB := other.Stat()
	if err := errors.Join(errA, errB); err != nil || a.Size() != b.Size() {
		return false, err
	}
	defer func() { _, _ = f.Seek(0, io.SeekStart) }() // seeking a regular file to its beginning cannot fail
	left, right := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errA := io.ReadFull(f, left)
		m, _ := io.ReadFull(other, right)
		if n != m || string(left[:n]) != string(right[:m]) {
			return false, nil
		}
		if errA != nil {
			return true, nil // both ended: the sizes are equal
		}
	}
}
