package trial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

const (
	namespace = "/api/v1/namespaces/vow"
	apps      = "/apis/apps/v1/namespaces/vow"
	label     = "app.kubernetes.io/name"
)

// pod is what we read of one.
type pod struct {
	Metadata struct {
		Name, UID                  string
		Labels                     map[string]string
		DeletionTimestamp          *time.Time
		DeletionGracePeriodSeconds int
	}
	Spec struct {
		NodeName   string
		Containers []struct {
			Ports []struct{ ContainerPort int }
		}
	}
	Status struct {
		Phase, PodIP      string
		Conditions        []struct{ Type, Status, Message string }
		ContainerStatuses []struct {
			Name, ContainerID string
			RestartCount      int
			State             struct {
				Terminated *struct {
					ExitCode   int
					FinishedAt time.Time
					Message    string
				}
			}
		}
	}
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && p.Metadata.DeletionTimestamp == nil
		}
	}
	return false
}

// restarts is how often its container was started again; -1 before the first time.
func (p pod) restarts() int {
	if len(p.Status.ContainerStatuses) == 0 {
		return -1
	}
	return p.Status.ContainerStatuses[0].RestartCount
}

// pods are those of one name, or all.
func (t *Trial) pods(ctx context.Context, name string) ([]pod, error) {
	return t.podsIn(ctx, "vow", name)
}

// podsIn are those of a namespace.
func (t *Trial) podsIn(ctx context.Context, namespace, name string) ([]pod, error) {
	path := "/api/v1/namespaces/" + namespace + "/pods"
	if name != "" {
		path += "?labelSelector=" + label + "%3D" + name
	}
	var list struct{ Items []pod }
	err := t.Get(ctx, path, &list)
	return list.Items, err
}

// one is a Ready pod of that name.
func (t *Trial) one(ctx context.Context, name string) (found pod, err error) {
	err = api.Await(ctx, "a Ready pod of "+name, func() (bool, error) {
		pods, err := t.pods(ctx, name)
		for _, p := range pods {
			if p.ready() {
				found = p
				return true, nil
			}
		}
		return false, err
	})
	return found, err
}

// again waits until the pod's container was started again and is Ready.
func (t *Trial) again(ctx context.Context, was pod) error {
	return api.Await(ctx, was.Metadata.Name+" to be Ready again", func() (bool, error) {
		var now pod
		if err := t.Get(ctx, namespace+"/pods/"+was.Metadata.Name, &now); err != nil {
			return false, err
		}
		return now.restarts() > was.restarts() && now.ready(), fmt.Errorf("%d restarts, Ready: %t", now.restarts(), now.ready())
	})
}

// workloads are the objects that make pods.
func (t *Trial) workloads() (all []manifest.Object) {
	for _, o := range t.Objects {
		if o.Kind == "Deployment" || o.Kind == "StatefulSet" {
			all = append(all, o)
		}
	}
	return all
}

// replicas is how many pods a workload has.
func replicas(workload manifest.Object) int {
	number, err := strconv.Atoi(fmt.Sprint(workload.At("spec", "replicas")))
	if err != nil {
		return 1 // what Kubernetes takes when nothing is said
	}
	return number
}

func path(workload manifest.Object) string {
	return apps + "/" + strings.ToLower(workload.Kind) + "s/" + workload.Name
}

// rolledOut waits until all pods of a workload are of its newest template and Ready, and the older ones gone.
func (t *Trial) rolledOut(ctx context.Context, w manifest.Object) error {
	return api.Await(ctx, w.String()+" to be rolled out", func() (bool, error) {
		var now struct {
			Metadata struct{ Generation int }
			Spec     struct{ Replicas int }
			Status   struct{ ObservedGeneration, Replicas, UpdatedReplicas, AvailableReplicas int }
		}
		if err := t.Get(ctx, path(w), &now); err != nil {
			return false, err
		}
		s, want := now.Status, now.Spec.Replicas
		return s.ObservedGeneration == now.Metadata.Generation && s.UpdatedReplicas == want && s.AvailableReplicas == want && s.Replicas == want,
			fmt.Errorf("%d of %d pods are available, %d new, %d in all", s.AvailableReplicas, want, s.UpdatedReplicas, s.Replicas)
	})
}

// evict asks for a pod to go as a drain does; a budget may refuse.
func (t *Trial) evictPod(ctx context.Context, name string) error {
	_, err := t.Ask(ctx, http.MethodPost, namespace+"/pods/"+name+"/eviction", "application/json",
		fmt.Appendf(nil, `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":"vow"}}`, name))
	return err
}

// processes are those of a pod's first container, as this process numbers them; the container's first is the first.
func processes(p pod) (all []int, err error) {
	if len(p.Status.ContainerStatuses) == 0 {
		return nil, fmt.Errorf("cannot find the processes of %s: it has no container", p.Metadata.Name)
	}
	_, container, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
	entries, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	for _, file := range entries {
		content, err := os.ReadFile(file)
		if err != nil || container == "" || !strings.Contains(string(content), container) {
			continue // it ended, or is another's
		}
		pid, err := strconv.Atoi(strings.Split(file, "/")[2])
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(status(pid)["NSpid"], " 1") {
			all = append([]int{pid}, all...)
		} else {
			all = append(all, pid)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("cannot find the processes of %s: %w", p.Metadata.Name, errors.ErrUnsupported)
	}
	return all, nil
}

// status is /proc/PID/status: values with their fields set apart by one space.
func status(pid int) map[string]string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, ":")
		all[key] = strings.Join(strings.Fields(value), " ")
	}
	return all
}
