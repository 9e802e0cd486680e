package manifest

import (
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Object is one Kubernetes object, as its YAML says.
type Object struct {
	APIVersion, Kind, Name, Namespace string
	// YAML is all of it.
	YAML []byte
	// Content is the same, decoded.
	Content map[string]any
}

// String is kind/name.
func (o Object) String() string { return o.Kind + "/" + o.Name }

// Build builds a kustomization, a folder below the repository's root.
func Build(root, folder string) ([]Object, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, folder))
	if err != nil {
		return nil, fmt.Errorf("cannot build %s: %w", folder, err)
	}
	var objects []Object
	for _, r := range built.Resources() {
		yaml, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		content, err := r.Map()
		if err != nil {
			return nil, err
		}
		objects = append(objects, Object{
			APIVersion: r.GetApiVersion(), Kind: r.GetKind(), Name: r.GetName(), Namespace: r.GetNamespace(), YAML: yaml, Content: content,
		})
	}
	return objects, nil
}

// At follows keys, and indexes of lists, from the top of an object; nil where there is nothing.
func (o Object) At(path ...any) any {
	var at any = o.Content
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := at.(map[string]any)
			at = m[key]
		case int:
			l, _ := at.([]any)
			if key >= len(l) {
				return nil
			}
			at = l[key]
		}
	}
	return at
}

// Images are what the containers of an object run; none for what has no pods.
func (o Object) Images() (all []string) {
	for _, kind := range []string{"initContainers", "containers"} {
		containers, _ := o.At("spec", "template", "spec", kind).([]any)
		for _, c := range containers {
			if m, ok := c.(map[string]any); ok {
				all = append(all, fmt.Sprint(m["image"]))
			}
		}
	}
	return all
}

// Repository is a reference without tag and digest.
func Repository(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}
	return name
}
