// Command kubernetes does on a Kubernetes of one machine that it makes on this one, as root, what tilt ci does with the Tiltfile (tilt/k8s/dev), or runs tilt/k8s/ha on one of three, and looks whether the manifests keep their promises there (docs/cluster.md).
// It ends with 1 if one does not.
//
//	kubernetes [-root DIRECTORY] [-programs DIRECTORY] [-ha] [-stay]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/image"
	"github.com/vow-os/vow/tools/cluster/kube"
	"github.com/vow-os/vow/tools/cluster/manifest"
	"github.com/vow-os/vow/tools/cluster/session"
	"github.com/vow-os/vow/tools/cluster/tiltfile"
	"github.com/vow-os/vow/tools/cluster/trial"
)

var (
	root     = flag.String("root", ".", "the repository's root")
	programs = flag.String("programs", ".cache/kubernetes", "the folder of kube-apiserver and its siblings, kubectl and coredns")
	ha       = flag.Bool("ha", false, "run tilt/k8s/ha on three machines")
	stay     = flag.Bool("stay", false, "when all was tried, go on until Ctrl-C")
	limit    = flag.Duration("limit", 20*time.Minute, "how long all of it may take")
)

// workVariable tells the inside which folder the outside made.
const workVariable = "VOW_KUBERNETES_WORK"

// pidFile is where the first process of the namespaces is told.
func pidFile(work string) string { return filepath.Join(work, "pid") }

func main() {
	flag.Parse()
	for _, at := range []*string{root, programs} {
		absolute, err := filepath.Abs(*at)
		if err != nil {
			os.Exit(failed(err))
		}
		*at = absolute
	}
	os.Exit(kube.Stage(outside, inside))
}

var began = time.Now()

func say(format string, args ...any) {
	fmt.Printf("%5.0f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "kubernetes:", err)
	return 1
}

func outside() int {
	code, err := prepared()
	if err != nil {
		return failed(err)
	}
	return code
}

// prepared makes what can be made outside: the folder, which is removed again, the command that the smoke test uses, and the modules of what is compiled inside.
func prepared() (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getuid() != 0 {
		return 0, errors.New("cannot make namespaces and cgroups: run it as root")
	}
	for program, from := range map[string]string{"etcd": "etcd-server", "containerd": "containerd", "runc": "runc", "nft": "nftables", "ip": "iproute2", "/usr/lib/cni/ptp": "containernetworking-plugins"} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, fmt.Errorf("cannot run a node without %s (Debian: %s)", program, from)
		}
	}
	work, err := os.MkdirTemp("", "vow-kubernetes-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	build := exec.CommandContext(ctx, filepath.Join(*root, "tilt/scripts/local.sh"), "build", "./vow")
	build.Env = append(os.Environ(), "VOW_CLUSTER_DATA="+filepath.Join(work, "cluster"))
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	say("building vow")
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("cannot build vow: %w", err)
	}
	say("fetching what images are compiled from")
	if err := fetch(ctx); err != nil {
		return 0, err
	}
	if err := os.Setenv(workVariable, work); err != nil {
		return 0, err
	}
	return kube.Isolate(ctx, pidFile(work))
}

// fetch has the modules of our images' programs come to this machine's cache: inside there is no network.
func fetch(ctx context.Context) error {
	had := map[string]bool{}
	for _, s := range image.Specs() {
		for _, program := range s.Programs {
			module, _, _ := strings.Cut(program, "/cmd/")
			if had[module] {
				continue
			}
			had[module] = true
			list := exec.CommandContext(ctx, "go", "list", "-deps", "./cmd/...")
			list.Dir, list.Env = filepath.Join(*root, module), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
			if out, err := list.CombinedOutput(); err != nil {
				return fmt.Errorf("cannot fetch the modules of %s: %w: %s", module, err, out)
			}
		}
	}
	return nil
}

