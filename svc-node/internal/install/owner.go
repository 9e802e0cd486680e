package install

import (
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/vow-os/vow/svc-node/profile"
)

// ownerOf tells whom a partition belongs to. What cannot be found out stays a number, or empty.
func ownerOf(root *os.Root, directory string) profile.User {
	info, err := root.Stat(".")
	if err != nil {
		return profile.User{}
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return profile.User{}
	}
	uid, gid := strconv.FormatUint(uint64(status.Uid), 10), strconv.FormatUint(uint64(status.Gid), 10)
	owner := profile.User{Name: uid, UID: uid, Group: gid, GID: gid, Home: directory}
	if found, err := user.LookupId(uid); err == nil {
		owner.Name, owner.Home = found.Username, found.HomeDir
	}
	if found, err := user.LookupGroupId(gid); err == nil {
		owner.Group = found.Name
	}
	return owner
}
