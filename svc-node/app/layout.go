package app

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-node/internal/format"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/release"
)

// computer is what the machine is as a computer: its partitions, as formatted or else as configured.
type computer struct {
	cfg  Config
	root *partition.Root

	mu        sync.Mutex // never held while a file is read
	formatted bool
}

// newComputer reads the layout of the instance root. own is who the partitions' processes are told to be without one.
func newComputer(cfg Config, own string) (*computer, error) {
	c := &computer{cfg: cfg, root: partition.NewRoot(cfg.InstanceRoot, privilege.Own(own))}
	layout, err := c.layout()
	if err != nil {
		return nil, err
	}
	if layout == nil && cfg.Formatted {
		return nil, fmt.Errorf("cannot start: %s is not formatted, so partitions have no users; run `vow node format`", cfg.InstanceRoot)
	}
	return c, nil
}

// layout reads the layout, if there is one, and gives the partitions to their users.
func (c *computer) layout() (*format.Layout, error) {
	layout, err := format.Read(c.cfg.InstanceRoot)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	was := c.formatted
	c.formatted = was || layout != nil
	c.mu.Unlock()
	if layout == nil {
		if was { // what runs goes on as who it is
			return nil, fmt.Errorf("cannot tell whose the partitions are: %s/%s is gone", c.cfg.InstanceRoot, format.FileName)
		}
		return nil, nil //nolint:nilnil // never formatted is an answer
	}
	users, err := layout.Users(os.Getuid())
	if err != nil {
		return nil, err
	}
	c.root.Use(users)
	return layout, nil
}

// pythonDirectory is where the Python hosts' program is kept. Where partitions have users some of them execute it.
func (c *computer) pythonDirectory() string {
	if c.formatted && os.Getuid() == 0 {
		return filepath.Join(c.cfg.InstanceRoot, ".vow-python")
	}
	return filepath.Join(c.cfg.StateDir, "python")
}

// releases is the software root. Where root formatted the computer everything in it is done as the software user.
func (c *computer) releases() (*release.Root, error) {
	settings := c.cfg.releases()
	if os.Getuid() == 0 {
		settings.User = c.softwareUser
	}
	return release.NewRoot(c.cfg.SoftwareRoot, settings)
}

// softwareUser is who installs software releases: root never does where partitions have users.
func (c *computer) softwareUser() (privilege.User, error) {
	layout, err := format.Read(c.cfg.InstanceRoot)
	if err != nil {
		return privilege.User{}, err
	}
	c.mu.Lock()
	formatted := c.formatted
	c.mu.Unlock()
	switch {
	case layout != nil:
		return layout.SoftwareUser(os.Getuid())
	case formatted:
		return privilege.User{}, fmt.Errorf("cannot tell whose the software releases are: %s/%s is gone", c.cfg.InstanceRoot, format.FileName)
	}
	return privilege.User{}, nil
}

// registration is what svc-master is told of the computer.
func (c *computer) registration() (*masterv1.RegisterComputerRequest, error) {
	r := &masterv1.RegisterComputerRequest{
		Computer: c.cfg.Computer, Periodicity: durationpb.New(c.cfg.Periodicity), Cpus: uint32(c.cfg.slots()), Capacity: capacity(c.cfg.InstanceRoot), //nolint:gosec // at most 4096
	}
	layout, err := c.layout()
	if err != nil {
		return nil, err
	}
	if layout == nil {
		for i := range c.cfg.Partitions {
			r.Partitions = append(r.Partitions, &masterv1.Partition{Name: fmt.Sprintf("%s%d", format.PartitionPrefix, i), Addresses: c.cfg.PartitionAddress})
		}
		return r, nil
	}
	for _, p := range layout.Partitions {
		r.Partitions = append(r.Partitions, &masterv1.Partition{Name: p.Name, Addresses: p.Addresses})
	}
	return r, nil
}

// capacity is what the machine has: what cannot be measured is not told.
func capacity(instanceRoot string) *masterv1.Capacity {
	c := &masterv1.Capacity{}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		c.MemoryBytes = info.Totalram * uint64(info.Unit)
	}
	var disk unix.Statfs_t
	if unix.Statfs(instanceRoot, &disk) == nil {
		c.DiskBytes = disk.Blocks * uint64(disk.Bsize) //nolint:gosec // the size of a block is none below 0
	}
	return c
}

// Registration is what an agent with this configuration would register. It is how a person registers a computer by hand.
func Registration(cfg Config) (*masterv1.RegisterComputerRequest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c, err := newComputer(cfg, "")
	if err != nil {
		return nil, err
	}
	return c.registration()
}
