package partition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked says that another holder, in this process or another, has the partition's lock.
var ErrLocked = errors.New("cannot lock the partition: another run holds it")

// Lock is a held lock of a partition.
type Lock struct{ file *os.File }

// TryLock takes the lock of a partition, or fails with ErrLocked at once. The kernel releases it when its holder dies.
// dir is the folder of locks; it exists.
func TryLock(dir, partition string) (*Lock, error) {
	path := filepath.Join(dir, partition+".lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		file, err = os.Open(path) //nolint:gosec // our own; a disk that is read-only or full still knows the lock
	}
	if err != nil {
		return nil, fmt.Errorf("cannot lock partition %s: %w", partition, err)
	}
	// The descriptor is closed on exec, so that no child of ours keeps the lock.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("cannot lock partition %s: %w", partition, err)
	}
	return &Lock{file: file}, nil
}

// Unlock releases it.
func (l *Lock) Unlock() { _ = l.file.Close() } // closing releases; nothing was written
