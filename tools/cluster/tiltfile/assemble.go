package tiltfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// assemble puts objects into resources as Tilt does (internal/tiltfile/tiltfile_state.go, assembleK8s): a workload makes one of its name and takes the Services that select its pods; k8s_resource adds options, and objects that are left.
func (e *evaluation) assemble() error {
	left := slices.DeleteFunc(slices.Clone(e.objects), isWorkload)
	for _, o := range e.objects {
		if !isWorkload(o) {
			continue
		}
		if e.kubernetes(o.Name) != nil {
			return fmt.Errorf("two workloads are called %q: this contract does not know how Tilt names them", o.Name)
		}
		r := &Kubernetes{Name: o.Name, Objects: []manifest.Object{o}, Images: o.Images()}
		left = slices.DeleteFunc(left, func(s manifest.Object) bool {
			takes := s.Kind == "Service" && s.Namespace == o.Namespace && selects(s, o)
			if takes {
				r.Objects = append(r.Objects, s)
			}
			return takes
		})
		e.Kubernetes = append(e.Kubernetes, r)
	}
	for _, c := range e.options {
		r := e.kubernetes(string(c.workload))
		switch {
		case c.workload == "":
			if r = e.kubernetes(string(c.newName)); r != nil {
				return fmt.Errorf("k8s_resource named %q already exists", c.newName)
			}
			r = &Kubernetes{Name: string(c.newName)}
			e.Kubernetes = append(e.Kubernetes, r)
		case r == nil:
			return fmt.Errorf("k8s_resource specified unknown resource %q", c.workload)
		case r.declared:
			return fmt.Errorf("k8s_resource %q is called twice", c.workload) // Tilt adds the two up
		case c.newName != "":
			return fmt.Errorf("k8s_resource %q is renamed, which this contract does not know", c.workload)
		}
		r.declared = true
		r.After, r.Labels, r.Forwards = c.after, c.labels, c.forwards
		for _, selector := range c.objects {
			match := func(o manifest.Object) bool { return fragment(selector, o) }
			if n := len(slices.DeleteFunc(slices.Clone(e.objects), func(o manifest.Object) bool { return !match(o) })); n != 1 {
				return fmt.Errorf("%q is not a unique fragment: %d objects match", selector, n)
			}
			i := slices.IndexFunc(left, match)
			if i < 0 {
				return fmt.Errorf("no object identified by the fragment %q could be found in remaining YAML", selector)
			}
			r.Objects = append(r.Objects, left[i])
			left = slices.Delete(left, i, i+1)
		}
	}
	// Tilt applies what is left as "uncategorized", before all else and with nothing waiting for it.
	if len(left) > 0 {
		return fmt.Errorf("%s is in no resource, and %d others", left[0], len(left)-1)
	}
	for _, r := range e.Kubernetes {
		if !r.declared {
			return fmt.Errorf("workload %s is in no k8s_resource", r.Name)
		}
	}
	for _, b := range e.Builds {
		if !slices.ContainsFunc(e.Kubernetes, func(r *Kubernetes) bool {
			return slices.ContainsFunc(r.Images, func(i string) bool { return manifest.Repository(i) == b.Image })
		}) {
			return fmt.Errorf("image not used in any Kubernetes config: %s", b.Image)
		}
	}
	return nil
}

func (m *Model) kubernetes(name string) *Kubernetes {
	for _, r := range m.Kubernetes {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func isWorkload(o manifest.Object) bool {
	return len(o.Images()) > 0
}

// selects says whether a Service is for the pods of a workload.
func selects(service, workload manifest.Object) bool {
	selector, _ := service.At("spec", "selector").(map[string]any)
	of, _ := workload.At("spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range selector {
		if of[key] != value {
			return false
		}
	}
	return true
}

// fragment is name:kind:namespace, of which the end may be missing, in any case.
func fragment(selector string, o manifest.Object) bool {
	namespace := o.Namespace
	if namespace == "" {
		namespace = "default"
	}
	parts := strings.Split(strings.ToLower(selector), ":")
	whole := []string{o.Name, o.Kind, namespace}
	return len(parts) <= len(whole) && strings.EqualFold(strings.Join(whole[:len(parts)], ":"), selector)
}