func inside() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	limited, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("the %s of -limit are over", *limit))
	defer cancel()
	t, err := tried(limited)
	if t != nil && *stay && ctx.Err() == nil {
		say("it stays until Ctrl-C: nsenter --target $(cat %s) --mount --net --pid --root, then KUBECONFIG=%s %s/kubectl --namespace vow get pods", pidFile(os.Getenv(workVariable)), t.Kubeconfig, *programs)
		<-ctx.Done()
	}
	if err != nil {
		return failed(err)
	}
	return 0
}

// tried starts the cluster, applies the manifests and tries them. The trial is there once the cluster is.
func tried(ctx context.Context) (*trial.Trial, error) {
	work := os.Getenv(workVariable)
	tilt, objects, machines, err := wanted()
	if err != nil {
		return nil, err
	}
	logs := filepath.Join(*programs, "log")
	if err := os.RemoveAll(logs); err != nil {
		return nil, err
	}
	archives := filepath.Join(work, "images")
	if err := os.Mkdir(archives, 0o755); err != nil {
		return nil, err
	}
	aliases, kept, err := kube.Pack(*root, *programs, archives, objects, *ha, say)
	if err != nil {
		return nil, err
	}
	cluster, err := kube.Start(ctx, kube.Config{
		Root: *root, Programs: *programs, Images: archives, Work: work, Logs: logs, Machines: machines, Aliases: aliases, Say: say,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-cluster.Ended():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	t := &trial.Trial{
		Client: cluster.Client, Machines: cluster, Kubeconfig: cluster.Kubeconfig, Root: *root, Programs: *programs, Data: filepath.Join(work, "cluster"), Objects: kept, Say: say,
	}
	if *ha {
		return t, t.RunHA(ctx)
	}
	o := session.Options{
		Resources: tilt.Local, Kubernetes: &session.Kubernetes{Client: cluster.Client, Resources: tilt.Kubernetes, Builds: tilt.Builds, Grace: tilt.GracePeriod},
		Logs: filepath.Join(logs, "tilt"), Grace: session.TiltGrace, Say: say,
	}
	t.Objects = nil
	for _, r := range tilt.Kubernetes {
		if slices.ContainsFunc(r.Objects, func(o manifest.Object) bool {
			return !slices.ContainsFunc(kept, func(k manifest.Object) bool { return k.String() == o.String() })
		}) {
			o.Without = append(o.Without, r.Name)
		} else {
			t.Objects = append(t.Objects, r.Objects...)
		}
	}
	t.Tilt = func(ctx context.Context) error { return session.Run(ctx, o) }
	if err := errors.Join(
		os.Mkdir(o.Logs, 0o755),
		// What the Tiltfile's commands find on a computer with a cluster: kubectl and where it is, and as root the containerd of the one node.
		os.Setenv("KUBECONFIG", cluster.Kubeconfig), os.Setenv("PATH", *programs+":"+os.Getenv("PATH")), os.Setenv("CONTAINERD_ADDRESS", cluster.Containerd(cluster.Machines()[0])),
		os.Setenv("VOW_CLUSTER_DATA", t.Data), os.Setenv("TMPDIR", work),
	); err != nil {
		return t, err
	}
	return t, t.RunDev(ctx)
}

// wanted are the objects to run, and on how many machines; and the Tiltfile, if it is Tilt that would run them.
func wanted() (tilt *tiltfile.Model, objects []manifest.Object, machines int, err error) {
	if !*ha {
		tilt, err = tiltfile.Evaluate(filepath.Join(*root, "Tiltfile"), tiltfile.World{Subcommand: "ci", Environment: tiltfile.Environment(), Context: kube.Context})
		if err != nil {
			return nil, nil, 0, err
		}
		for _, r := range tilt.Kubernetes {
			objects = append(objects, r.Objects...)
		}
		return tilt, objects, 1, nil
	}
	objects, err = manifest.Build(*root, "tilt/k8s/ha")
	if err != nil {
		return nil, nil, 0, err
	}
	redis, err := kube.Sentinels(*root)
	// What the namespace is comes first, then what everybody waits for.
	return nil, append(objects[:1:1], append(redis, objects[1:]...)...), 3, err
}
