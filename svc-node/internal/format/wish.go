package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxPartitions is how many partitions a computer may have.
	MaxPartitions = 1000
	// PartitionPrefix begins the names of partitions, as SlapOS has them.
	PartitionPrefix = "slappart"
	// DefaultSoftwareUser is who installs software releases, as in SlapOS.
	DefaultSoftwareUser = "slapsoft"
	// DefaultIPv4 is on the loopback interface of every Linux without any configuration: an address per partition.
	DefaultIPv4 = "127.16.0.0/16"
	// maxFile bounds what is read of a file, in bytes.
	maxFile = 4 << 20
)

// Wish is what a person wants of a machine. It is also what a file of `vow node format --file` holds, in YAML or JSON.
type Wish struct {
	// InstanceRoot and SoftwareRoot are absolute folders. No partition's user can write in them.
	InstanceRoot string `json:"instance_root" yaml:"instance_root"`
	SoftwareRoot string `json:"software_root" yaml:"software_root"`
	// Partitions is their number, 0 to 1000: slappart0 and on.
	Partitions int `json:"partitions" yaml:"partitions"`
	// UserPrefix begins the names of their users, slapuser0 and on. Root's only.
	UserPrefix string `json:"user_prefix,omitempty" yaml:"user_prefix"`
	// SoftwareUser owns the software root, and installs and builds software releases. Root's only.
	SoftwareUser string `json:"software_user,omitempty" yaml:"software_user"`
	// Interface is what addresses are added to.
	Interface string `json:"interface,omitempty" yaml:"interface"`
	// IPv4 and IPv6 are one network (10.0.0.0/16), of which partition n gets address n+1, or an address per partition.
	IPv4 []string `json:"ipv4,omitempty" yaml:"ipv4"`
	IPv6 []string `json:"ipv6,omitempty" yaml:"ipv6"`
}

// Load reads a file over a wish: what it does not name stays.
func (w Wish) Load(path string) (Wish, error) {
	file, err := os.Open(path) //nolint:gosec // the file that the caller named
	if err != nil {
		return w, fmt.Errorf("cannot read the wish: %w", err)
	}
	defer file.Close() // only read from
	content, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return w, fmt.Errorf("cannot read %s: %w", path, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&w); err != nil && !errors.Is(err, io.EOF) {
		return w, fmt.Errorf("cannot understand %s: %w", path, err)
	}
	return w, nil
}

var (
	userName      = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,24}$`)
	interfaceName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$`)
)

// Validate checks the wish alone; its errors name the field.
func (w Wish) Validate() error {
	for _, f := range []struct{ name, path string }{{"instance_root", w.InstanceRoot}, {"software_root", w.SoftwareRoot}} {
		if !filepath.IsAbs(f.path) || filepath.Clean(f.path) == "/" {
			return fmt.Errorf("cannot format: %s is %q, want the absolute path of a folder", f.name, f.path)
		}
	}
	switch {
	case w.Partitions < 0 || w.Partitions > MaxPartitions:
		return fmt.Errorf("cannot format: partitions is %d, want 0 to %d", w.Partitions, MaxPartitions)
	case !userName.MatchString(w.UserPrefix):
		return fmt.Errorf("cannot format: user_prefix is %q, want 1 to 25 characters of a-z, 0-9, _ and -, beginning with a letter", w.UserPrefix)
	case !userName.MatchString(w.SoftwareUser):
		return fmt.Errorf("cannot format: software_user is %q, want 1 to 25 characters of a-z, 0-9, _ and -, beginning with a letter", w.SoftwareUser)
	case w.partitionsUser(w.SoftwareUser):
		return fmt.Errorf("cannot format: software_user is %q, which is the name of a partition's user; it has to be another, since it can change what all partitions run", w.SoftwareUser)
	case within(w.InstanceRoot, w.SoftwareRoot) || within(w.SoftwareRoot, w.InstanceRoot):
		return fmt.Errorf("cannot format: instance_root %s and software_root %s are within one another, and have different owners", w.InstanceRoot, w.SoftwareRoot)
	case !interfaceName.MatchString(w.Interface):
		return fmt.Errorf("cannot format: interface is %q, want a name such as lo or eth0", w.Interface)
	}
	_, err := w.addresses()
	return err
}

// partitionsUser tells whether a user is, or might become, that of a partition.
func (w Wish) partitionsUser(name string) bool {
	number, ok := strings.CutPrefix(name, w.UserPrefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// within tells whether a path is a folder or below it.
func within(path, folder string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}

// addresses are those of each partition, in their order.
func (w Wish) addresses() ([][]netip.Addr, error) {
	all := make([][]netip.Addr, w.Partitions)
	taken := map[netip.Addr]bool{}
	for _, family := range []struct {
		name  string
		words []string
		is    func(netip.Addr) bool
	}{{"ipv4", w.IPv4, netip.Addr.Is4}, {"ipv6", w.IPv6, func(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }}} {
		if len(family.words) == 0 {
			continue
		}
		list, err := addressesOf(family.name, family.words, w.Partitions)
		if err != nil {
			return nil, err
		}
		for i, a := range list {
			switch {
			case !family.is(a):
				return nil, fmt.Errorf("cannot format: %s has %s, which is of the other kind", family.name, a)
			case taken[a]:
				return nil, fmt.Errorf("cannot format: %s has %s twice", family.name, a)
			case a.IsUnspecified() || a.IsMulticast() || a.Zone() != "":
				return nil, fmt.Errorf("cannot format: %s has %s, which no partition can listen on", family.name, a)
			}
			taken[a] = true
			all[i] = append(all[i], a)
		}
	}
	return all, nil
}

// addressesOf are n addresses: of one network, or the first n of a list.
func addressesOf(name string, words []string, n int) ([]netip.Addr, error) {
	if len(words) == 1 && strings.Contains(words[0], "/") {
		network, err := netip.ParsePrefix(words[0])
		if err != nil {
			return nil, fmt.Errorf("cannot format: %s is %q, want a network such as 10.0.0.0/16", name, words[0])
		}
		list := make([]netip.Addr, 0, n)
		for a := network.Masked().Addr().Next(); len(list) < n; a = a.Next() {
			// The last address of an IPv4 network is that of all its machines.
			if !network.Contains(a) || a.Is4() && network.Bits() < 31 && !network.Contains(a.Next()) {
				return nil, fmt.Errorf("cannot format: %s is %s, which has fewer addresses than the %d partitions", name, network, n)
			}
			list = append(list, a)
		}
		return list, nil
	}
	if len(words) < n {
		return nil, fmt.Errorf("cannot format: %s has %d addresses, %d partitions want one each", name, len(words), n)
	}
	list := make([]netip.Addr, 0, n)
	for _, word := range words[:n] {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("cannot format: %s has %q, want an IP address, or one network alone", name, word)
		}
		list = append(list, a)
	}
	return list, nil
}
