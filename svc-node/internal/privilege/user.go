package privilege

import (
	"fmt"
	"os"
	"os/user"

	"github.com/vow-os/vow/svc-node/supervise"
)

// User is who acts in a partition. The zero value but for its name is the agent's own user.
type User struct {
	// Name is told to processes as USER and LOGNAME.
	Name string
	// Switch says that UID and GID are those of another user, which the agent, being root, becomes.
	Switch   bool
	UID, GID uint32
}

// Own is the agent's own user; name is who it is told to be, empty = what the machine says.
func Own(name string) User {
	if name != "" {
		return User{Name: name}
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return User{Name: u.Username}
	}
	return User{Name: "vow"}
}

// Other is another user than the agent's.
func Other(name string, uid, gid uint32) User {
	return User{Name: name, Switch: true, UID: uid, GID: gid}
}

// Validate refuses what would not be a drop of privileges, and what the agent may not become.
func (u User) Validate() error {
	switch {
	case !u.Switch:
		return nil
	case u.UID == 0 || u.GID == 0:
		return fmt.Errorf("cannot act as %s: user %d, group %d is root", u.Name, u.UID, u.GID)
	case os.Getuid() != 0: // the real one: within Do the effective one is the user's
		return fmt.Errorf("cannot act as %s: only root may act as others", u.Name)
	}
	return nil
}

// Account is the user as the supervisor is told; nil = the agent's own.
func (u User) Account() *supervise.Account {
	if !u.Switch {
		return nil
	}
	return &supervise.Account{UID: u.UID, GID: u.GID}
}

// Of is the user that a supervised process runs as.
func Of(account *supervise.Account) User {
	if account == nil || os.Getuid() != 0 || account.UID == 0 {
		return User{}
	}
	return User{Switch: true, UID: account.UID, GID: account.GID}
}
