package kube

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// network is what joins machines, bridge the one in the middle, where the API server is at serverAddress; it leads nowhere: no packet leaves this machine.
	bridge        = "machines"
	serverAddress = "172.31.0.1"
	networkBits   = "/24"

	allPods    = "10.244.0.0/16"
	services   = "10.96.0.0/16"
	dnsAddress = "10.96.0.10"
	domain     = "cluster.local"

	// run is ours alone: a file system in memory, over what the machine has there.
	run = "/run"
	// volumes are the folders behind the persistent volumes of a machine, volumesEach how many it has.
	volumes     = run + "/volumes"
	volumesEach = 6
)

// kernelSettings are what a kubelet sets for the whole machine, which is not ours. It sees that they are as it wants them.
var kernelSettings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1", "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// furnish makes namespaces what programs of Kubernetes expect.
func furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot keep mounts to ourselves: %w", err)
	}
	hierarchies, err := ours()
	if err != nil {
		return err
	}
	for _, m := range []struct{ what, at, kind string }{
		{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"tmpfs", cgroups, "tmpfs"}, {"tmpfs", run, "tmpfs"}, {"tmpfs", "/var/log", "tmpfs"}, {"tmpfs", "/var/lib/cni", "tmpfs"}, {"mqueue", "/dev/mqueue", "mqueue"},
	} {
		if _, err := os.Stat(m.at); err != nil {
			continue // what the machine does not have, nobody writes to
		}
		if err := syscall.Mount(m.what, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.at, err)
		}
	}
	for _, h := range hierarchies {
		at := filepath.Join(cgroups, strings.TrimPrefix(h, "name="))
		options := h
		if strings.HasPrefix(h, "name=") {
			options = "none," + h
		}
		if err := errors.Join(os.Mkdir(at, 0o755), syscall.Mount("cgroup", at, "cgroup", 0, options)); err != nil {
			return fmt.Errorf("cannot mount the cgroups of %s: %w", h, err)
		}
	}
	return ip("link set lo up")
}

// furnishMachine makes what a kubelet expects beyond: settings of the kernel, the folders of volumes, the way to other machines and their pods.
func furnishMachine(m Machine) error {
	for name, value := range kernelSettings {
		file := filepath.Join(run, strings.ReplaceAll(name, "/", "."))
		if err := errors.Join(os.WriteFile(file, []byte(value+"\n"), 0o644), syscall.Mount(file, "/proc/sys/"+name, "", syscall.MS_BIND, "")); err != nil {
			return fmt.Errorf("cannot cover the kernel's %s: %w", name, err)
		}
	}
	kept := filepath.Join(m.Work, "volumes")
	for n := range volumesEach {
		if err := os.MkdirAll(filepath.Join(kept, strconv.Itoa(n)), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(
		os.Mkdir(volumes, 0o755), syscall.Mount(kept, volumes, "", syscall.MS_BIND, ""),
		// What a kubelet mounts, its containers must see.
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""),
		syscall.Sethostname([]byte(m.Name)),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644),
		// Whoever is refused is told so each time, and not once a second.
		os.WriteFile("/proc/sys/net/ipv4/icmp_ratemask", []byte("0"), 0o644),
	); err != nil {
		return err
	}
	lines := []string{"address add " + m.Address + networkBits + " dev " + uplink, "link set " + uplink + " up", "route add default via " + serverAddress}
	for pods, address := range m.Others {
		lines = append(lines, "route add "+pods+" via "+address)
	}
	return ip(lines...)
}

// ip changes the network of the namespace that this process is in.
func ip(lines ...string) error {
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}

// ours are the hierarchies of version 1 that this process is in: names of controllers, or name=NAME.
func ours() ([]string, error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(memberships)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && fields[1] != "" {
			all = append(all, fields[1])
		}
	}
	return all, nil
}
