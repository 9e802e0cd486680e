package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// foreign is an entry of a folder that is not the user's; empty = none is, or there is no such folder.
func foreign(folder string, user Account) (string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != user.UID || stat.Gid != user.GID {
			return entry.Name(), nil
		}
	}
	return "", nil
}

// giveAll gives what is in a folder to a user, a folder after what is in it: what is interrupted is still another's at its
// top, and is found again. It follows no link; a file that has another name, perhaps outside, is refused unless nobody but
// root could have given it that name.
func giveAll(folder string, user Account) error {
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	return giveWithin(fd, folder, user, stat.Uid == 0)
}

// giveWithin gives the entries of an open folder, which it closes.
func giveWithin(fd int, name string, user Account, rootsOnly bool) error {
	folder := os.NewFile(uintptr(fd), name)
	defer folder.Close() // only read from
	entries, err := folder.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := giveEntry(fd, entry, user, rootsOnly); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(name, entry), err)
		}
	}
	return nil
}

func giveEntry(dir int, name string, user Account, rootsOnly bool) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil // it went
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // it names a file, no more
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		below, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := giveWithin(below, name, user, rootsOnly && stat.Uid == 0); err != nil {
			return err
		}
	}
	switch {
	case stat.Uid == user.UID && stat.Gid == user.GID:
		return nil
	case stat.Mode&unix.S_IFMT != unix.S_IFDIR && stat.Nlink > 1 && !rootsOnly:
		return errors.New("it has a second name, perhaps outside of the software root: remove one of them")
	}
	return unix.Fchownat(fd, "", int(user.UID), int(user.GID), unix.AT_EMPTY_PATH)
}
