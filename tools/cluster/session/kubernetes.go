package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

// lookEvery is how often pods are looked at.
const lookEvery = 500 * time.Millisecond

// Kubernetes is where resources of objects go. What is there when a session ends stays, as with `tilt ci`.
type Kubernetes struct {
	*api.Client
	Resources []*tiltfile.Kubernetes
	Builds    []tiltfile.Build
	// Grace is how long after its apply a pod may be in error: k8s_grace_period.
	Grace time.Duration

	applying sync.Mutex // the client applies for one at a time
}

// deploy is the update of a resource: its images are built and delivered, its objects applied with them.
func (k *Kubernetes) deploy(ctx context.Context, r *tiltfile.Kubernetes, log *os.File, grace time.Duration) error {
	images := map[string]string{}
	for _, b := range k.Builds {
		if !slices.ContainsFunc(r.Images, func(reference string) bool { return manifest.Repository(reference) == b.Image }) {
			continue
		}
		if !b.Delivers {
			return fmt.Errorf("cannot deliver %s: it wants Tilt to, by the Docker of this machine", b.Image)
		}
		images[b.Image] = b.Image + ":tilt-build-" + strconv.FormatInt(time.Now().Unix(), 10)
		c := b.Command
		c.Environment = append(slices.Clone(c.Environment), "EXPECTED_REF="+images[b.Image])
		p, err := start(c, log)
		if err != nil {
			return err
		}
		select {
		case <-p.ended:
		case <-ctx.Done():
			p.stop(grace)
			return context.Cause(ctx)
		}
		if p.err != nil {
			return fmt.Errorf("cannot build %s: %w", images[b.Image], p.err)
		}
	}
	k.applying.Lock()
	defer k.applying.Unlock()
	for _, o := range ordered(r.Objects) {
		o, err := injected(o, images)
		if err == nil {
			err = k.Apply(ctx, o, false)
		}
		if err != nil {
			return fmt.Errorf("cannot apply %s: %w", o, err)
		}
	}
	return nil
}

// ordered has what others are in first, and what needs others last. Tilt sorts by kind to the same end.
func ordered(objects []manifest.Object) []manifest.Object {
	rank := func(o manifest.Object) int {
		switch {
		case o.Kind == "Namespace":
			return 0
		case len(o.Images()) == 0:
			return 1
		default:
			return 2
		}
	}
	return slices.SortedStableFunc(slices.Values(objects), func(a, b manifest.Object) int { return rank(a) - rank(b) })
}

// injected is a workload as Tilt applies it when it has built images: they are named, never pulled anew, and the pods of a StatefulSet are managed at once. Its labels, which nobody asks for, are left out.
func injected(o manifest.Object, images map[string]string) (manifest.Object, error) {
	if len(images) == 0 || len(o.Images()) == 0 {
		return o, nil
	}
	content, err := json.Marshal(o.Content)
	o.Content = nil // it is the Tiltfile's
	if err == nil {
		err = json.Unmarshal(content, &o.Content)
	}
	if err != nil {
		return o, err
	}
	for _, kind := range []string{"initContainers", "containers"} {
		containers, _ := o.At("spec", "template", "spec", kind).([]any)
		for _, c := range containers {
			container, _ := c.(map[string]any)
			if ref := images[manifest.Repository(fmt.Sprint(container["image"]))]; ref != "" {
				container["image"] = "docker.io/" + ref // in full, as Tilt writes it
			}
			container["imagePullPolicy"] = "IfNotPresent"
		}
	}
	if spec, _ := o.At("spec").(map[string]any); o.Kind == "StatefulSet" {
		spec["podManagementPolicy"] = "Parallel"
	}
	o.YAML, err = json.Marshal(o.Content) // which is YAML too
	return o, err
}

// workload is the object of a resource that makes pods; not all have one.
func workload(r *tiltfile.Kubernetes) (manifest.Object, bool) {
	i := slices.IndexFunc(r.Objects, func(o manifest.Object) bool { return len(o.Images()) > 0 })
	if i < 0 {
		return manifest.Object{}, false
	}
	return r.Objects[i], true
}

// watch tells each change of readiness until the context ends, and when a pod has been in error for too long.
func (k *Kubernetes) watch(ctx context.Context, w manifest.Object, tell func(ready bool, why, red error)) {
	var selector []string
	labels, _ := w.At("spec", "selector", "matchLabels").(map[string]any)
	for key, value := range labels {
		selector = append(selector, fmt.Sprintf("%s=%v", key, value))
	}
	path := "/api/v1/namespaces/" + w.Namespace + "/pods?labelSelector=" + url.QueryEscape(strings.Join(selector, ","))
	applied, was := time.Now(), false
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var list struct{ Items []pod }
		err := k.Get(ctx, path, &list)
		var now bool
		var broken error
		if err == nil {
			now, broken, err = judge(list.Items)
		}
		switch {
		case ctx.Err() != nil:
			return
		case broken != nil && time.Since(applied) >= k.Grace:
			tell(false, nil, fmt.Errorf("exceeded grace period: %w", broken))
			return
		case now != was:
			was = now
			tell(now, errors.Join(err, broken), nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pod is what Tilt reads of one.
type pod struct {
	Metadata struct {
		Name              string
		CreationTimestamp time.Time
	}
	Status struct {
		Phase                                    string
		InitContainerStatuses, ContainerStatuses []container
	}
}

type container struct {
	Name  string
	Ready bool
	State struct {
		Waiting    *struct{ Reason, Message string }
		Terminated *struct{ ExitCode int }
	}
}

// erroneous are the reasons to wait that Tilt takes for errors.
var erroneous = []string{"CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "RunContainerError", "StartError", "Error"}

// judge says of pods what Tilt does, which looks at the newest alone: whether it is ready; if not, whether it is in error, or why else. A pod whose containers have all run once is never in error, unless it has failed as a whole.
func judge(pods []pod) (ready bool, broken, why error) {
	if len(pods) == 0 {
		return false, nil, errors.New("it has no pod")
	}
	p := slices.MaxFunc(pods, func(a, b pod) int {
		// Of the same second, the last by name.
		if c := a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp); c != 0 {
			return c
		}
		return strings.Compare(a.Metadata.Name, b.Metadata.Name)
	})
	name, s := p.Metadata.Name, p.Status
	why = fmt.Errorf("the pod %s is %s", name, s.Phase)
	switch s.Phase {
	case "Succeeded":
		return true, nil, nil
	case "Failed":
		return false, fmt.Errorf("the pod %s failed", name), why
	case "Running":
		if len(s.ContainerStatuses) > 0 && !slices.ContainsFunc(s.ContainerStatuses, func(c container) bool { return !c.Ready }) {
			return true, nil, nil
		}
		return false, nil, fmt.Errorf("the pod %s is not ready", name)
	}
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		switch {
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return false, fmt.Errorf("%s of the pod %s ended with %d", c.Name, name, c.State.Terminated.ExitCode), why
		case c.State.Waiting != nil && slices.Contains(erroneous, c.State.Waiting.Reason):
			return false, fmt.Errorf("%s of the pod %s: %s: %s", c.Name, name, c.State.Waiting.Reason, c.State.Waiting.Message), why
		}
	}
	return false, nil, why
}
