package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
)

const (
	// sentinels are the pods that have a Redis and a Sentinel each; announced is the address that the pod of a number announces, but for the number.
	sentinels = "redis-redis-ha-server"
	announced = "10.96.100."
	// enough is how many bangs must be acknowledged for callers to be served again.
	enough = 10
	// secondDrain is how long the drain of a second machine tries: it would take longer than pods take to end.
	secondDrain = 45 * time.Second
)

// apart looks that no machine has two of a workload that has no more pods than there are machines.
func (t *Trial) apart(ctx context.Context) (string, error) {
	var saw []string
	var wrong error
	for _, w := range t.workloads() {
		pods, err := t.pods(ctx, w.Name)
		if err != nil {
			return "", err
		}
		on := map[string]int{}
		for _, p := range pods {
			on[p.Spec.NodeName]++
			if on[p.Spec.NodeName] > 1 && len(pods) <= len(t.Machines.Machines()) {
				wrong = errors.Join(wrong, fmt.Errorf("%s has two pods on %s", w, p.Spec.NodeName))
			}
		}
		saw = append(saw, fmt.Sprintf("%s on %d", w.Name, len(on)))
	}
	return strings.Join(saw, ", "), wrong
}

// losePower kills the machine of Redis's master with everything on it, waits until the fleet does without, and starts it again.
func (t *Trial) losePower(ctx context.Context) (string, error) {
	return t.lose(ctx, t.Machines.Kill, t.Machines.Boot)
}

// loseCable takes the cable of the machine of Redis's master out, so that two masters are there until it is in again.
func (t *Trial) loseCable(ctx context.Context) (string, error) {
	return t.lose(ctx,
		func(ctx context.Context, name string) error { return t.Machines.Link(ctx, name, false) },
		func(ctx context.Context, name string) error { return t.Machines.Link(ctx, name, true) })
}

func (t *Trial) lose(ctx context.Context, lose, giveBack func(context.Context, string) error) (string, error) {
	was, err := t.master(ctx, "")
	if err != nil {
		return "", err
	}
	lost := was.Spec.NodeName
	t.Say("%s is lost, which has the master", lost)
	began := time.Now()
	var saw []string
	seen := func(what string) {
		saw = append(saw, fmt.Sprintf("%s after %.1f s", what, time.Since(began).Seconds()))
	}
	if err := lose(ctx, lost); err != nil {
		return "", err
	}
	without := t.doWithout(ctx, was, seen)
	if err := errors.Join(without, giveBack(ctx, lost)); err != nil {
		return "", err
	}
	began = time.Now()
	err = t.settled(ctx)
	if err == nil {
		seen("it is back and everything Ready")
		err = t.served(ctx, seen)
	}
	return lost + ": " + strings.Join(saw, ", "), err
}

// doWithout waits until there is another master, callers are served, the cluster knows of the loss, and nobody is sent to the lost machine.
func (t *Trial) doWithout(ctx context.Context, was pod, seen func(string)) error {
	lost := was.Spec.NodeName
	if err := api.Await(ctx, "another master", func() (bool, error) {
		now, err := t.master(ctx, lost)
		return err == nil && now.Metadata.Name != was.Metadata.Name, err
	}); err != nil {
		return err
	}
	seen("another master")
	if err := t.served(ctx, seen); err != nil {
		return err
	}
	for _, service := range []string{"svc-master", "svc-scheduler", "svc-promise"} {
		pods, err := t.pods(ctx, service)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.Spec.NodeName != lost {
				continue
			}
			if err := api.Await(ctx, p.Metadata.Name+" to lose its endpoint", func() (bool, error) { return t.serving(ctx, service, p.Status.PodIP, false) }); err != nil {
				return err
			}
		}
	}
	seen("no endpoint there")
	return nil
}

