package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// user is who works in the software root. Another user than the agent's has to own the folder and what is directly in it:
// what somebody else put there could be written by somebody else.
func (r *Root) user() (privilege.User, error) {
	if r.s.User == nil {
		return privilege.User{}, nil
	}
	u, err := r.s.User()
	if err == nil {
		err = u.Validate()
	}
	if err == nil && u.Switch {
		err = denied(u, u.Do(func() error { return r.owned(u) }))
	}
	return u, err
}

// owned checks that the software root is the user's.
func (r *Root) owned(u privilege.User) error {
	info, err := os.Lstat(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the software root %s is not there: `vow node format --yes` makes it", r.dir)
	}
	if err != nil {
		return err
	}
	if owner, ok := ownerOf(info); !ok || !info.IsDir() || owner != u.UID {
		return fmt.Errorf("the software root %s belongs to user %d, not to %s (%d): `vow node format --yes` gives it to that user, with all that is in it", r.dir, owner, u.Name, u.UID)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if owner, ok := ownerOf(info); !ok || owner != u.UID {
			return fmt.Errorf("%s in the software root %s belongs to user %d, not to %s (%d): `vow node format --yes` gives it to that user", entry.Name(), r.dir, owner, u.Name, u.UID)
		}
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uint32, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}

// denied says whose access it is that was missing.
func denied(u privilege.User, err error) error {
	if u.Switch && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (for the user %s, who installs software releases)", err, u.Name)
	}
	return err
}
