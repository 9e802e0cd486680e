package onenode

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// startTimeout bounds how long one program may take until it serves; 10 s on two idle cores.
const startTimeout = 3 * time.Minute

// Config says where things are.
type Config struct {
	// Root is the repository; Programs the folder of kube-apiserver and its siblings; Images the folder of archives as docker load reads them.
	Root, Programs, Images string
	// Work is a folder for this run alone, Logs where programs write.
	Work, Logs string
	// Aliases are further names of images: from what manifests say to what the archive says.
	Aliases map[string]string
	// Say tells people how far it is.
	Say func(format string, args ...any)
}

// Node is a running Kubernetes of one node.
type Node struct {
	*api.Client
	// Kubeconfig is a file for kubectl.
	Kubeconfig string
	config     Config
	credential string // folder
	ended      chan error
}

// Start makes the namespaces that it is called in a node. All of it ends with them; the channel that Ended returns tells what ended before.
func Start(ctx context.Context, c Config) (*Node, error) {
	if err := furnish(c.Work); err != nil {
		return nil, err
	}
	n := &Node{config: c, credential: filepath.Join(c.Work, "credential"), ended: make(chan error, 16)}
	n.Kubeconfig = filepath.Join(n.credential, "admin")
	if err := errors.Join(os.MkdirAll(n.credential, 0o700), os.MkdirAll(c.Logs, 0o755)); err != nil {
		return nil, err
	}
	token, err := credentials(n.credential)
	if err != nil {
		return nil, err
	}
	n.Client = api.New(server, token, "vow")
	for _, step := range []func(context.Context) error{n.control, n.machine, n.system} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Ended tells of programs of the node that ended, which none should.
func (n *Node) Ended() <-chan error { return n.ended }

// control starts what decides: store, API server, controllers, scheduler.
func (n *Node) control(ctx context.Context) error {
	key := filepath.Join(n.credential, "service-account.pem")
	if err := errors.Join(
		n.start(ctx, "etcd", "--data-dir", run+"/etcd", "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380"),
		n.start(ctx, n.program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--bind-address="+nodeAddress, "--advertise-address="+nodeAddress, "--secure-port=6443",
			"--cert-dir="+n.credential, "--kubelet-preferred-address-types=InternalIP", "--service-cluster-ip-range="+services, "--service-account-issuer=https://kubernetes.default.svc."+domain,
			"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--token-auth-file="+filepath.Join(n.credential, "tokens.csv"), "--authorization-mode=Node,RBAC"),
	); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := n.Ready(ready); err != nil {
		return err
	}
	n.config.Say("API server and etcd serve")
	return errors.Join(
		n.start(ctx, n.program("kube-controller-manager"), "--kubeconfig="+n.kubeconfig("controller-manager"), "--use-service-account-credentials", "--leader-elect=false",
			"--service-account-private-key-file="+key, "--root-ca-file="+filepath.Join(n.credential, "apiserver.crt"), "--cert-dir="+filepath.Join(n.config.Work, "controller-manager")),
		n.start(ctx, n.program("kube-scheduler"), "--kubeconfig="+n.kubeconfig("scheduler"), "--leader-elect=false", "--cert-dir="+filepath.Join(n.config.Work, "scheduler")),
	)
}

//go:embed kubelet.yaml
var kubeletConfiguration string

//go:embed containerd.toml
var containerdConfiguration string

//go:embed network.json
var networkConfiguration string

//go:embed proxy.yaml
var proxyConfiguration string

// machine starts what carries out: containers, kubelet, proxy.
func (n *Node) machine(ctx context.Context) error {
	fill := strings.NewReplacer("{work}", n.config.Work, "{run}", run, "{pods}", pods, "{dns}", dnsAddress, "{domain}", domain, "{kubeconfig}", n.kubeconfig("proxy"), "{node}", nodeName)
	at := func(name string) string { return filepath.Join(n.config.Work, name) }
	if err := errors.Join(
		os.MkdirAll(at("cni"), 0o755), os.WriteFile(at("cni/10-pods.conf"), []byte(fill.Replace(networkConfiguration)), 0o644),
		os.WriteFile(at("containerd.toml"), []byte(fill.Replace(containerdConfiguration)), 0o644),
		os.WriteFile(at("kubelet.yaml"), []byte(fill.Replace(kubeletConfiguration)), 0o644),
		os.WriteFile(at("proxy.yaml"), []byte(fill.Replace(proxyConfiguration)), 0o644),
		os.WriteFile(at("resolv.conf"), nil, 0o644), // no name is asked outside
		n.start(ctx, "containerd", "--config", at("containerd.toml")),
	); err != nil {
		return err
	}
	if err := n.load(ctx); err != nil {
		return err
	}
	if err := errors.Join(
		n.start(ctx, n.program("kubelet"), "--config="+at("kubelet.yaml"), "--kubeconfig="+n.kubeconfig("kubelet"), "--root-dir="+at("kubelet"), "--cert-dir="+at("kubelet-certificate"),
			"--hostname-override="+nodeName, "--node-ip="+nodeAddress),
		n.start(ctx, n.program("kube-proxy"), "--config="+at("proxy.yaml")),
	); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := api.Await(ready, "the node", func() (bool, error) {
		var node struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := n.Get(ready, "/api/v1/nodes/"+nodeName, &node); err != nil {
			return false, err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" {
				return c.Status == "True", errors.New(c.Message)
			}
		}
		return false, errors.New("it has no condition yet")
	})
	if err == nil {
		n.config.Say("the node is Ready")
	}
	return err
}

// load hands the archives to containerd, and gives images the names that manifests have for them.
func (n *Node) load(ctx context.Context) error {
	archives, err := filepath.Glob(filepath.Join(n.config.Images, "*.tar"))
	if err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := api.Await(ready, "containerd", func() (bool, error) {
		err := containers(ready, "version")
		return err == nil, err
	}); err != nil {
		return err
	}
	for _, archive := range archives {
		if err := containers(ctx, "image", "import", archive); err != nil {
			return err
		}
	}
	for alias, name := range n.config.Aliases {
		if err := containers(ctx, "image", "tag", name, alias); err != nil {
			return err
		}
	}
	n.config.Say("containerd serves and has %d images", len(archives))
	return nil
}

// containers runs ctr in the namespace of the kubelet's containers.
func containers(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", run + "/containerd/containerd.sock", "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot ctr %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// system applies what every cluster has before ours comes: names, and volumes to be claimed.
func (n *Node) system(ctx context.Context) error {
	objects, err := manifest.Build(n.config.Root, "tools/cluster/onenode/system")
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Kind == "PersistentVolume" {
			if err := os.Mkdir(fmt.Sprint(o.At("spec", "local", "path")), 0o755); err != nil {
				return err
			}
		}
		if err := n.Apply(ctx, o, false); err != nil {
			return fmt.Errorf("cannot apply %s: %w", o, err)
		}
	}
	return nil
}

func (n *Node) program(name string) string { return filepath.Join(n.config.Programs, name) }

func (n *Node) kubeconfig(user string) string { return filepath.Join(n.credential, user) }

// start starts a program whose output goes to its log. It ends with the namespaces, and is killed with the context.
func (n *Node) start(ctx context.Context, program string, args ...string) error {
	name := filepath.Base(program)
	log, err := os.Create(filepath.Join(n.config.Logs, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		err := command.Wait()
		if ctx.Err() == nil {
			n.ended <- fmt.Errorf("%s ended: %w; its log is %s", name, err, log.Name())
		}
	}()
	return nil
}
