package format

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
)

// Seen is what a machine has of what a wish is about.
type Seen struct {
	// EUID is who asks.
	EUID uint32
	// Directories are those of the wish and of the layout before, by path; absent = nothing is there.
	Directories map[string]Directory
	// Closed is a folder above the roots that others cannot enter, empty = none.
	Closed string
	// Foreign is something in the software root that is not the software user's; empty = nothing is.
	Foreign string
	// Users and Groups are those of the wish that exist, by name.
	Users  map[string]Account
	Groups map[string]uint32
	// Interface tells whether the wish's interface is there, Addresses which it has; Machine are those of all interfaces.
	Interface          bool
	Addresses, Machine map[netip.Addr]bool
	// Before is what was formatted last; nil = never.
	Before *Layout
}

// Directory is what is at a path.
type Directory struct {
	UID, GID uint32
	Mode     fs.FileMode
	// Empty says that a directory has no content: the partition is free.
	Empty bool
}

// Account is a user of the machine.
type Account struct {
	Name string `json:"user,omitempty"`
	UID  uint32 `json:"uid,omitempty"`
	GID  uint32 `json:"gid,omitempty"`
}

// Action is what a change does.
type Action string

// Actions.
const (
	MakeGroup       Action = "make group"
	MakeUser        Action = "make user"
	MakeDirectory   Action = "make directory"
	GiveDirectory   Action = "give directory"
	AddAddress      Action = "add address"
	RemoveAddress   Action = "remove address"
	RemoveDirectory Action = "remove directory"
	WriteLayout     Action = "write layout"
)

// Change is one step of a plan.
type Change struct {
	Action Action `json:"action"`
	// Name is the path, user, group or address.
	Name string `json:"name"`
	// Detail is for people: of what, why.
	Detail string `json:"detail,omitempty"`

	user string      // who a directory is for; empty = the caller
	home string      // of a user
	mode fs.FileMode // of a directory
	all  bool        // the directory with all that is in it
}

// rootMode lets the partitions' users pass, and write nothing.
const rootMode = 0o755

// Plan tells what has to change, in order. Nothing to change = none. Its errors name what is in the way.
func Plan(w Wish, seen Seen) ([]Change, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	p := &planner{w: w, seen: seen, root: seen.EUID == 0}
	if p.root && seen.Closed != "" {
		return nil, fmt.Errorf("cannot format: others cannot enter %s, which the partitions' users have to; choose another --instance-root and --software-root, or open it", seen.Closed)
	}
	if before := seen.Before; before != nil && before.Owner != seen.EUID {
		return nil, fmt.Errorf("cannot format: user %d formatted %s, you are user %d", before.Owner, w.InstanceRoot, seen.EUID)
	}
	addresses, err := w.addresses()
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{p.users, p.directories, func() error { return p.addresses(addresses) }, p.removals} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if layout, known := layoutOf(w, seen, addresses); !known || seen.Before == nil || !same(layout, *seen.Before) {
		p.add(Change{Action: WriteLayout, Name: filepath.Join(w.InstanceRoot, FileName), Detail: p.difference()})
	}
	return p.changes, nil
}

type planner struct {
	w       Wish
	seen    Seen
	root    bool
	changes []Change
}

func (p *planner) add(c Change) { p.changes = append(p.changes, c) }

func partitionName(i int) string     { return PartitionPrefix + strconv.Itoa(i) }
func (w Wish) userName(i int) string { return w.UserPrefix + strconv.Itoa(i) }
func (w Wish) directory(i int) string {
	return filepath.Join(w.InstanceRoot, partitionName(i))
}

