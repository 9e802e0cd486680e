package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
)

// signal sends one to the first process of a Ready pod of that name.
func (t *Trial) signal(ctx context.Context, name string, signal syscall.Signal) (p pod, pid int, err error) {
	if p, err = t.one(ctx, name); err != nil {
		return p, 0, err
	}
	pids, err := processes(p)
	if err != nil {
		return p, 0, err
	}
	return p, pids[0], syscall.Kill(pids[0], signal)
}

// killProcesses kills the first process of a pod of each workload, one after the other, Redis and supervisors among them.
func (t *Trial) killProcesses(ctx context.Context) (string, error) {
	var saw []string
	for _, w := range t.workloads() {
		began := time.Now()
		p, _, err := t.signal(ctx, w.Name, syscall.SIGKILL)
		if err != nil {
			return "", err
		}
		if err := t.again(ctx, p); err != nil {
			return "", err
		}
		saw = append(saw, fmt.Sprintf("%s Ready after %.1f s", p.Metadata.Name, time.Since(began).Seconds()))
	}
	return strings.Join(saw, ", "), t.settled(ctx)
}

// roll restarts each workload as kubectl rollout restart does, and looks how the pods that go end.
func (t *Trial) roll(ctx context.Context) (string, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	ends, failed, err := t.watchEnds(watching)
	if err != nil {
		return "", err
	}
	gone := 0
	for _, w := range t.workloads() {
		t.Say("rolling %s", w)
		if err := t.Patch(ctx, path(w), fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))); err != nil {
			return "", err
		}
		if err := t.rolledOut(ctx, w); err != nil {
			return "", err
		}
		gone += replicas(w)
	}
	var saw []string
	var wrong error
	for range gone {
		var p pod
		select {
		case p = <-ends:
		case err := <-failed:
			return "", errors.Join(wrong, fmt.Errorf("cannot see %d pods end: saw %v: %w", gone, saw, err))
		case <-ctx.Done():
			return "", errors.Join(wrong, fmt.Errorf("cannot see %d pods end: saw %v", gone, saw))
		}
		name, end := p.Metadata.Name, p.Status.ContainerStatuses[0].State.Terminated
		// It counts from when it was asked to go; both times are whole seconds.
		took := end.FinishedAt.Sub(p.Metadata.DeletionTimestamp.Add(-time.Duration(p.Metadata.DeletionGracePeriodSeconds) * time.Second))
		saw = append(saw, fmt.Sprintf("%s with %d after %.0f s", name, end.ExitCode, took.Seconds()))
		if end.ExitCode != 0 {
			wrong = errors.Join(wrong, fmt.Errorf("%s ended with %d after %.0f s: %s", name, end.ExitCode, took.Seconds(), end.Message))
		}
		if t.pauses(p) && took < 4*time.Second {
			wrong = errors.Join(wrong, fmt.Errorf("%s ended %s after it was told to: there was no pause before", name, took))
		}
	}
	return "pods ended: " + strings.Join(saw, ", "), wrong
}

// pauses says whether a pod's manifest has a pause before SIGTERM.
func (t *Trial) pauses(p pod) bool {
	for _, w := range t.workloads() {
		if w.Name == p.Metadata.Labels[label] {
			return w.At("spec", "template", "spec", "containers", 0, "lifecycle", "preStop") != nil
		}
	}
	return false
}

// watchEnds tells of each pod whose container ended because the pod was to go, once; failed says why it cannot go on.
func (t *Trial) watchEnds(ctx context.Context) (_ <-chan pod, failed <-chan error, err error) {
	var now struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := t.Get(ctx, namespace+"/pods", &now); err != nil {
		return nil, nil, err
	}
	lines, err := t.Watch(ctx, namespace+"/pods?watch=true&resourceVersion="+now.Metadata.ResourceVersion)
	if err != nil {
		return nil, nil, err
	}
	ends := make(chan pod, 64) // more than pods there are
	over := make(chan error, 1)
	go func() {
		defer lines.Close()
		seen := map[string]bool{}
		for scan := json.NewDecoder(bufio.NewReader(lines)); ; {
			var event struct {
				Type   string
				Object json.RawMessage
			}
			if err := scan.Decode(&event); err != nil {
				over <- fmt.Errorf("the watch ended: %w", err) // also when the check is over
				return
			}
			var p pod
			if err := json.Unmarshal(event.Object, &p); err != nil {
				over <- fmt.Errorf("the watch says %s %s: %w", event.Type, event.Object, err)
				return
			}
			if p.Metadata.DeletionTimestamp == nil || seen[p.Metadata.UID] || len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].State.Terminated == nil {
				continue
			}
			seen[p.Metadata.UID] = true
			ends <- p
		}
	}()
	return ends, over, nil
}