// served waits until some bangs more are acknowledged.
func (t *Trial) served(ctx context.Context, seen func(string)) error {
	want := t.bangs.answered.Load() + enough
	err := api.Await(ctx, "bangs to be acknowledged", func() (bool, error) {
		now := t.bangs.answered.Load()
		return now >= want, fmt.Errorf("%d more are wanted", want-now)
	})
	seen(fmt.Sprintf("%d bangs acknowledged", enough))
	return err
}

// master is the pod that Sentinels say is the master of Redis, as all of those say that are not on one machine.
func (t *Trial) master(ctx context.Context, but string) (pod, error) {
	pods, err := t.pods(ctx, sentinels)
	if err != nil {
		return pod{}, err
	}
	said := map[string]bool{}
	for _, p := range pods {
		if p.Spec.NodeName == but {
			continue
		}
		address, err := askSentinel(ctx, p)
		if err != nil {
			return pod{}, err
		}
		said[address] = true
	}
	for _, p := range pods {
		_, number, _ := strings.Cut(p.Metadata.Name, sentinels+"-")
		if len(said) == 1 && said[announced+number] {
			return p, nil
		}
	}
	return pod{}, fmt.Errorf("cannot tell the master of Redis: %d pods say that it is %v", len(pods), said)
}

// askSentinel asks the Sentinel of a pod from within.
func askSentinel(ctx context.Context, p pod) (string, error) {
	pids, err := processes(p)
	if err != nil {
		return "", err
	}
	conn, err := dialFrom(pids[0])(ctx, "tcp", "127.0.0.1:26379")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("SENTINEL get-master-addr-by-name vow\r\n")); err != nil {
		return "", err
	}
	// *2 $11 10.96.100.0 $4 6379, in lines
	lines := bufio.NewScanner(conn)
	for range 3 {
		if !lines.Scan() {
			return "", fmt.Errorf("the Sentinel of %s does not say who is master: %w", p.Metadata.Name, orDone(lines.Err()))
		}
	}
	return strings.TrimSpace(lines.Text()), nil
}

// drain drains a machine as people do, and then wants a second one while the first is empty: the budgets do not let it.
func (t *Trial) drain(ctx context.Context) (string, error) {
	machines := t.Machines.Machines()
	first, second := machines[0], machines[1]
	began := time.Now()
	said, err := t.kubectl(ctx, "drain", first, "--ignore-daemonsets", "--delete-emptydir-data")
	if err != nil {
		return "", fmt.Errorf("cannot drain %s: %w: %s", first, err, said)
	}
	took := time.Since(began)
	said, err = t.kubectl(ctx, "drain", second, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout="+secondDrain.String())
	var wrong error
	if err == nil || !strings.Contains(said, "violate the pod's disruption budget") {
		wrong = fmt.Errorf("the drain of %s was not refused by the budgets: %w: %s", second, orDone(err), said)
	}
	for _, w := range t.workloads() {
		pods, err := t.pods(ctx, w.Name)
		if err != nil {
			return "", err
		}
		ready := slices.DeleteFunc(slices.Clone(pods), func(p pod) bool { return !p.ready() })
		if replicas(w) == len(machines) && len(ready) < len(machines)-1 {
			wrong = errors.Join(wrong, fmt.Errorf("%s has %d Ready pods while two machines are drained", w, len(ready)))
		}
	}
	for _, name := range []string{first, second} {
		if said, err := t.kubectl(ctx, "uncordon", name); err != nil {
			return "", errors.Join(wrong, fmt.Errorf("cannot uncordon %s: %w: %s", name, err, said))
		}
	}
	began = time.Now()
	err = errors.Join(wrong, t.settled(ctx))
	return fmt.Sprintf("%s was empty after %.0f s, %s stayed as the budgets want, all Ready %.0f s after both were free again", first, took.Seconds(), second, time.Since(began).Seconds()), err
}

// kubectl runs it as people do, and returns all that it said.
func (t *Trial) kubectl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(t.Programs, "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+t.Kubeconfig)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
