package kube

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
)

// Machine is what the first process of a machine's namespaces is told: who it is, and where things are. Work outlives it, as a disk does.
type Machine struct {
	Name, Address string
	// Pods is the range of its pods, Others those of other machines and where they are.
	Pods   string
	Others map[string]string
	// Programs, Images, Aliases are as in Config; Work and Logs its own folders; Credential where kubeconfigs are; Enforcer the token of who enforces policies.
	Programs, Images, Work, Logs, Credential, Enforcer string
	Aliases                                            map[string]string
}

// uplink is a machine's end of the cable to the bridge, which has the machine's name on the other.
const uplink = "up0"

//go:embed kubelet.yaml
var kubeletConfiguration string

//go:embed containerd.toml
var containerdConfiguration string

//go:embed network.json
var networkConfiguration string

//go:embed proxy.yaml
var proxyConfiguration string

// told runs what its parent describes on standard input, and says why it ended.
func told[T any](do func(context.Context, T) error) int {
	var what T
	err := json.NewDecoder(os.Stdin).Decode(&what)
	if err == nil {
		err = do(context.Background(), what)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// machine is one machine, from within: containers, kubelet, proxy and who enforces policies. It returns when one of them ends, which none should.
func machine(ctx context.Context, m Machine) error {
	if err := errors.Join(furnish(), furnishMachine(m)); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(m.Work, name) }
	kubeconfig := func(user string) string { return filepath.Join(m.Credential, user) }
	fill := strings.NewReplacer("{work}", m.Work, "{run}", run, "{pods}", m.Pods, "{allPods}", allPods, "{dns}", dnsAddress, "{domain}", domain, "{kubeconfig}", kubeconfig("proxy"), "{node}", m.Name)
	p := programs{logs: m.Logs, ended: make(chan error, 16)}
	if err := errors.Join(
		os.MkdirAll(at("cni"), 0o755), os.WriteFile(at("cni/10-pods.conf"), []byte(fill.Replace(networkConfiguration)), 0o644),
		os.WriteFile(at("containerd.toml"), []byte(fill.Replace(containerdConfiguration)), 0o644),
		os.WriteFile(at("kubelet.yaml"), []byte(fill.Replace(kubeletConfiguration)), 0o644),
		os.WriteFile(at("proxy.yaml"), []byte(fill.Replace(proxyConfiguration)), 0o644),
		os.WriteFile(at("resolv.conf"), nil, 0o644), // no name is asked outside
		p.start(ctx, "containerd", "--config", at("containerd.toml")),
	); err != nil {
		return err
	}
	if err := m.load(ctx); err != nil {
		return err
	}
	enforcer, err := m.enforcer(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(
		p.run(ctx, "enforcer", enforcer),
		p.start(ctx, filepath.Join(m.Programs, "kubelet"), "--config="+at("kubelet.yaml"), "--kubeconfig="+kubeconfig(m.Name), "--root-dir="+at("kubelet"), "--cert-dir="+at("kubelet-certificate"),
			"--hostname-override="+m.Name, "--node-ip="+m.Address),
		p.start(ctx, filepath.Join(m.Programs, "kube-proxy"), "--config="+at("proxy.yaml")),
	); err != nil {
		return err
	}
	return <-p.ended
}

// load hands the archives to containerd, unless it has them since it last ran, and gives images the names that manifests have for them.
func (m Machine) load(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := api.Await(ready, "containerd", func() (bool, error) {
		err := containers(ready, "version")
		return err == nil, err
	}); err != nil {
		return err
	}
	loaded := filepath.Join(m.Work, "loaded")
	if _, err := os.Stat(loaded); err == nil {
		return nil
	}
	archives, err := filepath.Glob(filepath.Join(m.Images, "*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := containers(ctx, "image", "import", archive); err != nil {
			return err
		}
	}
	for alias, name := range m.Aliases {
		if err := containers(ctx, "image", "tag", name, alias); err != nil {
			return err
		}
	}
	return os.WriteFile(loaded, nil, 0o644)
}

// containers runs ctr in the namespace of the kubelet's containers.
func containers(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", run + "/containerd/containerd.sock", "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot ctr %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// boot starts a machine: its namespaces, its cgroups, its cable. It is Ready later.
func (c *Cluster) boot(ctx context.Context, m Machine) error {
	if err := os.MkdirAll(m.Logs, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(m.Logs, "machine.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	command := isolated(ctx, stageMachine)
	command.Stdout, command.Stderr = log, log
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	began := time.Now().Truncate(time.Second) // as the API server's times are
	cgroup, err := enter(m.Name)
	if err != nil {
		return err
	}
	if err := errors.Join(command.Start(), cgroup.leave()); err != nil {
		return fmt.Errorf("cannot start the machine %s: %w", m.Name, err)
	}
	b := &booted{process: command.Process, since: began, over: make(chan struct{})}
	c.mutex.Lock()
	c.booted[m.Name] = b
	c.mutex.Unlock()
	go func() {
		err := command.Wait()
		err = errors.Join(err, cgroup.remove())
		if !b.killed.Load() && ctx.Err() == nil {
			c.ended <- fmt.Errorf("the machine %s ended: %w; its log is %s", m.Name, err, log.Name())
		}
		close(b.over)
	}()
	if err := ip(fmt.Sprintf("link add %s type veth peer name %s netns %d", m.Name, uplink, command.Process.Pid), "link set "+m.Name+" master "+bridge+" up"); err != nil {
		return err
	}
	// It waits for this before it looks for its cable.
	return errors.Join(json.NewEncoder(stdin).Encode(m), stdin.Close())
}

// Machines are the names of all, in order.
func (c *Cluster) Machines() (names []string) {
	for _, m := range c.machines {
		names = append(names, m.Name)
	}
	return names
}

// Containerd is where a machine's containerd listens, for programs in the place of what decides.
func (c *Cluster) Containerd(name string) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return fmt.Sprintf("/proc/%d/root%s/containerd/containerd.sock", c.booted[name].process.Pid, run)
}

// Kill ends a machine as a loss of its power does: every process on it is killed -9 at once.
func (c *Cluster) Kill(ctx context.Context, name string) error {
	c.mutex.Lock()
	b := c.booted[name]
	c.mutex.Unlock()
	b.killed.Store(true)
	// Its kernel would go on answering for a while that nobody is there any more.
	if err := errors.Join(ip("link delete "+name), b.process.Signal(syscall.SIGKILL)); err != nil {
		return fmt.Errorf("cannot kill the machine %s: %w", name, err)
	}
	select {
	case <-b.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Boot starts a machine again that was killed, with the disk that it had.
func (c *Cluster) Boot(ctx context.Context, name string) error {
	at := slices.IndexFunc(c.machines, func(m Machine) bool { return m.Name == name })
	if err := c.boot(context.WithoutCancel(ctx), c.machines[at]); err != nil {
		return err
	}
	return c.awaitMachine(ctx, name)
}

// Link takes a machine's cable out, or puts it in again.
func (c *Cluster) Link(_ context.Context, name string, in bool) error {
	if in {
		return ip("link set " + name + " up")
	}
	return ip("link set " + name + " down")
}

// awaitMachine waits until a machine is Ready, and says so since it was started.
func (c *Cluster) awaitMachine(ctx context.Context, name string) error {
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.mutex.Lock()
	since := c.booted[name].since
	c.mutex.Unlock()
	return api.Await(ready, "the machine "+name, func() (bool, error) {
		var node struct {
			Status struct {
				Conditions []struct {
					Type, Status, Message string
					LastHeartbeatTime     time.Time
				}
			}
		}
		if err := c.Get(ready, "/api/v1/nodes/"+name, &node); err != nil {
			return false, err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" {
				return condition.Status == "True" && !condition.LastHeartbeatTime.Before(since), errors.New(condition.Message)
			}
		}
		return false, errors.New("it has no condition yet")
	})
}
