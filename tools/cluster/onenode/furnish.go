package onenode

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// nodeName is the node, nodeAddress where its programs are reached, and the gateway that leads nowhere: no packet leaves this machine.
	nodeName    = "one"
	nodeAddress = "172.31.0.2"
	gateway     = "172.31.0.1"

	pods       = "10.244.0.0/24"
	services   = "10.96.0.0/16"
	dnsAddress = "10.96.0.10"
	domain     = "cluster.local"

	// run is ours alone: a file system in memory, over what the machine has there.
	run = "/run"
	// volumes are the folders behind the persistent volumes.
	volumes = run + "/volumes"
)

// kernelSettings are what a kubelet sets for the whole machine, which is not ours. It sees that they are as it wants them.
var kernelSettings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1", "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// furnish makes the inside of the namespaces what a node's programs expect; work is our folder.
func furnish(work string) error {
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
	for name, value := range kernelSettings {
		file := filepath.Join(run, strings.ReplaceAll(name, "/", "."))
		if err := errors.Join(os.WriteFile(file, []byte(value+"\n"), 0o644), syscall.Mount(file, "/proc/sys/"+name, "", syscall.MS_BIND, "")); err != nil {
			return fmt.Errorf("cannot cover the kernel's %s: %w", name, err)
		}
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Join(work, "volumes"), 0o755), os.Mkdir(volumes, 0o755), syscall.Mount(filepath.Join(work, "volumes"), volumes, "", syscall.MS_BIND, ""),
		// What a kubelet mounts, its containers must see.
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""),
		syscall.Sethostname([]byte(nodeName)),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644),
	); err != nil {
		return err
	}
	for _, line := range []string{
		"link set lo up", "link add node0 type veth peer name nowhere", "link set nowhere up", "address add " + nodeAddress + "/24 dev node0", "link set node0 up", "route add default via " + gateway,
	} {
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
