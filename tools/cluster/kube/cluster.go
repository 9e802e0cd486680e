package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// startTimeout bounds how long one program may take until it serves, and a machine until it is Ready; 10 s on two idle cores.
const startTimeout = 3 * time.Minute

// Config says where things are.
type Config struct {
	// Root is the repository; Programs the folder of kube-apiserver and its siblings; Images the folder of archives as docker load reads them.
	Root, Programs, Images string
	// Work is a folder for this run alone, Logs where programs write.
	Work, Logs string
	// Machines is how many there are.
	Machines int
	// Aliases are further names of images: from what manifests say to what the archive says.
	Aliases map[string]string
	// Say tells people how far it is.
	Say func(format string, args ...any)
}

// Cluster is a running Kubernetes.
type Cluster struct {
	*api.Client
	// Kubeconfig is a file for kubectl.
	Kubeconfig string
	config     Config
	programs
	credential string // folder
	machines   []Machine

	mutex  sync.Mutex
	booted map[string]*booted
}

// booted is a machine since it was started.
type booted struct {
	process *os.Process // the first of its namespaces
	since   time.Time
	killed  atomic.Bool
	over    chan struct{} // closed when nothing of it is left
}

// Start makes the namespaces that it is called in the place of what decides, and a machine each in namespaces of their own. All of it ends with the first; the channel that Ended returns tells what ended before.
func Start(ctx context.Context, c Config) (*Cluster, error) {
	if err := furnish(); err != nil {
		return nil, err
	}
	if err := ip("link add "+bridge+" type bridge", "link set "+bridge+" up", "address add "+serverAddress+networkBits+" dev "+bridge); err != nil {
		return nil, err
	}
	k := &Cluster{config: c, programs: programs{logs: c.Logs, ended: make(chan error, 16)}, credential: filepath.Join(c.Work, "credential"), booted: map[string]*booted{}}
	k.Kubeconfig = filepath.Join(k.credential, "admin")
	// Programs that are not root come through Work to what is theirs.
	if err := errors.Join(os.MkdirAll(k.credential, 0o700), os.MkdirAll(c.Logs, 0o755)); err != nil {
		return nil, err
	}
	var names []string
	for n := range c.Machines {
		names = append(names, "machine-"+strconv.Itoa(n))
	}
	tokens, err := credentials(k.credential, names)
	if err != nil {
		return nil, err
	}
	for n, name := range names {
		m := Machine{
			Name: name, Address: address(n), Pods: podsOf(n), Others: map[string]string{}, Programs: c.Programs, Images: c.Images, Work: filepath.Join(c.Work, name), Logs: filepath.Join(c.Logs, name),
			Credential: k.credential, Enforcer: tokens["enforcer"], Aliases: c.Aliases,
		}
		for other := range names {
			if other == n {
				continue
			}
			m.Others[podsOf(other)] = address(other)
		}
		k.machines = append(k.machines, m)
		if err := ip("route add " + m.Pods + " via " + m.Address); err != nil {
			return nil, err
		}
	}
	k.Client = api.New(server, tokens["admin"], "vow")
	for _, step := range []func(context.Context) error{k.control, k.system, k.bootAll} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func address(machine int) string { return "172.31.0." + strconv.Itoa(machine+11) }

func podsOf(machine int) string { return "10.244." + strconv.Itoa(machine) + ".0/24" }

// Ended tells of programs and machines that ended, which none should.
func (c *Cluster) Ended() <-chan error { return c.ended }

// control starts what decides: store, API server, controllers, scheduler.
func (c *Cluster) control(ctx context.Context) error {
	key := filepath.Join(c.credential, "service-account.pem")
	if err := errors.Join(
		c.start(ctx, "etcd", "--data-dir", run+"/etcd", "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380"),
		c.start(ctx, c.program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--bind-address="+serverAddress, "--advertise-address="+serverAddress, "--secure-port=6443",
			"--cert-dir="+c.credential, "--kubelet-preferred-address-types=InternalIP", "--service-cluster-ip-range="+services, "--service-account-issuer=https://kubernetes.default.svc."+domain,
			"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--token-auth-file="+filepath.Join(c.credential, "tokens.csv"), "--authorization-mode=Node,RBAC"),
	); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.Ready(ready); err != nil {
		return err
	}
	c.config.Say("API server and etcd serve")
	return errors.Join(
		c.start(ctx, c.program("kube-controller-manager"), "--kubeconfig="+c.kubeconfig("controller-manager"), "--use-service-account-credentials", "--leader-elect=false",
			"--service-account-private-key-file="+key, "--root-ca-file="+filepath.Join(c.credential, "apiserver.crt"), "--cert-dir="+filepath.Join(c.config.Work, "controller-manager")),
		c.start(ctx, c.program("kube-scheduler"), "--kubeconfig="+c.kubeconfig("scheduler"), "--leader-elect=false", "--cert-dir="+filepath.Join(c.config.Work, "scheduler")),
	)
}

// bootAll starts the machines, and waits until all are Ready.
func (c *Cluster) bootAll(ctx context.Context) error {
	for _, m := range c.machines {
		if err := c.boot(ctx, m); err != nil {
			return err
		}
	}
	for _, m := range c.machines {
		if err := c.awaitMachine(ctx, m.Name); err != nil {
			return err
		}
	}
	c.config.Say("%d machines are Ready", len(c.machines))
	return nil
}

// system applies what every cluster has before ours comes: names, volumes to be claimed, the rights of who enforces policies.
func (c *Cluster) system(ctx context.Context) error {
	objects, err := manifest.Build(c.config.Root, "tools/cluster/kube/system")
	if err != nil {
		return err
	}
	for _, m := range c.machines {
		for n := range volumesEach {
			volume, err := m.volume(n)
			if err != nil {
				return err
			}
			objects = append(objects, volume)
		}
	}
	for _, o := range objects {
		if err := c.Apply(ctx, o, false); err != nil {
			return fmt.Errorf("cannot apply %s: %w", o, err)
		}
	}
	return nil
}

// volume is one of a machine, bound when a pod that claims one has its place. Of kind local, and not hostPath, so that a pod's fsGroup is given to it, as a provisioner's volumes are.
func (m Machine) volume(n int) (manifest.Object, error) {
	o := manifest.Object{APIVersion: "v1", Kind: "PersistentVolume", Name: m.Name + "-" + strconv.Itoa(n)}
	type list = []any
	type fields = map[string]any
	here := fields{"key": "kubernetes.io/hostname", "operator": "In", "values": list{m.Name}}
	yaml, err := json.Marshal(fields{ // which is YAML too
		"apiVersion": o.APIVersion, "kind": o.Kind, "metadata": fields{"name": o.Name},
		"spec": fields{
			"capacity": fields{"storage": "10Gi"}, "accessModes": list{"ReadWriteOnce"}, "storageClassName": "local", "persistentVolumeReclaimPolicy": "Retain",
			"local":        fields{"path": filepath.Join(volumes, strconv.Itoa(n))},
			"nodeAffinity": fields{"required": fields{"nodeSelectorTerms": list{fields{"matchExpressions": list{here}}}}},
		},
	})
	o.YAML = yaml
	return o, err
}

func (c *Cluster) program(name string) string { return filepath.Join(c.config.Programs, name) }

func (c *Cluster) kubeconfig(user string) string { return filepath.Join(c.credential, user) }

// programs are those of one set of namespaces. They end with it.
type programs struct {
	logs  string
	ended chan error
}

// start starts a program whose output goes to its log. It is killed with the context.
func (p programs) start(ctx context.Context, program string, args ...string) error {
	return p.run(ctx, filepath.Base(program), exec.CommandContext(ctx, program, args...))
}

func (p programs) run(ctx context.Context, name string, command *exec.Cmd) error {
	log, err := os.OpenFile(filepath.Join(p.logs, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		err := command.Wait()
		if ctx.Err() == nil {
			p.ended <- fmt.Errorf("%s ended: %w; its log is %s", name, err, log.Name())
		}
	}()
	return nil
}