// users: a user and a group of the same name per partition and one for the software releases, that nobody shares.
func (p *planner) users() error {
	if !p.root {
		return nil
	}
	uids, gids := map[uint32]string{}, map[uint32]string{}
	for i := range p.w.Partitions + 1 {
		name, of, home := p.w.SoftwareUser, "of software releases", p.w.SoftwareRoot
		if i > 0 {
			name, of, home = p.w.userName(i-1), "of "+partitionName(i-1), p.w.directory(i-1)
		}
		gid, hasGroup := p.seen.Groups[name]
		if !hasGroup {
			p.add(Change{Action: MakeGroup, Name: name})
		}
		user, exists := p.seen.Users[name]
		if !exists {
			p.add(Change{Action: MakeUser, Name: name, Detail: of, home: home})
			continue
		}
		switch {
		case user.UID == 0 || user.GID == 0:
			return fmt.Errorf("cannot format: user %s is root (user %d, group %d)", name, user.UID, user.GID)
		case !hasGroup || user.GID != gid:
			return fmt.Errorf("cannot format: the group of user %s is %d, not a group %s of its own", name, user.GID, name)
		case uids[user.UID] != "":
			return fmt.Errorf("cannot format: %s and %s are the same user %d", uids[user.UID], name, user.UID)
		case gids[user.GID] != "":
			return fmt.Errorf("cannot format: %s and %s have the same group %d", gids[user.GID], name, user.GID)
		}
		uids[user.UID], gids[user.GID] = name, name
	}
	return nil
}

func (p *planner) directories() error {
	path := p.w.InstanceRoot
	d, exists := p.seen.Directories[path]
	switch {
	case !exists:
		p.add(Change{Action: MakeDirectory, Name: path, Detail: "0755", mode: rootMode})
	case !d.Mode.IsDir():
		return fmt.Errorf("cannot format: %s is no directory", path)
	case p.root && d.UID != 0:
		return fmt.Errorf("cannot format: %s belongs to user %d, who could replace partitions; give it to root", path, d.UID)
	case p.root && d.Mode.Perm() != rootMode:
		p.add(Change{Action: GiveDirectory, Name: path, Detail: fmt.Sprintf("mode 0755 instead of %#o", d.Mode.Perm()), mode: rootMode})
	}
	if err := p.softwareRoot(); err != nil {
		return err
	}
	for i := range p.w.Partitions {
		path, owner := p.w.directory(i), ""
		if p.root {
			owner = p.w.userName(i)
		}
		c := Change{Name: path, user: owner, mode: 0o750, Detail: "0750"}
		if owner != "" {
			c.Detail += " of " + owner
		}
		d, exists := p.seen.Directories[path]
		user, known := p.seen.Users[owner]
		switch {
		case !exists:
			c.Action = MakeDirectory
			p.add(c)
		case !d.Mode.IsDir():
			return fmt.Errorf("cannot format: %s is no directory", path)
		case !p.root && d.UID != p.seen.EUID:
			return fmt.Errorf("cannot format: %s belongs to user %d, and only root may give it away", path, d.UID)
		case p.root && (!known || d.UID != user.UID || d.GID != user.GID) && !d.Empty:
			return fmt.Errorf("cannot format: %s has content of user %d, group %d; give all of it to %s (chown -R --no-dereference), or empty it", path, d.UID, d.GID, owner)
		case p.root && (!known || d.UID != user.UID || d.GID != user.GID), d.Mode.Perm() != 0o750:
			c.Action = GiveDirectory
			p.add(c)
		}
	}
	return nil
}

// softwareRoot: as root it is the software user's, with all that is in it. What root itself installed before there was such
// a user is given to it.
func (p *planner) softwareRoot() error {
	path := p.w.SoftwareRoot
	d, exists := p.seen.Directories[path]
	c := Change{Name: path, Detail: "0755", mode: rootMode}
	if p.root {
		c.user, c.Detail = p.w.SoftwareUser, "0755 of "+p.w.SoftwareUser
	}
	user, known := p.seen.Users[c.user]
	before := uint32(0)
	if p.seen.Before != nil {
		before = p.seen.Before.Software.UID
	}
	switch {
	case !exists:
		c.Action = MakeDirectory
	case !d.Mode.IsDir():
		return fmt.Errorf("cannot format: %s is no directory", path)
	case !p.root:
		return nil
	case d.UID != 0 && d.UID != before && (!known || d.UID != user.UID):
		return fmt.Errorf("cannot format: %s belongs to user %d, who is neither root nor %s; give it to root", path, d.UID, p.w.SoftwareUser)
	case !known || d.UID != user.UID || d.GID != user.GID || p.seen.Foreign != "":
		c.Action, c.all = GiveDirectory, true
		c.Detail += ", all of it"
		if p.seen.Foreign != "" {
			c.Detail += ": " + p.seen.Foreign + " is another's"
		}
	case d.Mode.Perm() != rootMode:
		c.Action = GiveDirectory
		c.Detail += fmt.Sprintf(" instead of %#o", d.Mode.Perm())
	default:
		return nil
	}
	p.add(c)
	return nil
}

