package partition

import (
	"fmt"
	"syscall"
)

// CheckDisk tells why nothing can be written below a folder: its disk is read-only, or less than least bytes are free for who is not root.
func CheckDisk(dir string, least int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("cannot use the disk of %s: %w", dir, err)
	}
	const readOnly = 1 // ST_RDONLY
	if fs.Flags&readOnly != 0 {
		return fmt.Errorf("cannot write to %s: its disk is read-only", dir)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < least || free == 0 {
		return fmt.Errorf("cannot write to %s: its disk has %d MiB free, at least %d are wanted", dir, free>>20, least>>20)
	}
	return nil
}
