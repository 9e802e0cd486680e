package disk

import (
	"fmt"
	"syscall"
)

// Room is what a disk has.
type Room struct {
	Folder
	// Free and Total are bytes, Free for who is not root.
	Free, Total int64
}

// Rooms tells what the disks of the folders have.
func (w *Watch) Rooms() ([]Room, error) {
	var all []Room
	for _, f := range w.folders {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(f.Path, &fs); err != nil {
			return all, fmt.Errorf("cannot use the disk of %s: %w", f.Path, err)
		}
		all = append(all, Room{f, int64(fs.Bavail) * fs.Bsize, int64(fs.Blocks) * fs.Bsize})
	}
	return all, nil
}
