package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Look sees what the machine has of a wish.
func Look(w Wish) (Seen, error) {
	if err := w.Validate(); err != nil {
		return Seen{}, err
	}
	seen := Seen{
		EUID: uint32(os.Geteuid()), Directories: map[string]Directory{}, Users: map[string]Account{}, Groups: map[string]uint32{}, //nolint:gosec // a user's number is none below 0
		Addresses: map[netip.Addr]bool{}, Machine: map[netip.Addr]bool{},
	}
	var err error
	if seen.Before, err = Read(w.InstanceRoot); err != nil {
		return Seen{}, err
	}
	paths := []string{w.InstanceRoot, w.SoftwareRoot}
	for i := range w.Partitions {
		paths = append(paths, w.directory(i))
	}
	if seen.Before != nil {
		for _, p := range seen.Before.Partitions {
			paths = append(paths, filepath.Join(w.InstanceRoot, p.Name))
		}
	}
	for _, path := range paths {
		d, err := lookAt(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Seen{}, fmt.Errorf("cannot look at %s: %w", path, err)
		}
		seen.Directories[path] = d
	}
	seen.Closed = closed(w.InstanceRoot)
	if seen.Closed == "" {
		seen.Closed = closed(w.SoftwareRoot)
	}
	if seen.EUID == 0 {
		for i := range w.Partitions {
			if err := seen.account(w.userName(i)); err != nil {
				return Seen{}, err
			}
		}
		if err := seen.account(w.SoftwareUser); err != nil {
			return Seen{}, err
		}
		if seen.Foreign, err = foreign(w.SoftwareRoot, seen.Users[w.SoftwareUser]); err != nil {
			return Seen{}, fmt.Errorf("cannot look into %s: %w", w.SoftwareRoot, err)
		}
	}
	return seen, seen.interfaces(w.Interface)
}

func lookAt(path string) (Directory, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Directory{}, err
	}
	d := Directory{Mode: info.Mode()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		d.UID, d.GID = stat.Uid, stat.Gid
	}
	if !info.IsDir() {
		return d, nil
	}
	folder, err := os.Open(path) //nolint:gosec // of the wish, in a folder that no partition's user can write in
	if err != nil {
		return d, err
	}
	defer folder.Close() // only read from
	_, err = folder.Readdirnames(1)
	d.Empty = errors.Is(err, io.EOF)
	if d.Empty {
		err = nil
	}
	return d, err
}

// closed is a folder above a path that others may not enter; empty = none.
func closed(path string) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return dir
		}
		if dir == "/" {
			return ""
		}
	}
}

// account looks a user and the group of its name up.
func (s *Seen) account(name string) error {
	u, err := user.Lookup(name)
	if err == nil {
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return fmt.Errorf("cannot look user %s up: %w", name, err)
		}
		s.Users[name] = Account{Name: name, UID: uint32(uid), GID: uint32(gid)}
	} else if !errors.As(err, new(user.UnknownUserError)) {
		return fmt.Errorf("cannot look user %s up: %w", name, err)
	}
	g, err := user.LookupGroup(name)
	if err == nil {
		gid, err := strconv.ParseUint(g.Gid, 10, 32)
		if err != nil {
			return fmt.Errorf("cannot look group %s up: %w", name, err)
		}
		s.Groups[name] = uint32(gid)
	} else if !errors.As(err, new(user.UnknownGroupError)) {
		return fmt.Errorf("cannot look group %s up: %w", name, err)
	}
	return nil
}

func (s *Seen) interfaces(wanted string) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, one := range all {
		s.Interface = s.Interface || one.Name == wanted
		addresses, err := one.Addrs()
		if err != nil {
			return fmt.Errorf("cannot list the addresses of %s: %w", one.Name, err)
		}
		for _, address := range addresses {
			prefix, err := netip.ParsePrefix(address.String())
			if err != nil {
				continue // of another kind
			}
			s.Machine[prefix.Addr().Unmap()] = true
			if one.Name == wanted {
				s.Addresses[prefix.Addr().Unmap()] = true
			}
		}
	}
	return nil
}

// Apply carries a plan out, in order, and writes the layout. told is called before each change. Interrupted or failed, the
// next plan has what is left.
func Apply(ctx context.Context, w Wish, changes []Change, told func(Change)) error {
	for _, c := range changes {
		told(c)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := apply(ctx, w, c); err != nil {
			return fmt.Errorf("cannot %s %s: %w", c.Action, c.Name, err)
		}
	}
	return nil
}

func apply(ctx context.Context, w Wish, c Change) error {
	switch c.Action {
	case MakeGroup:
		return execute(ctx, "groupadd", "--system", c.Name)
	case MakeUser:
		return execute(ctx, "useradd", "--system", "--gid", c.Name, "--no-create-home", "--home-dir", c.home, "--shell", "/usr/sbin/nologin", c.Name)
	case MakeDirectory:
		mkdir := os.MkdirAll
		if c.mode != rootMode {
			mkdir = os.Mkdir
		}
		if err := mkdir(c.Name, c.mode); err != nil {
			return err
		}
		return give(c)
	case GiveDirectory:
		return give(c)
	case AddAddress, RemoveAddress:
		a, err := netip.ParseAddr(c.Name)
		if err != nil {
			return err
		}
		return changeAddress(w.Interface, a, c.Action == AddAddress)
	case RemoveDirectory:
		return os.Remove(c.Name) // refused by the kernel unless it is empty
	case WriteLayout:
		seen, err := Look(w)
		if err != nil {
			return err
		}
		addresses, err := w.addresses()
		if err != nil {
			return err
		}
		layout, known := layoutOf(w, seen, addresses)
		if !known {
			return errors.New("a user that was made cannot be found")
		}
		return layout.write()
	}
	return fmt.Errorf("no such change")
}

// give makes a directory, in a folder that its user cannot write in, the user's.
func give(c Change) error {
	if c.user != "" {
		seen := Seen{Users: map[string]Account{}, Groups: map[string]uint32{}}
		if err := seen.account(c.user); err != nil {
			return err
		}
		account, ok := seen.Users[c.user]
		if !ok {
			return fmt.Errorf("there is no user %s", c.user)
		}
		if c.all {
			if err := giveAll(c.Name, account); err != nil {
				return err
			}
		}
		if err := os.Lchown(c.Name, int(account.UID), int(account.GID)); err != nil {
			return err
		}
	}
	return os.Chmod(c.Name, c.mode)
}

// execute runs a program of the machine; its last words are the error.
func execute(ctx context.Context, name string, arguments ...string) error {
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	output, err := exec.CommandContext(ctx, path, arguments...).CombinedOutput() //nolint:gosec // names were checked
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// lookPath finds a program also where the PATH of a user who became root does not lead.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	path := "/usr/sbin/" + name
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the program %s is not there (Debian package passwd)", name)
	}
	return path, nil
}
