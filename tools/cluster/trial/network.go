package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// mayCall says which pods may call a port, or all ports of a workload: the sentences that the NetworkPolicies are written for. Whoever is not named may not.
var mayCall = map[string][]string{
	"svc-master 7711":             {"svc-master", "svc-scheduler", "svc-promise", "svc-node", "console", "caller"},
	"svc-scheduler 7712":          {"svc-node", "console", "svc-master"},
	"svc-promise 7713":            {"svc-node", "console", "svc-master"},
	"svc-master 7720":             {"prometheus"},
	"svc-scheduler 7720":          {"prometheus"},
	"svc-promise 7720":            {"prometheus"},
	"svc-node 7720":               {"prometheus"},
	"console 7720":                {"prometheus"},
	"redis 6379":                  {"svc-master", "svc-scheduler", "svc-promise"},
	"redis-redis-ha-server 6379":  {"svc-master", "svc-scheduler", "svc-promise", "redis-redis-ha-server"},
	"redis-redis-ha-server 26379": {"svc-master", "svc-scheduler", "svc-promise", "redis-redis-ha-server"},
	"collector":                   {"svc-master", "svc-scheduler", "svc-promise", "svc-node", "console", "prometheus"},
	"jaeger":                      {"collector", "grafana"},
	"prometheus":                  {"grafana"},
	"pyroscope":                   {"svc-master", "svc-scheduler", "svc-promise", "svc-node", "console", "grafana"},
}

// foreigner is a pod of another namespace that calls itself console.
const foreigner = "foreigner"

// dialTimeout bounds a connection that is to tell whether it may be.
const dialTimeout = 3 * time.Second

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// dialFrom connects from the network of a process, as one of its pod would.
func dialFrom(pid int) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			// The thread is in that network from here on, and ends with this goroutine.
			runtime.LockOSThread()
			var inside *os.File
			if inside, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
				return
			}
			defer inside.Close()
			if err = unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET); err == nil {
				conn, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
			}
		}()
		<-done
		return conn, err
	}
}

// clientFrom calls over connections of a dialer.
func clientFrom(dial dialer) *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{DialContext: dial}}
}

// callers is a client that calls from the pods of callers, in turn.
func (t *Trial) callers(ctx context.Context) (*http.Client, error) {
	var turn atomic.Int64
	if _, err := t.callerPIDs(ctx); err != nil {
		return nil, err
	}
	return clientFrom(func(ctx context.Context, network, address string) (net.Conn, error) {
		// They have new processes when their machine has started again.
		pids, err := t.callerPIDs(ctx)
		if err != nil {
			return nil, err
		}
		return dialFrom(pids[int(turn.Add(1))%len(pids)])(ctx, network, address)
	}), nil
}

// callerPIDs is a process of each caller whose machine runs.
func (t *Trial) callerPIDs(ctx context.Context) (pids []int, err error) {
	pods, err := t.podsIn(ctx, "callers", "caller")
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if all, err := processes(p); err == nil {
			pids = append(pids, all[0])
		}
	}
	if len(pids) == 0 {
		return nil, errors.New("cannot call: there is no caller")
	}
	return pids, nil
}

// policies lets callers and strangers in, and tries every port of every pod from a pod of each kind: who may call does, everybody else is refused. Then it does without policies for a moment: all of them come through, which
// says that it was the policies that refused.
func (t *Trial) policies(ctx context.Context) (string, error) {
	objects, err := manifest.Build(t.Root, "tools/cluster/trial/callers")
	if err != nil {
		return "", err
	}
	for _, o := range objects {
		if err := t.Apply(ctx, o, false); err != nil {
			return "", fmt.Errorf("cannot apply %s: %w", o, err)
		}
	}
	var saw string
	try := func(what string, may func(from, to string, port int) bool) error {
		return api.Await(ctx, what, func() (yes bool, err error) {
			saw, err = t.matrix(ctx, may)
			return err == nil, err
		})
	}
	if err := try("the policies to hold", allowed); err != nil {
		return "", err
	}
	with := saw
	list := append(slices.Clone(t.Objects), objects...)
	list = slices.DeleteFunc(list, func(o manifest.Object) bool { return o.Kind != "NetworkPolicy" })
	for _, o := range list {
		if _, err := t.Ask(ctx, http.MethodDelete, "/apis/networking.k8s.io/v1/namespaces/vow/networkpolicies/"+o.Name, "", nil); err != nil {
			return "", err
		}
	}
	open := try("everybody to come through without policies", func(string, string, int) bool { return true })
	for _, o := range list {
		if err := t.Apply(ctx, o, false); err != nil {
			return "", errors.Join(open, err)
		}
	}
	return fmt.Sprintf("%d policies: %s; without them %s", len(list), with, saw), errors.Join(open, try("the policies to hold again", allowed))
}

// allowed says whether a pod may call a port of another.
func allowed(from, to string, port int) bool {
	return slices.Contains(mayCall[to+" "+strconv.Itoa(port)], from) || slices.Contains(mayCall[to], from)
}

// matrix connects to every port of every pod of vow from a pod of each name; may says what is to come of it.
func (t *Trial) matrix(ctx context.Context, may func(from, to string, port int) bool) (saw string, wrong error) {
	pods, err := t.pods(ctx, "")
	if err != nil {
		return "", err
	}
	others, err := t.podsIn(ctx, "callers", "")
	if err != nil {
		return "", err
	}
	type source struct {
		pod pod
		pid int
	}
	sources := map[string]source{}
	for n, p := range append(slices.Clone(pods), others...) {
		name := p.Metadata.Labels[label]
		if n >= len(pods) && name == "console" {
			name = foreigner
		}
		if !p.ready() {
			return "", fmt.Errorf("%s is not Ready", p.Metadata.Name)
		}
		pids, err := processes(p)
		if err != nil {
			return "", err
		}
		sources[name] = source{p, pids[0]}
	}
	for _, name := range []string{"caller", foreigner, "stranger"} {
		if sources[name].pid == 0 {
			return "", fmt.Errorf("there is no %s", name)
		}
	}
	through, refused := 0, 0
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		from := sources[name]
		for _, to := range pods {
			if to.Metadata.UID == from.pod.Metadata.UID {
				continue
			}
			for _, container := range to.Spec.Containers {
				for _, port := range container.Ports {
					target := to.Metadata.Labels[label]
					conn, err := dialFrom(from.pid)(ctx, "tcp", net.JoinHostPort(to.Status.PodIP, strconv.Itoa(port.ContainerPort)))
					if err == nil {
						conn.Close()
						through++
					} else if errors.Is(err, syscall.EHOSTUNREACH) {
						refused++
					} else {
						return "", fmt.Errorf("cannot tell whether %s may call %s at %d: %w", name, target, port.ContainerPort, err)
					}
					if want := may(name, target, port.ContainerPort); want != (err == nil) {
						wrong = errors.Join(wrong, fmt.Errorf("%s calls %s at %d: %t, want %t", name, target, port.ContainerPort, err == nil, want))
					}
				}
			}
		}
	}
	return fmt.Sprintf("of %d connections %d came through and %d were refused", through+refused, through, refused), wrong
}
