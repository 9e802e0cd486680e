package release

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/archive"
)

// SpaceError is an installation that would leave too little free.
type SpaceError struct {
	// Dir names the file system; Free, Reserve and Need are bytes.
	Dir                 string
	Free, Reserve, Need int64
}

func (e *SpaceError) Error() string {
	text := fmt.Sprintf("only %s is free on the file system of %s, and %s have to stay free", archive.Size(e.Free), e.Dir, archive.Size(e.Reserve))
	if e.Need > 0 {
		text += fmt.Sprintf("; at least %s are needed", archive.Size(e.Need))
	}
	return text
}

// space keeps a reserve free on a file system.
type space struct {
	dir     string
	reserve int64
}

// check fails when need more bytes would not leave the reserve to users without privileges.
func (s space) check(need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return fmt.Errorf("cannot tell the free space of %s: %w", s.dir, err)
	}
	free := int64(st.Bavail) * st.Bsize //nolint:gosec // below 2^63 bytes
	if free-need < s.reserve {
		return &SpaceError{Dir: s.dir, Free: free, Reserve: s.reserve, Need: need}
	}
	return nil
}

// full tells whether an error is for want of space: what was taken must be given back.
func full(err error) bool {
	return errors.As(err, new(*SpaceError)) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