// addresses: those that the machine does not answer to yet are added to the interface.
func (p *planner) addresses(all [][]netip.Addr) error {
	for i, list := range all {
		for _, a := range list {
			if p.seen.Machine[a] || a.Is4() && a.IsLoopback() {
				continue // all of 127.0.0.0/8 is the machine's
			}
			if !p.root {
				return fmt.Errorf("cannot format: the machine does not have the address %s of %s, and only root may add it", a, partitionName(i))
			}
			if !p.seen.Interface {
				return fmt.Errorf("cannot format: there is no interface %s to add %s to", p.w.Interface, a)
			}
			p.add(Change{Action: AddAddress, Name: a.String(), Detail: "to " + p.w.Interface + " for " + partitionName(i)})
		}
	}
	return nil
}

// removals: partitions that are wanted no more and free, and what they had.
func (p *planner) removals() error {
	if p.seen.Before == nil {
		return nil
	}
	kept := map[string]bool{}
	wanted, _ := p.w.addresses() // checked before
	for i, list := range wanted {
		kept[partitionName(i)] = true
		for _, a := range list {
			kept[a.String()] = true
		}
	}
	for _, old := range p.seen.Before.Partitions {
		path := filepath.Join(p.w.InstanceRoot, old.Name)
		d, exists := p.seen.Directories[path]
		if exists && !d.Empty {
			if !kept[old.Name] {
				return fmt.Errorf("cannot format: partition %s would go, and %s is not empty; destroy its instance first", old.Name, path)
			}
			continue // what its services listen on stays
		}
		for _, text := range old.Addresses {
			a, err := netip.ParseAddr(text)
			if err == nil && p.root && !kept[text] && p.seen.Addresses[a] && !a.IsLoopback() {
				p.add(Change{Action: RemoveAddress, Name: text, Detail: "from " + p.w.Interface + ", of " + old.Name})
			}
		}
		if exists && !kept[old.Name] {
			p.add(Change{Action: RemoveDirectory, Name: path, Detail: "it is free"})
		}
	}
	return nil
}

// difference says in words how the layout changes.
func (p *planner) difference() string {
	before := 0
	if p.seen.Before != nil {
		before = len(p.seen.Before.Partitions)
	}
	if before == p.w.Partitions {
		return fmt.Sprintf("%d partitions, changed", before)
	}
	return fmt.Sprintf("%d partitions instead of %d", p.w.Partitions, before)
}

// layoutOf is the layout of a wish; known is false while a user's number is not.
func layoutOf(w Wish, seen Seen, addresses [][]netip.Addr) (l Layout, known bool) {
	l, known = Layout{Version: layoutVersion, Owner: seen.EUID, Wish: w, Partitions: []Partition{}}, true
	for i := range w.Partitions {
		p := Partition{Name: partitionName(i), Addresses: []string{}}
		for _, a := range addresses[i] {
			p.Addresses = append(p.Addresses, a.String())
		}
		if seen.EUID == 0 {
			p.User = w.userName(i)
			user, ok := seen.Users[p.User]
			p.UID, p.GID, known = user.UID, user.GID, known && ok
		}
		l.Partitions = append(l.Partitions, p)
	}
	if seen.EUID == 0 {
		user, ok := seen.Users[w.SoftwareUser]
		l.Software = Account{Name: w.SoftwareUser, UID: user.UID, GID: user.GID}
		known = known && ok
	}
	return l, known
}

func same(a, b Layout) bool {
	return a.Version == b.Version && a.Owner == b.Owner && a.Wish.equal(b.Wish) && a.Software == b.Software && slices.EqualFunc(a.Partitions, b.Partitions, func(x, y Partition) bool {
		return x.Name == y.Name && x.User == y.User && x.UID == y.UID && x.GID == y.GID && slices.Equal(x.Addresses, y.Addresses)
	})
}

func (w Wish) equal(other Wish) bool {
	return w.InstanceRoot == other.InstanceRoot && w.SoftwareRoot == other.SoftwareRoot && w.Partitions == other.Partitions && w.UserPrefix == other.UserPrefix && w.SoftwareUser == other.SoftwareUser &&
		w.Interface == other.Interface && slices.Equal(w.IPv4, other.IPv4) && slices.Equal(w.IPv6, other.IPv6)
}