// evict takes one pod of svc-master away, as the drain of a machine does, and then wants the next while the first is missing.
func (t *Trial) evict(ctx context.Context) (string, error) {
	// Redis was rolled just now, without which nobody is Ready.
	if err := api.Await(ctx, "the budget to allow an eviction", func() (bool, error) {
		var budget struct {
			Status struct{ DisruptionsAllowed int }
		}
		err := t.Get(ctx, "/apis/policy/v1/namespaces/vow/poddisruptionbudgets/svc-master", &budget)
		return budget.Status.DisruptionsAllowed == 1, err
	}); err != nil {
		return "", err
	}
	pods, err := t.pods(ctx, "svc-master")
	if err != nil {
		return "", err
	}
	if len(pods) < 2 {
		return "", fmt.Errorf("cannot evict: svc-master has %d pods", len(pods))
	}
	if err := t.evictPod(ctx, pods[0].Metadata.Name); err != nil {
		return "", fmt.Errorf("the first eviction was refused: %w", err)
	}
	err = t.evictPod(ctx, pods[1].Metadata.Name)
	if !api.IsStatus(err, http.StatusTooManyRequests) {
		return "", fmt.Errorf("the second eviction was not refused by the budget: %w", orDone(err))
	}
	return strings.TrimSpace(err.Error()), t.settled(ctx)
}

// unready stops a process of svc-promise for a while: its endpoint goes, and comes back when it goes on.
func (t *Trial) unready(ctx context.Context) (string, error) {
	began := time.Now()
	p, pid, err := t.signal(ctx, "svc-promise", syscall.SIGSTOP)
	if err != nil {
		return "", err
	}
	gone := api.Await(ctx, p.Metadata.Name+" to lose its endpoint", func() (bool, error) { return t.serving(ctx, "svc-promise", p.Status.PodIP, false) })
	took := time.Since(began)
	if err := errors.Join(gone, syscall.Kill(pid, syscall.SIGCONT)); err != nil {
		return "", err
	}
	began = time.Now()
	err = api.Await(ctx, p.Metadata.Name+" to have its endpoint again", func() (bool, error) { return t.serving(ctx, "svc-promise", p.Status.PodIP, true) })
	return fmt.Sprintf("%s lost its endpoint after %.1f s of SIGSTOP, and had it again %.1f s after SIGCONT", p.Metadata.Name, took.Seconds(), time.Since(began).Seconds()), err
}

// serving says whether an address is, or is not, one that a Service sends calls to.
func (t *Trial) serving(ctx context.Context, service, address string, want bool) (bool, error) {
	var list struct {
		Items []struct {
			Endpoints []struct {
				Addresses  []string
				Conditions struct{ Ready bool }
			}
		}
	}
	if err := t.Get(ctx, "/apis/discovery.k8s.io/v1/namespaces/vow/endpointslices?labelSelector=kubernetes.io/service-name%3D"+service, &list); err != nil {
		return false, err
	}
	ready := false
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			ready = ready || e.Conditions.Ready && e.Addresses[0] == address
		}
	}
	return ready == want, fmt.Errorf("serving: %t", ready)
}

// hang stops the console for good: it does not answer, so that its liveness probe ends it.
func (t *Trial) hang(ctx context.Context) (string, error) {
	began := time.Now()
	p, _, err := t.signal(ctx, "console", syscall.SIGSTOP)
	if err != nil {
		return "", err
	}
	err = t.again(ctx, p)
	return fmt.Sprintf("%s Ready again %.0f s after SIGSTOP", p.Metadata.Name, time.Since(began).Seconds()), err
}
