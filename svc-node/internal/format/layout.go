package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// FileName is the layout's, in the instance root.
const FileName = ".vow-format.json"

// layoutVersion is that of the file's format.
const layoutVersion = 1

// Layout is what was formatted: what the agent goes by.
type Layout struct {
	Version int `json:"version"`
	// Owner is the numeric user that formatted: the one that the agent has to be.
	Owner uint32 `json:"owner"`
	// Wish is what was wanted; the next format begins with it.
	Wish Wish `json:"wish"`
	// Software is the user of the software releases; empty when the formatter is not root, or was older than that user.
	Software   Account     `json:"software,omitzero"`
	Partitions []Partition `json:"partitions"`
}

// Partition is one formatted partition.
type Partition struct {
	Name string `json:"name"`
	// User, UID and GID are empty when the partition is its formatter's own.
	User string `json:"user,omitempty"`
	UID  uint32 `json:"uid,omitempty"`
	GID  uint32 `json:"gid,omitempty"`
	// Addresses are those that its services may listen on.
	Addresses []string `json:"addresses"`
}

// Read reads the layout of an instance root; nil = it was never formatted.
func Read(instanceRoot string) (*Layout, error) {
	path := filepath.Join(instanceRoot, FileName)
	file, err := os.Open(path) //nolint:gosec // in the instance root, in which no partition's user can write
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // never formatted is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read how the computer is formatted: %w", err)
	}
	defer file.Close() // only read from
	var l Layout
	if err := json.NewDecoder(io.LimitReader(file, maxFile)).Decode(&l); err != nil {
		return nil, fmt.Errorf("cannot understand %s, which `vow node format` writes: %w", path, err)
	}
	if l.Version != layoutVersion {
		return nil, fmt.Errorf("cannot understand %s: its version is %d, this is for %d", path, l.Version, layoutVersion)
	}
	return &l, nil
}

// Users are the users of the partitions, for an agent with the given effective user.
func (l *Layout) Users(euid int) (map[string]privilege.User, error) {
	if int(l.Owner) != euid {
		return nil, fmt.Errorf("cannot use the partitions: user %d formatted them, and the agent is user %d", l.Owner, euid)
	}
	users := make(map[string]privilege.User, len(l.Partitions))
	for _, p := range l.Partitions {
		if l.Owner != 0 {
			users[p.Name] = privilege.Own("")
			continue
		}
		u := privilege.Other(p.User, p.UID, p.GID)
		if err := u.Validate(); err != nil {
			return nil, fmt.Errorf("cannot use partition %s: %w", p.Name, err)
		}
		users[p.Name] = u
	}
	return users, nil
}

// SoftwareUser is who installs software releases, for an agent with the given effective user. Root installs none itself.
func (l *Layout) SoftwareUser(euid int) (privilege.User, error) {
	switch {
	case int(l.Owner) != euid:
		return privilege.User{}, fmt.Errorf("user %d formatted the computer, and the agent is user %d", l.Owner, euid)
	case l.Owner != 0:
		return privilege.Own(""), nil
	case l.Software.Name == "":
		return privilege.User{}, errors.New("software releases have no user of their own yet: run `vow node format --yes` as root")
	}
	seen := Seen{Users: map[string]Account{}, Groups: map[string]uint32{}}
	if err := seen.account(l.Software.Name); err != nil {
		return privilege.User{}, err
	}
	if got, ok := seen.Users[l.Software.Name]; !ok || got != l.Software {
		return privilege.User{}, fmt.Errorf("the user %s of software releases, number %d, is not there as it was formatted: run `vow node format --yes` as root", l.Software.Name, l.Software.UID)
	}
	u := privilege.Other(l.Software.Name, l.Software.UID, l.Software.GID)
	return u, u.Validate()
}

// write makes the file appear whole. It has no secrets: users may see who they are.
func (l *Layout) write() error {
	content, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the layout: %w", err)
	}
	path := filepath.Join(l.Wish.InstanceRoot, FileName)
	if err := atomicfile.Synced(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
